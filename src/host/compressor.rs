//! The state compressor in its own venv, since Synapse's venv may belong to a distribution or the administrator.

use super::synapse::version_of;
use super::venv::Venv;
use crate::state::paths;
use anyhow::Result;

/// The version in this program's venv.
pub fn version() -> Option<String> {
    version_of(&paths::python(paths::COMPRESSOR), "synapse_auto_compressor")
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
