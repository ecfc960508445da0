//! Virtual environments of our own, filled by pip. Its own environment and configuration are honoured.

use super::tools::{self, Tool};
use anyhow::{Context, Result};

/// A venv to be made or brought to other versions.
pub struct Venv<'a> {
    pub directory: &'a str,
    /// More options of `python3 -m venv`.
    pub options: &'a [&'a str],
    /// More options of `pip install`.
    pub pip: &'a [&'a str],
    /// Requirements, the first of which names it in errors.
    pub packages: &'a [&'a str],
}

impl Venv<'_> {
    /// Installs the packages.
    ///
    /// # Errors
    /// With the end of what pip says.
    pub fn install(&self) -> Result<()> {
        Tool::new("python3")
            .args(["-I", "-m", "venv"])
            .args(self.options)
            .args([self.directory])
            .within(tools::PACKAGES)
            .interruptible()
            .run()
            .context("making the venv (python3-venv gives what is missing)")?;
        Tool::new(format!("{}/bin/python", self.directory))
            .args(["-I", "-m", "pip", "install", "--quiet"])
            // Missing byte code costs a worker 3.6 times its start.
            .args(["--disable-pip-version-check", "--compile"])
            .args(self.pip)
            .args(self.packages)
            .with_archives()
            .within(tools::PACKAGES)
            .interruptible()
            .run()
            .with_context(|| {
                let first = self.packages.first().unwrap_or(&"packages");
                format!("installing {first} into {}", self.directory)
            })
            .map(drop)
    }
}
