//! Detecting the packages of a Python by its files, in file trees as venvs, Debian, Fedora and pip create them.

use super::validators::{run, shown};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use synapse_workers::host::python::Packages;

/// The relevant part of the metadata of Synapse 1.163.2.
const METADATA: &str = "\
Metadata-Version: 2.4
Name: matrix-synapse
Version: 1.163.2
Requires-Dist: Twisted[tls]>=21.2.0
Requires-Dist: psycopg2>=2.8 ; platform_python_implementation != 'PyPy' and extra == 'postgres'
Requires-Dist: txredisapi>=1.4.12,<1.6.0 ; extra == 'redis'
Requires-Dist: hiredis>=0.3 ; extra == 'redis'
Requires-Dist: beautifulsoup4>=4.13.0 ; extra == 'url-preview'
Provides-Extra: redis
";

/// A file system with one or more Pythons.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// A fake Python that leaves a file when it is run.
    fn python(&self, path: &str) -> &Self {
        let ran = self.at("ran").display().to_string();
        self.file(path, &format!("#!/bin/sh\ntouch '{ran}'\n"))
    }

    fn venv(&self, path: &str, base: &str, shares: bool) -> &Self {
        fs::create_dir_all(self.at(&format!("{path}/bin"))).unwrap();
        symlink(self.at(base), self.at(&format!("{path}/bin/python"))).unwrap();
        let home = self.at(base).parent().unwrap().display().to_string();
        let text =
            format!("home = {home}\ninclude-system-site-packages = {shares}\nversion = 3.13.5\n");
        self.file(&format!("{path}/pyvenv.cfg"), &text)
    }

    fn synapse(&self, site: &str) -> &Self {
        self.file(
            &format!("{site}/matrix_synapse-1.163.2.dist-info/METADATA"),
            METADATA,
        )
    }

    /// The metadata file that pip writes for a package; it is empty here.
    fn wheel(&self, site: &str, name: &str) -> &Self {
        self.file(&format!("{site}/{name}.dist-info/METADATA"), "")
    }

    fn lacking(&self, python: &str, extra: &str) -> Vec<String> {
        let packages = Packages::seen_by(&self.at(python));
        let lacking = packages.lacking("matrix_synapse", extra);
        let named = lacking.into_iter().map(|it| match it.found {
            Some(found) => format!("{}, not {found}", it.requirement),
            None => it.requirement.to_string(),
        });
        named.collect()
    }
}

const SITE: &str = "env/lib/python3.13/site-packages";

#[test]
fn a_venv_lacks_packages_that_are_missing_or_of_another_version() {
    let tree = Tree::new();
    tree.python("usr/bin/python3.13")
        .venv("env", "usr/bin/python3.13", false)
        .synapse(SITE);
    let both = ["txredisapi>=1.4.12,<1.6.0", "hiredis>=0.3"];
    assert_eq!(tree.lacking("env/bin/python", "redis"), both);
    tree.wheel(SITE, "hiredis-3.5.0")
        .wheel(SITE, "txredisapi-1.6.0");
    let newer = ["txredisapi>=1.4.12,<1.6.0, not 1.6.0"];
    assert_eq!(tree.lacking("env/bin/python", "redis"), newer);
    fs::remove_dir_all(tree.at(SITE).join("txredisapi-1.6.0.dist-info")).unwrap();
    tree.wheel(SITE, "txredisapi-1.5.0");
    assert_eq!(tree.lacking("env/bin/python", "redis"), [""; 0]);

    // Synapse requires the module, which two packages provide.
    assert_eq!(
        tree.lacking("env/bin/python", "postgres"),
        ["psycopg2>=2.8"]
    );
    tree.wheel(SITE, "psycopg2_binary-2.9.10");
    assert_eq!(tree.lacking("env/bin/python", "postgres"), [""; 0]);

    // This package belongs to another version of Python, and this Python does not read it.
    tree.wheel("env/lib/python3.11/site-packages", "beautifulsoup4-4.15.0");
    assert_eq!(
        tree.lacking("env/bin/python", "url-preview"),
        ["beautifulsoup4>=4.13.0"]
    );
    assert!(!tree.at("ran").exists(), "the Python was run");
    // A Python that runs leaves this file.
    let output = run(Command::new("sh").arg(tree.at("env/bin/python")));
    assert!(tree.at("ran").exists(), "{}", shown(&output));
}

