//! Virtual environments of this program, filled by pip. pip's environment variables and configuration apply.

use super::files;
use super::intact;
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

/// The directory of a complete copy that the first host has sent. It has the mark of a venv that is not complete, because
/// byte code is not sent.
pub(super) fn received(directory: &str) -> String {
    format!("{directory}.received")
}

impl Venv<'_> {
    /// Creates the venv and installs the packages, or takes the copy of the first host's venv. An existing venv is moved aside meanwhile, and put back if that fails:
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
        let unfinished = format!("{}/{}", self.directory, intact::UNFINISHED);
        let received = received(self.directory);
        match files::is_directory(&received) {
            true => files::rename(&received, self.directory)?,
            false => self.fill(&unfinished)?,
        }
        self.compile()?;
        files::remove(&unfinished)
    }

    fn fill(&self, unfinished: &str) -> Result<()> {
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
        files::replace(unfinished, b"", 0o644)?;
        Tool::new(format!("{}/bin/python", self.directory))
            .args(["-I", "-m", "pip", "install", "--progress-bar", "off"])
            .args(["--disable-pip-version-check", "--no-compile"])
            .args(self.pip)
            .args(self.packages)
            .with_archives()
            .within(tools::PACKAGES)
            .interruptible()
            .followed()
            .run()
            .map(drop)
            .with_context(|| {
                let first = self.packages.first().unwrap_or(&"packages");
                format!("installing {first} into {}", self.directory)
            })
    }

    /// Writes byte code, without which the start of a worker takes 3.6 times as long, on all processors: pip would use
    /// one, and take most of its time for it. A package may contain files for other versions of Python, which cannot be
    /// compiled; pip does not report them either.
    fn compile(&self) -> Result<()> {
        for processes in ["0", "1"] {
            let output = Tool::new(format!("{}/bin/python", self.directory))
                .args(["-I", "-m", "compileall", "-q", "-j", processes])
                .args([format!("{}/lib", self.directory)])
                .within(tools::PACKAGES)
                .interruptible()
                .output()?;
            // Where Python cannot run several processes, one has to do.
            if output.status.success() {
                break;
            }
        }
        Ok(())
    }
}
