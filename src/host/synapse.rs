//! Synapse on the host or in a venv of this program, its key generator and its configuration parser.

use super::confined::Sandbox;
use super::files;
use super::intact;
use super::python::{MissingPackage, Packages};
use super::requirements::{self, Requirement};
use super::tools::{self, Tool};
use super::venv::Venv;
use crate::deployment::Deployment;
use crate::state::host_facts::Installed;
use crate::state::paths;
use crate::state::synapse_config;
use crate::state::units;
use crate::state::{Resource, State, SynapseVenv};
use anyhow::{Context, Result, ensure};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The usual paths of Synapse's Python: Element's Debian package, and the packages of distributions.
const PYTHONS: &[&str] = &["/opt/venvs/matrix-synapse/bin/python", "/usr/bin/python3"];

/// Synapse's project name on PyPI.
pub(super) const PROJECT: &str = "matrix_synapse";

/// The installed Synapse: at the path in the settings, or at one of the usual paths.
pub fn find(set: Option<&Path>) -> Option<Installed> {
    let candidates = match set {
        Some(python) if paths::is_our_python(python) => Vec::new(),
        Some(python) => vec![python],
        None => PYTHONS.iter().map(Path::new).collect(),
    };
    candidates.into_iter().find_map(|python| {
        let version = version_of(python, PROJECT)?;
        let python = python.to_owned();
        Some(Installed { python, version })
    })
}

/// The Synapse in this venv of this program, if it exists and is intact.
pub fn ours(venv: &SynapseVenv) -> Option<Installed> {
    let python = venv.python();
    let version = version_of(&python, PROJECT)?;
    damage(venv)
        .is_none()
        .then_some(Installed { python, version })
}

/// Why this venv of this program has to be built again; `None` if it is intact or does not exist.
pub(super) fn damage(venv: &SynapseVenv) -> Option<String> {
    let directory = venv.directory();
    if !files::is_directory(&directory) {
        return None;
    }
    intact::damage(Path::new(&directory)).or_else(|| differs(venv))
}

/// How the packages in the directory of a venv differ from those that it should have. A run that was killed leaves a
/// part of them, and an administrator may have changed them.
fn differs(venv: &SynapseVenv) -> Option<String> {
    let packages = Packages::seen_by(&venv.python());
    match version_of(&venv.python(), PROJECT) {
        None => return Some("it contains no Synapse".to_owned()),
        Some(version) if version != venv.version => {
            return Some(format!("it contains Synapse {version}"));
        }
        Some(_) => {}
    }
    let of_extras = venv.extras.iter();
    let of_extras = of_extras.flat_map(|extra| packages.lacking(PROJECT, extra));
    let pinned = venv
        .packages
        .iter()
        .filter_map(|it| requirements::parse(it));
    let pinned = pinned.filter_map(|it| packages.lacks(it));
    let lacking = of_extras.chain(pinned).next()?;
    Some(format!("it lacks {}", lacking.requirement))
}

/// The version of a project in the installation or venv of a Python.
pub(super) fn version_of(python: &Path, project: &str) -> Option<String> {
    Some(Packages::own(python).find(project)?.version)
}

/// The metadata directory of the Synapse of a Python, which its installer wrote.
pub(super) fn place(python: &Path) -> Option<PathBuf> {
    Some(Packages::own(python).find(PROJECT)?.place)
}

/// Packages that the metadata of Synapse or `synapse.packages` require, and that this Python lacks.
pub(super) fn lacking(python: &Path, deployment: &Deployment) -> Vec<MissingPackage> {
    let packages = Packages::seen_by(python);
    let extras = deployment
        .extras()
        .flat_map(|extra| packages.lacking(PROJECT, extra));
    let pinned = deployment.settings.synapse.packages.iter();
    let pinned = pinned.filter_map(|package| packages.lacks(Requirement::pinned(package)));
    let version = version_of(python, PROJECT).unwrap_or_default();
    let too_new = requirements::bounds(&version).filter_map(requirements::parse);
    let too_new = too_new.filter_map(|bound| packages.lacks(bound));
    let too_new = too_new.filter(|bound| bound.found.is_some());
    extras.chain(pinned).chain(too_new).collect()
}

