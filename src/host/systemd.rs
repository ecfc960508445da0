//! The systemd manager over D-Bus: the few calls that a plan needs. Interface: org.freedesktop.systemd1(5).

use super::{files, interruption};
use crate::failure::Failure;
use crate::plan::step::Verb;
use crate::state::UnitState;
use crate::state::services;
use anyhow::{Context, Result, bail};
use futures_lite::StreamExt;
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath};

/// Name, description, load state, active state, sub state, followed unit, path, job id, job type, job path.
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

/// Kind of change, link, target.
type LinkChanges = Vec<(String, String, String)>;

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    fn kill_unit(&self, name: &str, whom: &str, signal: i32) -> zbus::Result<()>;
    fn subscribe(&self) -> zbus::Result<()>;
    fn reload(&self) -> zbus::Result<()>;
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn reload_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;
    fn enable_unit_files(
        &self,
        files: &[&str],
        runtime: bool,
        force: bool,
    ) -> zbus::Result<(bool, LinkChanges)>;
    fn disable_unit_files(&self, files: &[&str], runtime: bool) -> zbus::Result<LinkChanges>;
    fn list_units_by_patterns(
        &self,
        states: &[&str],
        patterns: &[&str],
    ) -> zbus::Result<Vec<ListedUnit>>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    #[zbus(signal)]
    fn job_removed(
        &self,
        id: u32,
        job: OwnedObjectPath,
        unit: String,
        result: String,
    ) -> zbus::Result<()>;
}

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Unit",
    default_service = "org.freedesktop.systemd1"
)]
trait Unit {
    #[zbus(property)]
    fn active_state(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn need_daemon_reload(&self) -> zbus::Result<bool>;
    /// Microseconds since 1970.
    #[zbus(property)]
    fn active_enter_timestamp(&self) -> zbus::Result<u64>;
}

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Service",
    default_service = "org.freedesktop.systemd1"
)]
trait Service {
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> zbus::Result<u32>;
    /// Microseconds since 1970.
    #[zbus(property)]
    fn exec_main_start_timestamp(&self) -> zbus::Result<u64>;
    #[zbus(property)]
    fn memory_current(&self) -> zbus::Result<u64>;
}

/// Jobs that failed.
#[derive(Debug)]
pub struct JobsFailed {
    verb: Verb,
    /// Each unit and the result of its job.
    pub units: Vec<(String, String)>,
}

impl std::error::Error for JobsFailed {}

impl std::fmt::Display for JobsFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = self.units.iter();
        let units: Vec<String> = units
            .map(|(unit, result)| format!("{unit} ({result})"))
            .collect();
        write!(f, "could not {} {}", self.verb.word(), units.join(", "))
    }
}

/// A connection to the systemd manager.
#[derive(Clone)]
pub struct Systemd {
    pub(super) connection: Connection,
    manager: ManagerProxy<'static>,
}

/// The state of a process, as `status` prints it.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// `active`, `activating`, `failed` …
    pub state: String,
    /// The process ID; 0 when the unit is not running.
    pub pid: u32,
    /// Memory in bytes of the control group, or of the main process on hosts without memory accounting; `None` when the
    /// unit is not running.
    pub memory: Option<u64>,
    /// When the unit became active, in seconds since 1970.
    pub since: Option<u64>,
}

impl Systemd {
    /// Connects to the system bus.
    pub fn connect() -> Result<Self> {
        Self::over(Connection::system())
    }

    /// Connects to the manager on the bus at this address (`unix:path=…`).
    pub fn connect_to(address: &str) -> Result<Self> {
        Self::over(zbus::connection::Builder::address(address).build())
    }

    fn over(connection: impl Future<Output = zbus::Result<Connection>>) -> Result<Self> {
        zbus::block_on(async {
            let connection = connection.await?;
            let manager = ManagerProxy::new(&connection).await?;
            // systemd sends signals only to subscribers. One subscription per connection is enough.
            manager.subscribe().await?;
            anyhow::Ok(Self {
                connection,
                manager,
            })
        })
        .map_err(|error| -> anyhow::Error {
            Failure::failed(format!("cannot reach systemd over D-Bus: {error:#}"))
                .help("install `dbus`, then: systemctl start dbus.socket")
                .into()
        })
    }

