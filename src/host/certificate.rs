//! The certificate and its key: nginx's validation of the pair, and the copies for the services that read them.

use super::files::{self, Access, Scratch};
use super::tools::{self, Tool};
use crate::settings::Settings;
use crate::state::accounts::certificate_reader;
use crate::state::paths;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The paths of certificate and key in the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The certificate with its chain, in PEM (`tls.certificate`).
    pub certificate: PathBuf,
    /// The private key of the certificate, in PEM and without a passphrase (`tls.key`).
    pub key: PathBuf,
}

/// How long to wait for the second file while a certificate is renewed. A later change starts this program again. nginx
/// waits the same time when it starts.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(2);

impl Pair {
    /// The pair of the settings, if they have one.
    pub fn of(settings: &Settings) -> Option<Self> {
        let (certificate, key) = settings.tls.files()?;
        Some(Self {
            certificate: certificate.into(),
            key: key.into(),
        })
    }

    /// Both files in one text, certificate first.
    pub(super) fn read(&self) -> Result<Vec<u8>> {
        let file = |setting: &str, path: &Path| {
            files::read(path)
                .and_then(|contents| {
                    contents.with_context(|| format!("{} is missing", path.display()))
                })
                .with_context(|| setting.to_owned())
        };
        let mut pair = file("tls.certificate", &self.certificate)?;
        let key = file("tls.key", &self.key)?;
        // An encrypted key: PKCS #8 and the older format. A program that asks for the passphrase may wait for a
        // terminal.
        ensure!(
            !String::from_utf8_lossy(&key).contains("ENCRYPTED"),
            "tls.key: {} is encrypted with a password; nginx and coturn start without a terminal and need a key without one",
            self.key.display()
        );
        // One file may contain both; its chain must not occur twice.
        if self.key != self.certificate {
            pair.push(b'\n');
            pair.extend(key);
        }
        Ok(pair)
    }

    /// Both files in one text, if nginx accepts them as a pair.
    ///
    /// # Errors
    /// Names the file that is invalid, and the reason.
    pub fn validated(&self) -> Result<Vec<u8>> {
        let pair = self.read()?;
        // The directory is in memory, closed to other accounts and temporary, since it contains a private key.
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
            "tls.certificate {} and tls.key {} do not match\n{}",
            self.certificate.display(),
            self.key.display(),
            tools::tail(&output, 3)
        );
        Ok(pair)
    }

    /// Like [`Pair::validated`], but waits for the second file while both are being replaced.
    fn settled(&self) -> Result<Vec<u8>> {
        let start = Instant::now();
        loop {
            match self.validated() {
                Err(_) if start.elapsed() < RENEWAL_TIMEOUT => {
                    std::thread::sleep(Duration::from_millis(200));
                }
                result => return result,
            }
        }
    }

    /// Writes a copy for each of these units, and reloads or restarts the running ones whose copy has changed. Returns
    /// those with a changed copy.
    ///
    /// # Errors
    /// When the files do not match; the copies stay unchanged.
    pub fn install(&self, units: &[String]) -> Result<Vec<String>> {
        remove_others(units)?;
        let mut changed = Vec::new();
        let mut pair = self
            .settled()
            .context("the installed certificate stays in use")?;
        loop {
            let mut new = Vec::new();
            for unit in units {
                if copy(unit, &pair)? {
                    new.push(unit.clone());
                }
            }
            if !new.is_empty() {
                // This does not wait: a unit that is starting waits for this program.
                Tool::new("systemctl")
                    .args(["--no-block", "try-reload-or-restart"])
                    .args(&new)
                    .run()?;
                changed.extend(new);
            }
            // The path unit did not see changes from meanwhile.
            if self.read().is_ok_and(|now| now == pair) {
                return Ok(changed);
            }
            pair = self.settled()?;
        }
    }

    /// Whether a unit's copy equals these files.
    pub fn is_installed_for(&self, unit: &str) -> Result<bool> {
        let account = account(unit)?;
        Ok(files::read(paths::certificate(account))?.as_deref() == Some(&self.read()?[..]))
    }
}

fn account(unit: &str) -> Result<&'static str> {
    let account =
        certificate_reader(unit).with_context(|| format!("{unit} reads no certificate"))?;
    Ok(account.name)
}

/// Removes the copies of units that no longer read any: their accounts no longer exist, and other accounts may get
/// their numbers later.
fn remove_others(units: &[String]) -> Result<()> {
    let wanted: BTreeSet<String> = units
        .iter()
        .map(|unit| account(unit).map(paths::certificate))
        .collect::<Result<_>>()?;
    let names = files::names(paths::TLS).into_iter();
    names
        .map(|name| format!("{}/{name}", paths::TLS))
        .filter(|path| !wanted.contains(path))
        .try_for_each(files::remove)
}

/// Replaces the copy of a unit atomically. Returns whether it has changed.
fn copy(unit: &str, pair: &[u8]) -> Result<bool> {
    let account = account(unit)?;
    let path = paths::certificate(account);
    if files::read(&path)?.as_deref() == Some(pair) {
        return Ok(false);
    }
    files::replace(&path, pair, Access::of(account, account, 0o600)?)?;
    Ok(true)
}
