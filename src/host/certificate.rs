//! The certificate and its key: whether they fit together, as nginx finds, and copies for the services that read them.

use super::files::{self, Access, Scratch};
use super::tools::{self, Tool};
use crate::settings::Settings;
use crate::settings::types::AbsolutePath;
use crate::state::accounts::certificate_reader;
use crate::state::paths;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The two files of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// How long whoever renews a certificate may take from one file to the other, for this to wait: later ones start it
/// again. nginx, when it starts, waits as long.
const PATIENCE: Duration = Duration::from_secs(2);

impl Pair {
    /// Those of the settings, where there are any.
    pub fn of(settings: &Settings) -> Option<Self> {
        let path = |path: &AbsolutePath| path.as_path().to_owned();
        Some(Self {
            certificate: settings.tls.certificate.as_ref().map(path)?,
            key: settings.tls.key.as_ref().map(path)?,
        })
    }

    /// Both in one text, certificate first.
    fn read(&self) -> Result<Vec<u8>> {
        let file = |setting: &str, path: &Path| {
            files::read(path)
                .and_then(|contents| {
                    contents.with_context(|| format!("{} is missing", path.display()))
                })
                .with_context(|| setting.to_owned())
        };
        let mut pair = file("tls.certificate", &self.certificate)?;
        let key = file("tls.key", &self.key)?;
        // PKCS #8 and the older way; a program that is asked for the password may wait for a terminal.
        ensure!(
            !String::from_utf8_lossy(&key).contains("ENCRYPTED"),
            "tls.key: {} needs a password, which nobody is there to type",
            self.key.display()
        );
        pair.push(b'\n');
        pair.extend(key);
        Ok(pair)
    }

    /// Both in one text, once nginx has found that they fit together.
    ///
    /// # Errors
    /// With what is wrong with which of them.
    pub fn fitting(&self) -> Result<Vec<u8>> {
        let pair = self.read()?;
        // In memory, closed to others, and gone with this run: there is a private key in it.
        let scratch = Scratch::new(0o700)?;
        files::replace(scratch.at("pair.pem"), &pair, 0o600)?;
        let prefix = format!("{}/", scratch.path().display());
        let configuration = format!(
            "user root;\npid nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\nclient_body_temp_path a;\n\
             proxy_temp_path a;\nfastcgi_temp_path a;\nuwsgi_temp_path a;\nscgi_temp_path a;\n\
             server {{ listen unix:{prefix}s ssl; ssl_certificate pair.pem; ssl_certificate_key pair.pem; }}\n}}\n"
        );
        files::replace(scratch.at("nginx.conf"), configuration.as_bytes(), 0o600)?;
        let output = Tool::new("nginx")
            .args([
                "-t",
                "-q",
                "-e",
                "stderr",
                "-p",
                &prefix,
                "-c",
                "nginx.conf",
            ])
            .output()?;
        ensure!(
            output.status.success(),
            "tls.certificate {} and tls.key {} are no certificate with its key\n{}",
            self.certificate.display(),
            self.key.display(),
            tools::tail(&output, 3)
        );
        Ok(pair)
    }

    /// As [`Pair::fitting`], waiting for the second of two files that are being replaced.
    fn settled(&self) -> Result<Vec<u8>> {
        let begun = Instant::now();
        loop {
            match self.fitting() {
                Err(_) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(200));
                }
                result => return result,
            }
        }
    }

    /// Gives each of these units a copy, and has those take it that run.
    ///
    /// # Errors
    /// When the files do not fit together; the copies stay as they are.
    pub fn hand_over(&self, units: &[String]) -> Result<Vec<String>> {
        remove_others(units)?;
        let mut told = Vec::new();
        let mut pair = self
            .settled()
            .context("what was handed over before stays in use")?;
        loop {
            let mut new = Vec::new();
            for unit in units {
                if copy(unit, &pair)? {
                    new.push(unit.clone());
                }
            }
            if !new.is_empty() {
                // Not waited for: a unit that is starting waits for this.
                Tool::new("systemctl")
                    .args(["--no-block", "try-reload-or-restart"])
                    .args(&new)
                    .run()?;
                told.extend(new);
            }
            // What changed meanwhile, the path unit did not see.
            if self.read().is_ok_and(|now| now == pair) {
                return Ok(told);
            }
            pair = self.settled()?;
        }
    }

    /// Whether a unit's copy is of these files.
    pub fn is_with(&self, unit: &str) -> Result<bool> {
        let account = account(unit)?;
        Ok(files::read(paths::certificate(account))?.as_deref() == Some(&self.read()?[..]))
    }
}

fn account(unit: &str) -> Result<&'static str> {
    let account =
        certificate_reader(unit).with_context(|| format!("{unit} reads no certificate"))?;
    Ok(account.name)
}

/// Removes the copies of units that read none any more: their accounts are gone, and with time their numbers are
/// somebody else's.
fn remove_others(units: &[String]) -> Result<()> {
    let kept: BTreeSet<String> = units
        .iter()
        .map(|unit| account(unit).map(paths::certificate))
        .collect::<Result<_>>()?;
    let there = files::names(paths::TLS).into_iter();
    there
        .map(|name| format!("{}/{name}", paths::TLS))
        .filter(|path| !kept.contains(path))
        .try_for_each(files::remove)
}

/// Replaces the copy of a unit at once; whether it was another one.
fn copy(unit: &str, pair: &[u8]) -> Result<bool> {
    let account = account(unit)?;
    let path = paths::certificate(account);
    if files::read(&path)?.as_deref() == Some(pair) {
        return Ok(false);
    }
    files::replace(&path, pair, Access::of(account, account, 0o600)?)?;
    Ok(true)
}