    /// The units of this program that are loaded, active or failed. The links on disk decide whether a unit is enabled;
    /// systemd is not asked.
    pub fn units(&self) -> Result<BTreeMap<String, UnitState>> {
        let patterns = services::unit_patterns();
        let listed = zbus::block_on(self.manager.list_units_by_patterns(&[], &patterns))
            .context("asking systemd for units")?;
        let state = |unit: &ListedUnit| UnitState {
            active: matches!(unit.3.as_str(), "active" | "reloading"),
            changing: matches!(unit.3.as_str(), "activating" | "deactivating"),
            failed: unit.3 == "failed",
            enabled: false,
            stale: false,
        };
        Ok(listed
            .iter()
            .filter(|unit| unit.3 != "inactive")
            .map(|unit| (unit.0.clone(), state(unit)))
            .collect())
    }

    /// Makes systemd reload all unit files (`daemon-reload`).
    pub fn reload(&self) -> Result<()> {
        zbus::block_on(self.manager.reload()).context("systemctl daemon-reload")
    }

    pub fn enable(&self, units: &[String]) -> Result<()> {
        zbus::block_on(
            self.manager
                .enable_unit_files(&borrowed(units), false, true),
        )
        .map(drop)
        .context("enabling units; one that is masked takes `systemctl unmask` first")
    }

    pub fn disable(&self, units: &[String]) -> Result<()> {
        zbus::block_on(self.manager.disable_unit_files(&borrowed(units), false))
            .map(drop)
            .context("disabling units")
    }

    /// Starts a unit and does not wait for the job.
    pub fn begin(&self, unit: &str) -> Result<()> {
        zbus::block_on(self.manager.start_unit(unit, "replace"))
            .map(drop)
            .with_context(|| format!("starting {unit}"))
    }

    /// Sends a signal to the main process of a service.
    pub fn signal(&self, service: &str, signal: Signal) -> Result<()> {
        zbus::block_on(self.manager.kill_unit(service, "main", signal as i32))
            .with_context(|| format!("sending {signal} to {service}"))
    }

    /// Resets the failed state of units. A unit that systemd has unloaded already is not an error.
    pub fn reset_failed(&self, units: &[String]) {
        for unit in units {
            let _ = zbus::block_on(self.manager.reset_failed_unit(unit));
        }
    }

    /// Queues one job for each unit and waits for all of them. For units of `Type=notify`, a finished job means that
    /// the service is ready.
    ///
    /// # Errors
    /// Names every unit whose job failed, and the result of the job.
    pub fn jobs(&self, verb: Verb, units: &[String]) -> Result<()> {
        let results = zbus::block_on(self.queue(verb, units))
            .with_context(|| format!("asking systemd to {} units", verb.word()))?;
        if let Some(signal) = interruption::came() {
            bail!("{} by {signal}", interruption::ERROR);
        }
        let well = |result: &str| matches!(result, "done" | "skipped");
        let failed = results.into_iter().filter(|(_, result)| !well(result));
        let units: Vec<_> = failed.collect();
        match units.is_empty() {
            true => Ok(()),
            false => Err(JobsFailed { verb, units }.into()),
        }
    }

