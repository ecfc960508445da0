//! Operations on the host, tested on temporary files and with a fake systemd.

use super::bus::Daemon;
use super::validators::program;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use synapse_workers::converge::verify::Expected;
use synapse_workers::converge::{Goal, OnHost, World};
use synapse_workers::host::facts::Facts;
use synapse_workers::host::{self, Host, Systemd};
use synapse_workers::plan::step::Step;
use synapse_workers::plan::{Removal, SettingsChange, Target};
use synapse_workers::state::State;
use zbus::{Connection, OwnedObjectPath, fdo};

type ListedUnit = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

const UNIT: &str = "/org/freedesktop/systemd1/unit/any";

fn any() -> OwnedObjectPath {
    OwnedObjectPath::try_from(UNIT).unwrap()
}

/// A fake systemd that lists Synapse processes which have ended in the meantime.
struct Manager {
    /// Units to which a signal was sent.
    signalled: Sender<String>,
    /// The process ID of an nginx worker that ends when a signal is sent to Synapse.
    waiting: u32,
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&self) {}

    fn load_unit(&self, _name: &str) -> OwnedObjectPath {
        any()
    }

    fn list_units_by_patterns(
        &self,
        _states: Vec<String>,
        _patterns: Vec<String>,
    ) -> Vec<ListedUnit> {
        let active = |name: &str| {
            let text = String::new;
            (
                name.to_owned(),
                text(),
                text(),
                "active".to_owned(),
                text(),
                text(),
                any(),
                0,
                text(),
                any(),
            )
        };
        ["synapse-main.service", "synapse-worker@a.service"]
            .map(active)
            .into()
    }

    fn kill_unit(&self, unit: String, _whom: &str, _signal: i32) -> fdo::Result<()> {
        let mut kill = program("kill");
        assert!(
            kill.arg(self.waiting.to_string())
                .stderr(Stdio::null())
                .status()
                .is_ok()
        );
        let text = format!("Unit {unit} not loaded.");
        self.signalled.send(unit).unwrap();
        Err(fdo::Error::Failed(text))
    }
}

/// The properties of nginx's unit.
struct Nginx;

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl Nginx {
    #[zbus(property)]
    fn active_state(&self) -> String {
        "active".to_owned()
    }

    #[zbus(property)]
    fn active_enter_timestamp(&self) -> u64 {
        1
    }
}

struct Service(u32);

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        self.0
    }

    #[zbus(property)]
    fn memory_current(&self) -> u64 {
        1
    }
}

/// A host whose nginx has a process that ends when a signal is sent to Synapse.
struct FakeHost {
    host: Host,
    signalled: Receiver<String>,
    waiting: u32,
    nginx: Child,
    _manager: Connection,
    _daemon: Daemon,
}

impl FakeHost {
    fn new() -> Self {
        let mut nginx = program("sh")
            .args(["-c", "sleep 600 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut waiting = String::new();
        let output = nginx.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut waiting).unwrap();
        let waiting = waiting.trim().parse().unwrap();
        let daemon = Daemon::new();
        let (signal, signalled) = channel();
        let manager = Manager {
            signalled: signal,
            waiting,
        };
        let connection = zbus::connection::Builder::address(daemon.address.as_str())
            .serve_at("/org/freedesktop/systemd1", manager)
            .serve_at(UNIT, Nginx)
            .serve_at(UNIT, Service(nginx.id()))
            .name("org.freedesktop.systemd1")
            .build();
        let connection = zbus::block_on(connection).unwrap();
        Self {
            host: Host {
                facts: Facts::default(),
                systemd: Systemd::connect_to(&daemon.address).unwrap(),
            },
            signalled,
            waiting,
            nginx,
            _manager: connection,
            _daemon: daemon,
        }
    }
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        let _ = program("kill")
            .arg(self.waiting.to_string())
            .stderr(Stdio::null())
            .status();
        let _ = self.nginx.wait();
    }
}

/// At that point the change has been applied. Verification detects a worker that crashed meanwhile.
#[test]
fn a_crashed_worker_does_not_fail_the_drain_of_nginx() {
    let fake = FakeHost::new();
    let leaving = fake.host.serving().unwrap();
    assert_eq!(leaving, BTreeSet::from([fake.waiting]));
    fake.host.drain(&leaving).unwrap();
    let signalled: Vec<String> = fake.signalled.try_iter().take(2).collect();
    assert_eq!(
        signalled,
        ["synapse-main.service", "synapse-worker@a.service"]
    );
    assert!(fake.host.serving().unwrap().is_disjoint(&leaving));
}

/// An account and a group to which this test may give a file. Root may use any.
fn other_account(directory: &Path) -> (u32, u32) {
    let own = fs::metadata(directory).unwrap();
    match own.uid() {
        0 => (12_345, 23_456),
        user => {
            let groups = nix::unistd::getgroups().unwrap_or_default();
            let other = groups
                .iter()
                .map(|group| group.as_raw())
                .find(|group| *group != own.gid());
            (user, other.unwrap_or(own.gid()))
        }
    }
}

#[test]
fn a_rewritten_settings_file_keeps_its_owner_and_mode() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("settings.yaml");
    let (user, group) = other_account(directory.path());
    fs::write(&path, "before").unwrap();
    chown(&path, Some(user), Some(group)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    host::rewrite(&path, b"after").unwrap();
    let found = fs::metadata(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "after");
    let access = (found.uid(), found.gid(), found.mode() & 0o7777);
    assert_eq!(access, (user, group, 0o640));
}

/// If /etc is read-only, a run changes nothing there, and its rollback must not add another error.
#[test]
fn the_rollback_does_not_write_an_unchanged_settings_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("settings.yaml");
    let fake = FakeHost::new();
    let mut on_host = OnHost::new(&fake.host);
    let mut restore = |before: Option<&str>| {
        let change = SettingsChange {
            path: path.clone(),
            before: before.map(str::to_owned),
            after: Some("after".to_owned()),
            what: "workers".to_owned(),
            copy: None,
        };
        on_host.restore_settings(&change)
    };
    let file = || fs::metadata(&path).unwrap().ino();
    fs::write(&path, "before").unwrap();
    let untouched = file();
    restore(Some("before")).unwrap();
    assert_eq!(file(), untouched);
    fs::write(&path, "after").unwrap();
    restore(Some("before")).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    restore(None).unwrap();
    assert!(!path.exists());
    // There is no file to remove, and the directory does not exist either.
    drop(directory);
    restore(None).unwrap();
}

/// A rollback replaces a settings file with the text of a generation; comments that no generation contains stay on the
/// host in a copy that only root can read.
#[test]
fn a_settings_file_that_no_generation_contains_is_saved_before_it_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("settings.yaml");
    let copy = directory.path().join("settings.yaml.before-rollback.1");
    fs::write(&path, "# new comment\na: 1\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let fake = FakeHost::new();
    let goal = Goal {
        desired: &State::default(),
        target: Target::Generation(1),
        removal: Removal::Keep,
        moving: None,
        settings: Some(SettingsChange {
            path: path.clone(),
            before: Some("# new comment\na: 1\n".to_owned()),
            after: Some("a: 1\n".to_owned()),
            what: String::new(),
            copy: Some(copy.clone()),
        }),
        settings_text: String::new(),
        summary: String::new(),
        expected: Expected::default(),
    };
    let step = Step::WriteSettings {
        path: path.display().to_string(),
        what: String::new(),
    };
    OnHost::new(&fake.host).apply(&step, &goal).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "a: 1\n");
    assert_eq!(fs::read_to_string(&copy).unwrap(), "# new comment\na: 1\n");
    assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o077, 0);
}