/// When Synapse was last installed for this Python, in microseconds since 1970. The change time counts, since every
/// package manager replaces the files, whatever modification time it sets. `None` for the venvs of this program: their
/// versions are part of the desired state.
pub fn installed_at(python: &Path) -> Option<u64> {
    if paths::is_our_python(python) {
        return None;
    }
    let changed = files::metadata(place(python)?)?;
    u64::try_from(changed.ctime() * 1_000_000 + changed.ctime_nsec() / 1_000).ok()
}

/// Installs Synapse and the packages of a venv by one call of pip, which finds versions that fit together. Synapse uses
/// the distribution's psycopg2, since PyPI has no wheel of it.
///
/// # Errors
/// When Python or its venv module is missing, or with the end of pip's output.
pub fn install(venv: &SynapseVenv) -> Result<()> {
    make_way()?;
    if ours(venv).is_some() {
        return Ok(());
    }
    let requirements = venv.requirements();
    let own = requirements::bounds(&venv.version).map(str::to_owned);
    let requirements: Vec<String> = requirements.into_iter().chain(own).collect();
    let packages: Vec<&str> = requirements.iter().map(String::as_str).collect();
    Venv {
        directory: &venv.directory(),
        options: &["--system-site-packages"],
        pip: &[],
        packages: &packages,
    }
    .install()
}

/// Migrates the venv of an earlier release of this program, which was a directory at the path of today's link. It is
/// renamed to the directory of its version; processes that still run from it find it through the link.
fn make_way() -> Result<()> {
    let old = Path::new(paths::VENV);
    if files::is_link(old) || !files::is_directory(old) {
        return Ok(());
    }
    let version = version_of(&paths::python(paths::VENV), PROJECT);
    match version.map(|version| SynapseVenv::base(version).directory()) {
        Some(own) if !files::exists(&own) => {
            files::rename(old, &own)?;
            files::replace_link(paths::VENV, &own)
        }
        _ => files::remove_tree(paths::VENV),
    }
}

/// Points the venv link for administrators at the venv of a state.
pub(super) fn link(state: &State) -> Result<()> {
    let venv = state.resources.iter().find_map(|resource| match resource {
        Resource::Venv(venv) => Some(venv.directory()),
        _ => None,
    });
    match venv {
        Some(venv) => files::replace_link(paths::VENV, &venv),
        None if files::is_link(paths::VENV) => files::remove(paths::VENV),
        None => Ok(()),
    }
}

/// Creates a signing key with Synapse's own generator. The generator prints it and root writes it: root never reads a
/// file that Synapse's account created.
///
/// # Errors
/// When the generator fails or prints no ed25519 key, or when the file cannot be written.
pub fn generate_signing_key(python: &Path, state: &State) -> Result<()> {
    let key = Tool::confined(Sandbox::of_synapse(state)?, python)
        .args(["-I", "-m", "synapse._scripts.generate_signing_key"])
        .run()
        .context("generating the signing key")?;
    // signedjson: algorithm, version, key.
    let words: Vec<&str> = key.split_whitespace().collect();
    ensure!(
        words.len() == 3 && words[0] == "ed25519",
        "Synapse's key generator printed no signing key"
    );
    let access = files::Access::of("root", paths::GROUP, 0o640)?;
    files::replace(paths::SIGNING_KEY, key.as_bytes(), access)
}

/// The check of the configuration. A fork server runs the installed copy.
const CHECK: &str = include_str!("../../packaging/launcher/check_configuration.py");

