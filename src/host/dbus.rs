//! The D-Bus interfaces of systemd, as far as this program uses them: org.freedesktop.systemd1(5).

use std::collections::HashMap;
use zbus::fdo::PropertiesProxy;
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

/// The interface of the properties that only services have.
const SERVICE: &str = "org.freedesktop.systemd1.Service";

/// Name, description, load state, active state, sub state, followed unit, path, job id, job type, job path.
pub(super) type ListedUnit = (
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

/// Path, arguments, whether failures are ignored, then times and numbers of the last run.
type Command = (String, Vec<String>, bool, u64, u64, u64, u64, u32, i32, i32);

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub(super) trait Manager {
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
    fn get_unit_file_state(&self, file: &str) -> zbus::Result<String>;
    fn list_units_by_patterns(
        &self,
        states: &[&str],
        patterns: &[&str],
    ) -> zbus::Result<Vec<ListedUnit>>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn attach_processes_to_unit(
        &self,
        unit: &str,
        control_group: &str,
        processes: &[u32],
    ) -> zbus::Result<()>;
    /// Control group, process ID and command line of each process.
    fn get_unit_processes(&self, name: &str) -> zbus::Result<Vec<(String, u32, String)>>;
    #[zbus(name = "GetUnitByPID")]
    fn get_unit_by_pid(&self, pid: u32) -> zbus::Result<OwnedObjectPath>;
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
pub(super) trait Unit {
    #[zbus(property)]
    fn id(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn load_state(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn active_state(&self) -> zbus::Result<String>;
    /// The units without which it does not start.
    #[zbus(property)]
    fn requires(&self) -> zbus::Result<Vec<String>>;
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
pub(super) trait Service {
    #[zbus(property)]
    fn exec_start(&self) -> zbus::Result<Vec<Command>>;
    #[zbus(property)]
    fn user(&self) -> zbus::Result<String>;
    /// With a leading `!` or `-` if it may be missing.
    #[zbus(property)]
    fn working_directory(&self) -> zbus::Result<String>;
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> zbus::Result<u32>;
    /// Microseconds since 1970.
    #[zbus(property)]
    fn exec_main_start_timestamp(&self) -> zbus::Result<u64>;
    #[zbus(property)]
    fn memory_current(&self) -> zbus::Result<u64>;
    #[zbus(property, name = "CPUUsageNSec")]
    fn cpu_usage(&self) -> zbus::Result<u64>;
}

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Timer",
    default_service = "org.freedesktop.systemd1"
)]
pub(super) trait Timer {
    /// Microseconds of the monotonic clock.
    #[zbus(property, name = "NextElapseUSecMonotonic")]
    fn next_elapse(&self) -> zbus::Result<u64>;
}

/// All properties of a unit that only services have, by their names.
pub(super) async fn service_properties(
    connection: &Connection,
    manager: &ManagerProxy<'_>,
    unit: &str,
) -> zbus::Result<HashMap<String, OwnedVariant>> {
    let properties = PropertiesProxy::builder(connection)
        .destination("org.freedesktop.systemd1")
        .path(manager.load_unit(unit).await?)
        .build()
        .await?;
    Ok(properties.get_all(SERVICE.try_into()?).await?)
}
