//! The state compressor in a venv of its own: that of Synapse may be somebody else's.

use super::synapse::version_of;
use super::venv::Venv;
use crate::state::paths;
use anyhow::Result;

/// The version that is in our venv.
pub fn version() -> Option<String> {
    version_of(&paths::python(paths::COMPRESSOR), "synapse_auto_compressor")
}

/// Installs this version; what would have to be compiled is not taken.
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
