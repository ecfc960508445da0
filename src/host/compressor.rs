//! The state compressor in a venv of its own: that of Synapse may be somebody else's.

use super::synapse::version_of;
use super::tools::Tool;
use crate::paths;
use anyhow::{Context, Result};
use std::path::Path;

/// The version that is in our venv.
pub fn version() -> Option<String> {
    version_of(
        Path::new(paths::COMPRESSOR).join("bin/python").as_path(),
        "synapse_auto_compressor",
    )
}

/// Installs this version. pip's own environment and configuration are honoured; what would have to be compiled is not
/// taken.
pub fn install(version: &str) -> Result<()> {
    Tool::new("python3")
        .args(["-m", "venv", paths::COMPRESSOR])
        .run()
        .context("making the venv (python3-venv gives what is missing)")?;
    Tool::new(format!("{}/bin/python", paths::COMPRESSOR))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--compile",
            "--only-binary",
            ":all:",
        ])
        .args([
            &format!("synapse_auto_compressor=={version}"),
            "PyYAML>=6,<7",
        ])
        .run()
        .with_context(|| {
            format!(
                "installing synapse_auto_compressor {version} into {}",
                paths::COMPRESSOR
            )
        })
        .map(drop)
}
