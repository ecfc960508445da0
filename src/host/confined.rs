//! Programs of service accounts. systemd runs each as a transient service, in the sandbox of the unit that it acts for.
//!
//! For example, Synapse's own parser reads the files that Synapse reads, and runs code that Synapse's account may have
//! changed. So it must have no more privileges than Synapse: the transient service has the properties of the unit file.

use crate::state::paths;
use crate::state::units;
use crate::state::{HOST, State};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Keys of a unit's `[Service]` section that describe how its own program is started, watched and stopped. The
/// transient service gets all other keys.
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

/// The sandbox of a unit of this program, for another program.
#[derive(Clone)]
pub struct Sandbox {
    /// The name of the transient service; `None` for a generated one.
    name: Option<String>,
    properties: Vec<String>,
    /// The socket and the unit of the fork server that provides the process, if one does.
    server: Option<[String; 2]>,
}

impl Sandbox {
    /// The sandbox of this unit in this state.
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
            server: None,
        })
    }

    /// The sandbox of a process of Synapse in this state: that of main, or that of workers on a host without main.
    ///
    /// # Errors
    /// When the state has neither.
    pub fn of_synapse(state: &State) -> Result<Self> {
        Self::like(units::MAIN, state).or_else(|_| Self::like(units::WORKERS, state))
    }

    /// Lets the fork server that a unit of this state starts from provide the process. The program must be one that
    /// fork servers know; it starts plainly if the fork server does not run or refuses. `None` if the unit itself
    /// starts plainly.
    pub fn forked_as(mut self, unit: &str, state: &State) -> Option<Self> {
        let drop_ins = format!("{HOST}{}/{}/", paths::UNITS, units::drop_ins(unit));
        let files = state.files.iter();
        let mut files = files.filter(|(path, _)| path.starts_with(&drop_ins));
        self.server = files.find_map(|(_, file)| server(&String::from_utf8_lossy(&file.contents)));
        let directory = format!("WorkingDirectory={}", paths::DATA);
        // As in the drop-in: without these, systemd does not make the forked process that of the service.
        let needed = ["Delegate=yes", "NotifyAccess=main", &directory];
        self.properties.extend(needed.map(str::to_owned));
        self.server.is_some().then_some(self)
    }

    /// Sets the name of the transient service. Only one run at a time can have this name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Adds a property (`Key=value`), or drops a property of the unit (`Key` alone), such as `SocketBindDeny`.
    pub fn property(mut self, text: &str) -> Self {
        match text.contains('=') {
            true => self.properties.push(text.to_owned()),
            false => self.properties.retain(|known| key(known) != Some(text)),
        }
        self
    }

    /// The command line of `systemd-run` for these words, and the transient service that it starts.
    pub(super) fn command(self, words: &[OsString], limit: Duration) -> (Vec<String>, String) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let own = format!("synapse-workers-task-{}-{number}", std::process::id());
        let unit = format!("{}.service", self.name.unwrap_or(own));
        let options = [
            "--quiet",
            "--pipe",
            "--wait",
            "--collect",
            "--no-ask-password",
        ];
        let mut command: Vec<String> = options.map(str::to_owned).into();
        command.push(format!("--unit={unit}"));
        command.push("--description=A task of synapse-workers".to_owned());
        let limit = format!("RuntimeMaxSec={}", limit.as_secs());
        let properties = self.properties.iter().chain([&limit]);
        command.extend(properties.map(|property| format!("--property={property}")));
        command.push("--".to_owned());
        if let Some(server) = self.server {
            command.push(paths::WARM_START.to_owned());
            command.extend(server);
            command.push(unit.clone());
        }
        // systemd expands variables in arguments.
        let words = words.iter().map(|word| word.to_string_lossy());
        command.extend(words.map(|word| word.replace('$', "$$")));
        (command, unit)
    }
}

/// The sandbox properties of a unit file, in the form of systemd-run.
fn properties(file: &str) -> Vec<String> {
    let section = file.split_once("[Service]").map_or("", |(_, rest)| rest);
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let kept = lines.filter(|line| key(line).is_some_and(|key| !OWN.contains(&key)));
    // In a unit file `%` begins a specifier and is doubled; over D-Bus it is not.
    kept.map(|line| line.replace("%%", "%")).collect()
}

/// The socket and the unit of the fork server in a drop-in.
fn server(drop_in: &str) -> Option<[String; 2]> {
    let start = format!("ExecStart=:{} ", paths::WARM_START);
    let command = drop_in.lines().find_map(|line| line.strip_prefix(&start))?;
    let mut words = command.split(' ').map(str::to_owned);
    Some([words.next()?, words.next()?])
}

/// The key of a line; `None` if the line is empty or a comment.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    (!key.starts_with('#')).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::{Sandbox, properties};
    use crate::state::{File, State, paths, units};
    use std::collections::BTreeSet;
    use std::time::Duration;

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

    #[test]
    fn the_fork_server_of_a_unit_is_asked_for_the_process() {
        let unit = "[Service]\nUser=synapse\nWorkingDirectory=/x\n";
        let start = format!(
            "{} /run/socket synapse-warm@host.service",
            paths::WARM_START
        );
        let drop_in = format!("[Service]\nExecStart=\nExecStart=:{start} %n python launcher\n");
        let mut state = State::default();
        for (name, text) in [
            (units::MAIN, unit),
            ("synapse-main.service.d/40-size.conf", unit),
            ("synapse-main.service.d/50-warm.conf", drop_in.as_str()),
        ] {
            let path = format!("host{}/{name}", paths::UNITS);
            let file = File::new(text.into(), BTreeSet::new());
            state.files.insert(path, file);
        }
        let sandbox = || Sandbox::like(units::MAIN, &state).unwrap().named("task");
        let forked = sandbox().forked_as(units::MAIN, &state).unwrap();
        let (command, _) = forked.command(&["python".into()], Duration::from_secs(1));
        let command = command.join(" ");
        let words = format!(" -- {start} task.service python");
        assert!(command.ends_with(&words), "{command}");
        for property in [
            "Delegate=yes",
            "NotifyAccess=main",
            "WorkingDirectory=/var/lib/synapse",
        ] {
            assert!(
                command.contains(&format!("--property={property} ")),
                "{command}"
            );
        }
        let plain = sandbox().forked_as("synapse-worker@a.service", &state);
        assert!(plain.is_none());
    }
}
