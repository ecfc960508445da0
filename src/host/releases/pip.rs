//! The releases of Synapse that pip offers. pip's environment variables and configuration apply, as to installations.

use crate::failure::Failure;
use crate::host::files::{self, Scratch};
use crate::host::tools::{self, Output, Tool};
use crate::host::versions;
use crate::plan::schema::Code;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;

/// Synapse's project name, as users write it.
const PROJECT: &str = "matrix-synapse";
/// Prints the schema numbers of a wheel.
const WHEEL: &str = include_str!("wheel.py");
/// Timeout of a query. An index without separate metadata sends the whole wheel, of some megabytes.
const QUERY: Duration = Duration::from_secs(600);
/// pip's words for a release that it does not have, before a list of all that it has.
const NONE: &str = "No matching distribution found";

/// The part of pip's report that is read (pip's documentation, "Installation Report").
#[derive(Deserialize)]
struct Report {
    install: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: String,
}

/// The newest release that pip would install for this Python. Pip leaves out pre-releases, withdrawn releases and those
/// that need another Python.
///
/// # Errors
/// When pip is missing or cannot reach its index, or when another account could replace this Python.
pub(super) fn newest(python: &Path) -> Result<String> {
    let output = pip(python)
        // Pre-releases are for those who name them, whatever pip's configuration says.
        .env("PIP_PRE", "0")
        .args(["install", "--dry-run", "--ignore-installed", "--no-deps"])
        .args(["--quiet", "--report", "-", PROJECT])
        .within(QUERY)
        .output()?;
    let text = succeeded(&output, "Synapse")?;
    version(&text).context("cannot parse the report of pip")
}

fn version(report: &str) -> Result<String> {
    let report: Report = serde_json::from_str(report)?;
    let item = report.install.into_iter().next();
    Ok(item.context("it names no release")?.metadata.version)
}

/// The schema numbers of a release, read from its wheel, which is downloaded and removed; `None` if the release has no
/// wheel for this Python, or if the wheel does not have the numbers in the known place.
///
/// # Errors
/// When pip does not have the release or cannot reach its index, or when the wheel is damaged.
pub fn schema(python: &Path, release: &str) -> Result<Option<Code>> {
    let scratch = Scratch::new(0o700)?;
    let output = pip(python)
        .args(["download", "--quiet", "--no-deps", "--dest"])
        .args([scratch.path()])
        .args([format!("{PROJECT}=={release}")])
        .within(tools::PACKAGES)
        .interruptible()
        .output()?;
    succeeded(&output, &format!("Synapse {release}"))?;
    let names = files::names(scratch.path());
    let Some(wheel) = names.iter().find(|name| name.ends_with(".whl")) else {
        return Ok(None);
    };
    let output = Tool::new(python)
        .args(["-I", "-c", WHEEL, release])
        .args([scratch.at(wheel)])
        .output()?;
    Ok(serde_json::from_slice(&output.stdout).ok())
}

fn pip(python: &Path) -> Tool {
    Tool::new(python)
        .args(["-I", "-m", "pip", "--disable-pip-version-check"])
        .with_archives()
}

/// The output of a pip that succeeded.
fn succeeded(output: &Output, wanted: &str) -> Result<String> {
    let errors = String::from_utf8_lossy(&output.stderr);
    // An index that cannot be reached has no version at all, and the causes precede that.
    if errors.contains(NONE) && !errors.contains("from versions: none") {
        let failure = Failure::failed(format!("pip finds no {wanted} for this host"));
        return Err(failure
            .help("check the version, and the index in pip's configuration: pip config list")
            .into());
    }
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let failure = Failure::failed(format!(
        "pip cannot find {wanted}\n{}",
        tools::tail(output, 6)
    ));
    let help = "check the network, the proxy and the index in pip's configuration: pip config list";
    Err(match errors.contains(NONE) {
        true => failure.help(help),
        false => failure,
    }
    .into())
}

/// Whether one version comes before another one. Versions that cannot be compared are not in this order.
pub fn precedes(one: &str, other: &str) -> bool {
    versions::compare(one, "<", other).unwrap_or(false)
}

/// Whether this is a version such as 1.164.0rc1.
pub(super) fn is_pre_release(version: &str) -> bool {
    !versions::is_final(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_report_of_pip_names_the_release() {
        let report = r#"{"version": "1", "pip_version": "23.0.1", "install": [{"download_info": {"url": "file:///x.whl"},
            "is_direct": false, "requested": true, "metadata": {"metadata_version": "2.4", "name": "matrix-synapse",
            "version": "1.163.2"}}], "environment": {}}"#;
        assert_eq!(version(report).unwrap(), "1.163.2");
        assert!(version(r#"{"install": []}"#).is_err());
        assert!(version("ERROR: no").is_err());
    }

    #[test]
    fn versions_are_in_the_order_of_their_release() {
        for (one, other) in [
            ("1.162.0", "1.163.2"),
            ("1.164.0rc1", "1.164.0"),
            ("1.99", "1.163"),
        ] {
            assert!(
                precedes(one, other) && !precedes(other, one),
                "{one} {other}"
            );
        }
        assert!(!precedes("1.163.2", "1.163.2"));
        assert!(is_pre_release("1.164.0rc3") && !is_pre_release("1.164.0"));
    }

    /// The wheel has the numbers as Synapse writes them, and code that must not run.
    #[test]
    fn the_schema_of_a_wheel_is_read_and_not_run() {
        let directory = tempfile::tempdir().unwrap();
        let wheel = directory.path().join("x.whl");
        let make = "import sys, zipfile\n\
            with zipfile.ZipFile(sys.argv[1], 'w') as wheel:\n    \
                wheel.writestr('synapse/storage/schema/__init__.py', sys.argv[2])\n";
        let read = |text: &str| {
            let made = Command::new("python3")
                .args(["-c", make])
                .arg(&wheel)
                .arg(text)
                .status();
            assert!(made.unwrap().success());
            let mut python = Command::new("python3");
            let output = python
                .args(["-I", "-c", WHEEL, "1.170.0"])
                .arg(&wheel)
                .output();
            serde_json::from_slice::<Code>(&output.unwrap().stdout).ok()
        };
        let text = "raise SystemExit\nSCHEMA_VERSION = 94  # x\nOTHER: int = 1\n\
            SCHEMA_COMPAT_VERSION = (\n    # why\n    90\n)\n";
        let code = Code {
            release: "1.170.0".to_owned(),
            version: 94,
            compat: 90,
        };
        assert_eq!(read(text), Some(code.clone()));
        assert_eq!(
            read(&text.replace("VERSION = ", "VERSION: int = ")),
            Some(code)
        );
        assert_eq!(read("SCHEMA_VERSION = 94\n"), None);
        assert_eq!(
            read("SCHEMA_VERSION = f()\nSCHEMA_COMPAT_VERSION = 1\n"),
            None
        );
    }
}
