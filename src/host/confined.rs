//! Programs of service accounts: run by systemd as a transient service, in the sandbox of the unit that they stand for.
//!
//! Synapse's own parser reads what Synapse reads, and runs code that its account may have changed. So it may do no more than
//! Synapse itself may: the properties of the transient service are those of the unit file.

use super::tools::{Output, Tool};
use crate::paths;
use crate::plan::state::{HOST, State};
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How much longer systemd-run may take than the program that it waits for.
const GRACE: Duration = Duration::from_secs(30);

/// Keys of a unit's [Service] section that say how its own program is started, watched and stopped. Another program runs
/// with all others.
const OWN: &[&str] = &[
    "Type",
    "NotifyAccess",
    "PIDFile",
    "ExecStart",
    "ExecStartPre",
    "ExecStartPost",
    "ExecReload",
    "ExecStop",
    "KillSignal",
    "RestartKillSignal",
    "KillMode",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "Restart",
    "RestartSec",
    "RestartPreventExitStatus",
    "SuccessExitStatus",
    "SyslogIdentifier",
    "RuntimeDirectory",
    "RuntimeDirectoryPreserve",
    "WorkingDirectory",
    "NonBlocking",
    "LoadCredential",
    "FileDescriptorStoreMax",
];

/// A program in the sandbox of one of our units.
pub struct Confined {
    /// The name of the transient service, where that matters.
    name: Option<String>,
    properties: Vec<String>,
    program: Vec<String>,
    input: Vec<u8>,
    limit: Duration,
    interruptible: bool,
}

impl Confined {
    /// As the unit of this state is sandboxed.
    ///
    /// # Errors
    /// When the state has no such unit.
    pub fn like(unit: &str, state: &State) -> Result<Self> {
        let path = format!("{HOST}{}/{unit}", paths::UNITS);
        let file = state
            .files
            .get(&path)
            .with_context(|| format!("{path} was not rendered"))?;
        Ok(Self {
            name: None,
            properties: properties(&String::from_utf8_lossy(&file.contents)),
            program: Vec::new(),
            input: Vec::new(),
            limit: Duration::from_secs(120),
            interruptible: false,
        })
    }

    /// Gives the transient service this name, which then one run at a time can have.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Program and arguments.
    pub fn program<S: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        // systemd replaces variables in arguments.
        let words = words.into_iter();
        let words = words.map(|word| word.as_ref().to_string_lossy().replace('$', "$$"));
        self.program.extend(words);
        self
    }

    /// A property beside those of the unit, or without its value to drop one of them, such as `SocketBindDeny`.
    pub fn property(mut self, text: &str) -> Self {
        match text.contains('=') {
            true => self.properties.push(text.to_owned()),
            false => self.properties.retain(|known| key(known) != Some(text)),
        }
        self
    }

    /// See [`Tool::input`].
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// See [`Tool::within`].
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// See [`Tool::interruptible`].
    pub fn interruptible(mut self) -> Self {
        self.interruptible = true;
        self
    }

    /// Runs it and returns what it printed, whatever its exit status.
    ///
    /// # Errors
    /// As [`Tool::output`].
    pub fn output(self) -> Result<Output> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let own = format!("synapse-workers-task-{}-{number}", std::process::id());
        let unit = self.name.unwrap_or(own);
        let limit = format!("RuntimeMaxSec={}", self.limit.as_secs());
        let properties = self
            .properties
            .iter()
            .map(String::as_str)
            .chain([limit.as_str()]);
        let mut tool = Tool::new("systemd-run")
            .args([
                "--quiet",
                "--pipe",
                "--wait",
                "--collect",
                "--no-ask-password",
            ])
            .args([format!("--unit={unit}")])
            .args(["--description=A task of synapse-workers"])
            .args(properties.map(|property| format!("--property={property}")))
            .args(["--"])
            .args(&self.program)
            .input(self.input)
            .within(self.limit + GRACE);
        if self.interruptible {
            tool = tool.interruptible();
        }
        let output = tool.output();
        if output.is_err() {
            // systemd-run is gone; the service that it waited for is not.
            let _ = Tool::new("systemctl")
                .args(["stop", "--quiet", &format!("{unit}.service")])
                .output();
        }
        output
    }

    /// Runs it and returns its standard output.
    ///
    /// # Errors
    /// When it fails, with the end of what it printed, among others.
    pub fn run(self) -> Result<String> {
        let name = self.program.first().cloned().unwrap_or_default();
        let output = self.output()?;
        anyhow::ensure!(
            output.status.success(),
            "{name} failed ({})\n{}",
            output.status,
            super::tools::tail(&output, 12)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The sandbox of a unit file, as systemd-run takes it.
fn properties(file: &str) -> Vec<String> {
    let section = file.split_once("[Service]").map_or("", |(_, rest)| rest);
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let kept = lines.filter(|line| key(line).is_some_and(|key| !OWN.contains(&key)));
    // In a unit file `%` begins a specifier and is doubled; over D-Bus it is itself.
    kept.map(|line| line.replace("%%", "%")).collect()
}

/// The key of a line, unless that is empty or a comment.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    (!key.starts_with('#')).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::properties;

    #[test]
    fn the_sandbox_is_all_but_how_the_own_program_runs() {
        let file = "[Unit]\nDescription=x\n[Service]\nType=notify\nUser=synapse\n# A comment = none.\nExecStart=a\n\
                    ReadWritePaths=\"/a%%b\"\nSystemCallFilter=@x\nSystemCallFilter=~@y\n\n[Install]\nWantedBy=z\n";
        assert_eq!(
            properties(file),
            [
                "User=synapse",
                "ReadWritePaths=\"/a%b\"",
                "SystemCallFilter=@x",
                "SystemCallFilter=~@y"
            ]
        );
    }
}
