//! Paths in templates, unit files, scripts and code are those of `src/state/paths.rs`.

use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use synapse_workers::deployment::secrets::{COMPOSED, SECRETS};
use synapse_workers::state::paths;

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}

/// Every path that the program uses below its own directories.
fn known() -> BTreeSet<String> {
    let constant = Regex::new(r#"= "(/[^"]+)";"#).unwrap();
    let text = include_str!("../../src/state/paths.rs");
    let constants = constant
        .captures_iter(text)
        .map(|found| found[1].to_owned());
    let mut known: BTreeSet<String> = constants.collect();
    assert!(known.contains(paths::RUN), "{known:?}");
    for process in ["main", "%i"] {
        for socket in [
            paths::public_socket(process),
            paths::replication_socket(process),
        ] {
            known.insert(format!("{socket}.lock"));
            known.insert(socket);
        }
    }
    let composed = COMPOSED.iter().map(|composed| composed.name);
    for name in SECRETS.iter().map(|secret| secret.name).chain(composed) {
        let path = paths::secret(name);
        // A composed file may be in a directory of its own.
        known.extend(path.rsplit_once('/').map(|(parent, _)| parent.to_owned()));
        known.insert(path);
    }
    known
}

#[test]
fn paths_are_written_in_one_place() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = Regex::new(
        r"/(?:run|etc|var/lib|var/log|opt|usr/libexec)/(?:synapse|postgresql)[\w./@%-]*",
    )
    .unwrap();
    let runtime_directory = Regex::new(r"(?m)^RuntimeDirectory=(\S+)$").unwrap();
    let places = [
        "templates",
        "systemd",
        "packaging/scripts",
        "packaging/tmpfiles.conf",
        "src",
    ];
    let sources = places.map(|place| top.join(place)).into_iter();
    let sources = sources.flat_map(|place| match place.is_dir() {
        true => files(&place),
        false => vec![place],
    });
    let (known, mut created) = (known(), BTreeSet::new());
    let mut found = BTreeSet::new();
    for source in sources {
        let name = source
            .strip_prefix(top)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        // The defaults of settings are part of the table of settings.
        if name == "src/state/paths.rs" || name.starts_with("src/settings/table") {
            continue;
        }
        let text = fs::read_to_string(&source).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        // systemd creates these (systemd.exec(5)).
        let directories = runtime_directory.captures_iter(text);
        created.extend(directories.map(|found| format!("/run/{}", &found[1])));
        for path in path.find_iter(text) {
            let path = path.as_str().trim_end_matches(['/', '.']);
            found.insert((path.to_owned(), name.clone()));
        }
    }
    assert!(found.len() > 20, "{found:?}");
    // A runtime directory, or a file in it.
    let runtime = |path: &str| {
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        created.contains(path) || parent.is_some_and(|parent| created.contains(parent))
    };
    let unknown: Vec<_> = found
        .iter()
        .filter(|(path, _)| !known.contains(path) && !runtime(path))
        .collect();
    assert!(
        unknown.is_empty(),
        "not in src/state/paths.rs: {unknown:#?}"
    );
}
