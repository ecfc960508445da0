//! The state compressor in its own venv, since Synapse's venv may belong to a distribution or the administrator.

use super::synapse::version_of;
use super::venv::Venv;
use super::{files, intact};
use crate::state::paths;
use anyhow::Result;
use std::path::Path;

/// The version in this program's venv.
pub fn version() -> Option<String> {
    version_of(&paths::python(paths::COMPRESSOR), "synapse_auto_compressor")
}

/// Why its venv has to be built again; `None` if it is intact or does not exist. A venv of another version is not
/// damaged.
pub(super) fn damage(version: &str) -> Option<String> {
    let there = self::version().is_none_or(|found| found == version);
    let directory = Path::new(paths::COMPRESSOR);
    (there && files::is_directory(directory))
        .then(|| intact::damage(directory))
        .flatten()
}

/// Installs this version. Only built packages are accepted, so nothing is compiled.
pub fn install(version: &str) -> Result<()> {
    let package = format!("synapse_auto_compressor=={version}");
    Venv {
        directory: paths::COMPRESSOR,
        options: &[],
        pip: &["--only-binary", ":all:"],
        packages: &[&package, "PyYAML>=6,<7"],
    }
    .install()
}
