//! Virtual environments of this program, filled by pip. pip's environment variables and configuration apply.

use super::files;
use super::tools::{self, Tool};
use anyhow::{Context, Result};

/// A venv to be created or brought to other versions.
pub struct Venv<'a> {
    pub directory: &'a str,
    /// Additional options of `python3 -m venv`.
    pub options: &'a [&'a str],
    /// Additional options of `pip install`.
    pub pip: &'a [&'a str],
    /// Requirements. The first one names the venv in errors.
    pub packages: &'a [&'a str],
}

impl Venv<'_> {
    /// Creates the venv and installs the packages. An existing venv is moved aside meanwhile, and put back if that fails:
    /// pip would not repair it, and processes may run from it.
    ///
    /// # Errors
    /// With the end of pip's output.
    pub fn install(&self) -> Result<()> {
        let aside = format!("{}.old", self.directory);
        if files::is_directory(self.directory) {
            files::remove_tree(&aside)?;
            files::rename(self.directory, &aside)?;
        }
        let built = self.build();
        if built.is_err() && files::is_directory(&aside) {
            files::remove_tree(self.directory)?;
            files::rename(&aside, self.directory)?;
        }
        built?;
        files::remove_tree(&aside)
    }

    fn build(&self) -> Result<()> {
        Tool::new("python3")
            .args(["-I", "-m", "venv"])
            .args(self.options)
            .args([self.directory])
            .within(tools::PACKAGES)
            .interruptible()
            .run()
            .context(
                "cannot create the venv; if `venv` or `ensurepip` is missing, install python3-venv",
            )?;
        Tool::new(format!("{}/bin/python", self.directory))
            .args(["-I", "-m", "pip", "install", "--quiet"])
            // Missing byte code makes the start of a worker 3.6 times as long.
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