#[test]
fn a_venv_has_system_packages_only_if_its_configuration_includes_them() {
    for (shares, lacking) in [(false, vec!["psycopg2>=2.8"]), (true, vec![])] {
        let tree = Tree::new();
        tree.python("usr/bin/python3.13")
            .venv("env", "usr/bin/python3.13", shares)
            .synapse(SITE)
            // Debian has one directory for all versions, and a file or directory of metadata beside the module.
            .file(
                "usr/lib/python3/dist-packages/psycopg2-2.9.10.egg-info/PKG-INFO",
                "",
            );
        assert_eq!(
            tree.lacking("env/bin/python", "postgres"),
            lacking,
            "{shares}"
        );
    }
}

#[test]
fn packages_are_found_in_the_directories_of_each_distribution() {
    for place in [
        "usr/lib/python3/dist-packages/hiredis-3.1.0.egg-info",
        "usr/lib/python3/dist-packages/hiredis-3.1.0-py3.13-linux-x86_64.egg/EGG-INFO/PKG-INFO",
        "usr/local/lib/python3.13/dist-packages/hiredis-3.1.0.dist-info/METADATA",
        // Fedora has a directory of its own for packages that are built for one architecture.
        "usr/lib64/python3.13/site-packages/hiredis-3.1.0-py3.13.egg-info",
        "usr/local/lib64/python3.13/site-packages/HiRedis-3.1.0.dist-info/METADATA",
    ] {
        let tree = Tree::new();
        tree.python("usr/bin/python3.13").file(place, "");
        // The link through which users call the program.
        symlink("python3.13", tree.at("usr/bin/python3")).unwrap();
        let found = Packages::seen_by(&tree.at("usr/bin/python3")).find("hiredis");
        assert_eq!(
            found.map(|found| found.version).as_deref(),
            Some("3.1.0"),
            "{place}"
        );
    }
}

#[test]
fn a_linked_python_has_the_packages_of_its_target() {
    let tree = Tree::new();
    tree.python("opt/python/bin/python3.12")
        .synapse("opt/python/lib/python3.12/site-packages");
    fs::create_dir_all(tree.at("usr/local/bin")).unwrap();
    symlink(
        tree.at("opt/python/bin/python3.12"),
        tree.at("usr/local/bin/python"),
    )
    .unwrap();
    let found = Packages::own(&tree.at("usr/local/bin/python")).find("matrix-synapse");
    assert_eq!(found.unwrap().version, "1.163.2");
}

#[test]
fn packages_installed_in_place_are_found() {
    let tree = Tree::new();
    tree.python("usr/bin/python3.13")
        .venv("env", "usr/bin/python3.13", false)
        .synapse(SITE)
        .file(
            "src/txredisapi/txredisapi.egg-info/PKG-INFO",
            "Name: txredisapi\nVersion: 1.4.13\n",
        )
        .file("src/hiredis/hiredis.egg-info/PKG-INFO", "Name: hiredis\n");
    let sources = |name: &str| tree.at("src").join(name).display().to_string();
    let lines = format!(
        "# Comment.\nimport sys; sys.path\n{}\n{}\n/nowhere\n",
        sources("txredisapi"),
        sources("hiredis")
    );
    tree.file(&format!("{SITE}/easy-install.pth"), &lines);
    // The metadata of the second package has no version.
    assert_eq!(tree.lacking("env/bin/python", "redis"), ["hiredis>=0.3"]);
}

#[test]
fn a_python_without_metadata_lacks_nothing() {
    let tree = Tree::new();
    tree.python("usr/bin/python3.13")
        .venv("env", "usr/bin/python3.13", false);
    assert_eq!(tree.lacking("env/bin/python", "redis"), [""; 0]);
    tree.file(
        &format!("{SITE}/matrix_synapse-1.163.2.egg-info"),
        "Name: matrix-synapse\n",
    );
    assert_eq!(tree.lacking("env/bin/python", "redis"), [""; 0]);
    assert_eq!(tree.lacking("nowhere/bin/python", "redis"), [""; 0]);
}