    /// Returns the result of each unit's job. It subscribes to the signal before it queues the first job, so that none
    /// is missed.
    async fn queue(&self, verb: Verb, units: &[String]) -> zbus::Result<Vec<(String, String)>> {
        let mut removed = self.manager.receive_job_removed().await?;
        let mut waiting: BTreeSet<String> = BTreeSet::new();
        let mut results = Vec::new();
        let mut ended: BTreeMap<String, (String, String)> = BTreeMap::new();
        // Signals are received while jobs are queued: a full queue of signals would block the replies behind it.
        let queueing = async {
            for unit in units {
                let job = match verb {
                    Verb::Start => self.manager.start_unit(unit, "replace").await,
                    Verb::Stop => self.manager.stop_unit(unit, "replace").await,
                    Verb::Restart => self.manager.restart_unit(unit, "replace").await,
                    Verb::Reload => self.manager.reload_unit(unit, "replace").await,
                };
                match job {
                    Ok(job) => drop(waiting.insert(job.to_string())),
                    // For example a masked unit. The error is reported with the others when their jobs have finished.
                    Err(zbus::Error::MethodError(_, text, _)) => {
                        results.push((unit.clone(), text.unwrap_or_default()));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        let collecting = async {
            loop {
                let job = next(&mut removed).await?;
                ended.insert(job.0, job.1);
            }
        };
        futures_lite::future::or(queueing, collecting).await?;
        let mut interrupted = std::pin::pin!(async {
            interruption::wait().await;
            Ok(None)
        });
        loop {
            waiting.retain(|job| match ended.remove(job) {
                Some(result) => {
                    results.push(result);
                    false
                }
                None => true,
            });
            if waiting.is_empty() {
                return Ok(results);
            }
            let job = async { next(&mut removed).await.map(Some) };
            match futures_lite::future::or(job, interrupted.as_mut()).await? {
                Some(job) => drop(ended.insert(job.0, job.1)),
                // The jobs continue; those of the rollback replace them.
                None => return Ok(results),
            }
        }
    }

    /// When the main process of a running service was started, in microseconds since 1970. The timestamps of the unit
    /// are not used: when systemd retries a failed start, they refer to the first attempt.
    pub fn begun(&self, service: &str) -> Result<u64> {
        let asked = async {
            let path = self.manager.load_unit(service).await?;
            self.service(path).await?.exec_main_start_timestamp().await
        };
        zbus::block_on(asked).with_context(|| format!("asking systemd about {service}"))
    }

    /// Whether the files or links of a unit have changed since systemd loaded them (`NeedDaemonReload`).
    pub fn is_stale(&self, unit: &str) -> Result<bool> {
        let asked = async {
            let path = self.manager.load_unit(unit).await?;
            self.properties_of(path).await?.need_daemon_reload().await
        };
        zbus::block_on(asked).with_context(|| format!("asking systemd about {unit}"))
    }

    async fn properties_of(&self, path: OwnedObjectPath) -> zbus::Result<UnitProxy<'_>> {
        UnitProxy::builder(&self.connection)
            .path(path)
            .cache_properties(CacheProperties::No)
            .build()
            .await
    }

    async fn service(&self, path: OwnedObjectPath) -> zbus::Result<ServiceProxy<'_>> {
        ServiceProxy::builder(&self.connection)
            .path(path)
            .cache_properties(CacheProperties::No)
            .build()
            .await
    }

    /// The state of a unit's process, as `status` prints it.
    pub fn process(&self, unit: &str) -> Result<Process> {
        zbus::block_on(self.properties(unit))
            .with_context(|| format!("asking systemd about {unit}"))
    }

    async fn properties(&self, unit: &str) -> zbus::Result<Process> {
        let path = self.manager.load_unit(unit).await?;
        let unit = self.properties_of(path.clone()).await?;
        let service = self.service(path).await?;
        let since = unit.active_enter_timestamp().await?;
        let pid = service.main_pid().await?;
        Ok(Process {
            state: unit.active_state().await?,
            pid,
            // systemd reports the maximum value for "unknown", as on hosts without memory accounting.
            memory: Some(service.memory_current().await?)
                .filter(|bytes| *bytes != u64::MAX)
                .or_else(|| resident(pid)),
            since: (since > 0).then_some(since / 1_000_000),
        })
    }
}

/// Waits for the next finished job and returns its path, its unit and its result.
async fn next(removed: &mut JobRemovedStream) -> zbus::Result<(String, (String, String))> {
    let Some(signal) = removed.next().await else {
        return Err(zbus::Error::Failure("the bus closed the connection".into()));
    };
    let job = signal.args()?;
    Ok((job.job.to_string(), (job.unit.clone(), job.result.clone())))
}

/// Resident memory of a process in bytes (proc_pid_status(5)).
fn resident(pid: u32) -> Option<u64> {
    let status = files::of_process(pid, "status")?;
    let status = String::from_utf8_lossy(&status);
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn borrowed(units: &[String]) -> Vec<&str> {
    units.iter().map(String::as_str).collect()
}