/// Makes Synapse validate the configuration in this directory for the processes with these own files, in the sandbox of
/// its main process.
pub fn parse_configuration(
    python: &Path,
    state: &State,
    directory: &str,
    own_files: &[String],
) -> Result<()> {
    let read_by = |own: &String| (own.clone(), synapse_config::of_process(directory, own));
    let processes: Vec<_> = own_files.iter().map(read_by).collect();
    let words = [
        serde_json::to_string(&processes)?,
        paths::HOMESERVER_D.to_owned(),
    ];
    let sandbox = Sandbox::of_synapse(state)?;
    // A fork server has imported Synapse already. Whatever else happens there than acceptance, the check below decides.
    if let Some(forked) = sandbox.clone().forked_as(units::MAIN, state) {
        let check = format!("{}/check_configuration.py", paths::LAUNCHER);
        let check = Tool::confined(forked, python).args([check]).args(&words);
        if check.output().is_ok_and(|output| output.status.success()) {
            return Ok(());
        }
    }
    let output = Tool::confined(sandbox, python)
        .args(["-I", "-c", CHECK])
        .args(&words)
        .output()?;
    ensure!(
        output.status.success(),
        "Synapse refuses the configuration\n{}",
        tools::tail(&output, 12)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    /// A stand-in for the parts of Synapse that read its configuration. It refuses `bad`, and any two of `one`, `two`.
    const STAND_IN: &[(&str, &str)] = &[
        ("yaml.py", "from json import load as safe_load\n"),
        ("synapse/__init__.py", ""),
        ("synapse/config/__init__.py", ""),
        (
            "synapse/config/_base.py",
            "import json, os\n\
             class ConfigError(Exception):\n    path = ()\n\
             def find_config_files(paths):\n    \
                 return [os.path.join(p, n) for p in paths for n in sorted(os.listdir(p))]\n\
             def read_config_files(files):\n    \
                 return {k: v for f in files for k, v in json.load(open(f)).items()}\n",
        ),
        (
            "synapse/config/homeserver.py",
            "import sys\nfrom synapse.config import _base\n\
             class HomeServerConfig:\n    @staticmethod\n    def load_config(text, words):\n        \
                 files = _base.find_config_files(words[1::2])\n        \
                 options = _base.read_config_files(files)\n        \
                 if 'exit' in options: sys.exit('a module ends it')\n        \
                 if 'bad' in options: raise ModuleNotFoundError('no module')\n        \
                 if 'one' in options and 'two' in options: raise _base.ConfigError('both')\n",
        ),
    ];

    /// What the check prints about processes with these files below a directory.
    fn checked(directory: &Path, processes: &[(&str, &[&str])]) -> String {
        let places =
            |names: &[&str]| -> Vec<_> { names.iter().map(|n| directory.join(n)).collect() };
        let processes: Vec<_> = processes
            .iter()
            .map(|(name, files)| (name, places(files)))
            .collect();
        let processes = serde_json::to_string(&processes).unwrap();
        let mut python = Command::new("python3");
        let python = python.args(["-c", CHECK, &processes, paths::HOMESERVER_D]);
        let output = python.env("PYTHONPATH", directory).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), text.is_empty(), "{text}");
        text
    }

    fn directory_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in STAND_IN.iter().chain(files) {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    #[test]
    fn a_refusal_names_the_administrators_file_and_key() {
        let refused = |own: &str, adopted: &str| {
            let directory = directory_with(&[
                ("g/homeserver.d/mine.yaml", own),
                ("g/adopted/00-homeserver.yaml", adopted),
                ("g/shared.d/ours.yaml", "{\"two\": 1}"),
            ]);
            let files = ["g/adopted", "g/homeserver.d", "g/shared.d"];
            checked(directory.path(), &[("main.yaml", &files)])
        };
        assert_eq!(refused("{\"a\": 1}", "{}"), "");
        assert_eq!(
            refused("{\"a\": 1, \"bad\": 1}", "{\"bad\": 1}"),
            "main.yaml: ModuleNotFoundError: no module\n/etc/synapse-workers/homeserver.d/mine.yaml sets `bad`, without \
             which Synapse accepts the configuration\n"
        );
        assert_eq!(
            refused("{}", "{\"one\": 1}"),
            "main.yaml:  both\nthe adopted file homeserver.yaml sets `one`, without which Synapse accepts the \
             configuration\n"
        );
    }

    #[test]
    fn of_several_processes_the_first_refused_one_is_reported() {
        let directory = directory_with(&[
            ("good/a.yaml", "{}"),
            ("bad/a.yaml", "{\"bad\": 1}"),
            ("exit/a.yaml", "{\"exit\": 1}"),
        ]);
        let (good, bad, exit): (&[&str], &[&str], &[&str]) = (&["good"], &["bad"], &["exit"]);
        let text = |processes: &[(&str, &[&str])]| checked(directory.path(), processes);
        assert_eq!(text(&[("a", good), ("b", good), ("c", good)]), "");
        for processes in [
            [("a", good), ("b", bad), ("c", bad), ("d", good)],
            [("a", good), ("b", bad), ("c", good), ("d", bad)],
        ] {
            assert_eq!(text(&processes), "b: ModuleNotFoundError: no module\n");
        }
        let ended = [("a", good), ("b", exit), ("c", good)];
        assert_eq!(text(&ended), "a module ends it\n");
    }
}
