//! Jobs over D-Bus: a real `dbus-daemon` on a private socket, and a fake systemd on it whose units behave as their
//! names say.

use super::validators::program;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use synapse_workers::host::{JobsFailed, Systemd};
use synapse_workers::plan::step::Verb;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, DBusError, ObjectPath, OwnedObjectPath};

/// Longer than any operation in these tests. An operation that exceeds this timeout hangs.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The fake manager. Units are named `KIND@N`, and the kind determines the outcome of a job.
struct Manager {
    jobs: u32,
    /// Requests received: method, unit, mode.
    requests: Sender<(&'static str, String, String)>,
    /// Jobs that end while the reply is being sent: number, unit, result.
    ending: Sender<(u32, String, &'static str)>,
}

/// systemd's own error for a unit that may not start (bus-common-errors.h).
#[derive(Debug, DBusError)]
#[zbus(prefix = "org.freedesktop.systemd1")]
enum Refusal {
    #[zbus(error)]
    ZBus(zbus::Error),
    UnitMasked(String),
}

impl Manager {
    async fn job(
        &mut self,
        method: &'static str,
        unit: String,
        mode: String,
        emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refusal> {
        self.jobs += 1;
        let number = self.jobs;
        let kind = unit.split('@').next().unwrap_or_default().to_owned();
        self.requests.send((method, unit.clone(), mode)).unwrap();
        match kind.as_str() {
            "masked" => return Err(Refusal::UnitMasked(format!("Unit {unit} is masked."))),
            "unanswered" => futures_lite::future::pending().await,
            "endless" => {}
            "early" => end(&emitter, number, &unit, "done").await,
            "noisy" => {
                // More jobs of other programs than a queue of signals holds.
                for other in 0..500 {
                    end(&emitter, 1_000_000 + other, "cron.service", "failed").await;
                }
                end(&emitter, number, &unit, "done").await;
            }
            "needy" => self.ending.send((number, unit, "dependency")).unwrap(),
            "failed" => self.ending.send((number, unit, "failed")).unwrap(),
            "slow" => self.ending.send((number, unit, "timeout")).unwrap(),
            _ => self.ending.send((number, unit, "done")).unwrap(),
        }
        Ok(path(number).into())
    }
}

fn path(job: u32) -> ObjectPath<'static> {
    ObjectPath::try_from(format!("/org/freedesktop/systemd1/job/{job}")).unwrap()
}

async fn end(emitter: &SignalEmitter<'_>, job: u32, unit: &str, result: &str) {
    let ended = Manager::job_removed(emitter, job, path(job), unit, result);
    // The send fails if the bus has already ended, which is harmless.
    let _ = ended.await;
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&self) {}

    async fn start_unit(
        &mut self,
        unit: String,
        mode: String,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refusal> {
        self.job("StartUnit", unit, mode, emitter).await
    }

    async fn stop_unit(
        &mut self,
        unit: String,
        mode: String,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refusal> {
        self.job("StopUnit", unit, mode, emitter).await
    }

    async fn restart_unit(
        &mut self,
        unit: String,
        mode: String,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refusal> {
        self.job("RestartUnit", unit, mode, emitter).await
    }

    async fn reload_unit(
        &mut self,
        unit: String,
        mode: String,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refusal> {
        self.job("ReloadUnit", unit, mode, emitter).await
    }

    fn load_unit(&self, name: &str) -> OwnedObjectPath {
        match name {
            "socket@1.socket" => unit_path("failed"),
            "socket@2.socket" => unit_path("active"),
            _ => unit_path("service"),
        }
        .into()
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: ObjectPath<'_>,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

/// A unit of the fake manager: its state, and the units that it requires.
struct Unit {
    state: &'static str,
    requires: &'static [&'static str],
}

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn active_state(&self) -> &str {
        self.state
    }

    #[zbus(property)]
    fn requires(&self) -> Vec<&str> {
        self.requires.to_vec()
    }
}

const UNITS: [(&str, Unit); 3] = [
    (
        "service",
        Unit {
            state: "inactive",
            requires: &["socket@1.socket", "socket@2.socket"],
        },
    ),
    ("failed", socket("failed")),
    ("active", socket("active")),
];

const fn socket(state: &'static str) -> Unit {
    Unit {
        state,
        requires: &[],
    }
}

fn unit_path(name: &str) -> ObjectPath<'static> {
    ObjectPath::try_from(format!("/org/freedesktop/systemd1/unit/{name}")).unwrap()
}

/// A private bus. The daemon ends when this value is dropped.
pub struct Daemon {
    process: Child,
    pub address: String,
    _directory: tempfile::TempDir,
}

impl Daemon {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("{}/{name}", directory.path().display());
        let configuration = format!(
            "<busconfig><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
             <allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/>\
             </policy></busconfig>",
            at("bus")
        );
        std::fs::write(at("bus.conf"), configuration).unwrap();
        let mut process = program("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--print-address=1"])
            .args(["--config-file", &at("bus.conf")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null()) // it warns about limits that it cannot raise
            .spawn()
            .unwrap();
        // The daemon prints its address once it listens.
        let mut address = String::new();
        let output = process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        assert!(!address.is_empty(), "dbus-daemon did not start");
        Self {
            process,
            address,
            _directory: directory,
        }
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A bus with the fake manager on it. Both end when this value is dropped.
struct Bus {
    daemon: Daemon,
    requests: Receiver<(&'static str, String, String)>,
    _manager: Connection,
}

impl Bus {
    fn new() -> Self {
        let daemon = Daemon::new();
        let ((requests, requested), (ending, ended)) = (channel(), channel());
        let manager = Manager {
            jobs: 0,
            requests,
            ending,
        };
        let place = "/org/freedesktop/systemd1";
        let connection = zbus::connection::Builder::address(daemon.address.as_str());
        let connection = UNITS
            .into_iter()
            .fold(connection, |connection, (name, unit)| {
                connection.serve_at(unit_path(name), unit)
            });
        let connection = connection
            .serve_at(place, manager)
            .name("org.freedesktop.systemd1")
            .build();
        let connection = zbus::block_on(connection).unwrap();
        let emitter = SignalEmitter::new(&connection, place).unwrap().into_owned();
        std::thread::spawn(move || {
            for (job, unit, result) in ended {
                zbus::block_on(end(&emitter, job, &unit, result));
            }
        });
        Self {
            daemon,
            requests: requested,
            _manager: connection,
        }
    }

    /// Runs jobs in the background. The receiver gets their result.
    fn jobs(&self, verb: Verb, units: &[String]) -> Receiver<Result<(), String>> {
        let systemd = Systemd::connect_to(&self.daemon.address).unwrap();
        let (units, (sender, end)) = (units.to_vec(), channel());
        std::thread::spawn(move || {
            let result = systemd.jobs(verb, &units);
            sender.send(result.map_err(|error| format!("{error:#}")))
        });
        end
    }

    fn all(&self, verb: Verb, units: &[String]) -> Result<(), String> {
        self.jobs(verb, units)
            .recv_timeout(TIMEOUT)
            .expect("jobs hang")
    }

    fn request(&self) -> (&'static str, String, String) {
        self.requests
            .recv_timeout(TIMEOUT)
            .expect("systemd received no request")
    }
}

fn units(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{name}.service")).collect()
}

#[test]
fn every_verb_starts_its_job_and_waits_for_it() {
    let bus = Bus::new();
    for (verb, method) in [
        (Verb::Start, "StartUnit"),
        (Verb::Stop, "StopUnit"),
        (Verb::Restart, "RestartUnit"),
        (Verb::Reload, "ReloadUnit"),
    ] {
        assert_eq!(bus.all(verb, &units(&["good@1"])), Ok(()));
        let expected = (method, "good@1.service".to_owned(), "replace".to_owned());
        assert_eq!(bus.request(), expected);
    }
    assert_eq!(bus.all(Verb::Start, &[]), Ok(()));
}

#[test]
fn jobs_that_end_before_their_call_returns_are_noticed() {
    let bus = Bus::new();
    for kinds in [
        &["early@1"][..],
        &["early@1", "good@2", "early@3"],
        &["noisy@1", "good@2", "noisy@3"],
    ] {
        assert_eq!(bus.all(Verb::Start, &units(kinds)), Ok(()), "{kinds:?}");
    }
}

#[test]
fn the_error_names_every_failed_unit_with_its_result() {
    let bus = Bus::new();
    let kinds = ["good@1", "masked@2", "failed@3", "early@4", "slow@5"];
    let error = bus.all(Verb::Start, &units(&kinds)).unwrap_err();
    for part in [
        "could not start",
        "masked@2.service (Unit masked@2.service is masked.)",
        "failed@3.service (failed)",
        "slow@5.service (timeout)",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(
        !error.contains("good@1") && !error.contains("early@4"),
        "{error}"
    );
    // Every job was requested, regardless of the result of earlier ones.
    let requested: Vec<String> = kinds.iter().map(|_| bus.request().1).collect();
    assert_eq!(requested, units(&kinds));
}

/// The journal of a service whose socket could not be opened contains old messages only.
#[test]
fn the_cause_of_a_failed_dependency_is_the_failed_unit() {
    let bus = Bus::new();
    let systemd = Systemd::connect_to(&bus.daemon.address).unwrap();
    let names = units(&["needy@1", "good@2", "failed@3", "needy@4"]);
    let error = systemd.jobs(Verb::Start, &names).unwrap_err();
    let failed: &JobsFailed = error.downcast_ref().unwrap();
    assert_eq!(failed.units.len(), 3, "{error}");
    let causes: BTreeSet<String> = failed.causes(&systemd).into_iter().collect();
    let expected = ["failed@3.service", "socket@1.socket"].map(str::to_owned);
    assert_eq!(causes, expected.into());
}

#[test]
fn three_hundred_jobs_run_at_once() {
    let bus = Bus::new();
    for kind in ["good", "early"] {
        let names: Vec<String> = (0..300)
            .map(|number| format!("{kind}@{number}.service"))
            .collect();
        assert_eq!(bus.all(Verb::Restart, &names), Ok(()), "{kind}");
    }
}

#[test]
fn a_lost_bus_is_an_error() {
    for kind in ["endless@1", "unanswered@1"] {
        let mut bus = Bus::new();
        let end = bus.jobs(Verb::Start, &units(&["good@0", kind]));
        bus.request();
        bus.request();
        bus.daemon.kill();
        let result = end.recv_timeout(TIMEOUT).expect("jobs hang");
        let error = result.unwrap_err();
        assert!(
            error.starts_with("asking systemd to start units"),
            "{error}"
        );
        let again = Systemd::connect_to(&bus.daemon.address)
            .map(drop)
            .unwrap_err();
        assert!(
            again.to_string().contains("cannot reach systemd"),
            "{again}"
        );
    }
}
