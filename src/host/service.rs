//! Services that do not belong to this program, as systemd reports them: whether they run or start at boot, and their
//! commands.

use super::Systemd;
use anyhow::{Context, Result};
use zbus::OwnedObjectPath;
use zbus::proxy::CacheProperties;

/// Path, arguments, whether failures are ignored, then times and numbers of the last run.
type Command = (String, Vec<String>, bool, u64, u64, u64, u64, u32, i32, i32);

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    #[zbus(name = "GetUnitByPID")]
    fn get_unit_by_pid(&self, pid: u32) -> zbus::Result<OwnedObjectPath>;
    fn get_unit_file_state(&self, file: &str) -> zbus::Result<String>;
}

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Unit",
    default_service = "org.freedesktop.systemd1"
)]
trait Unit {
    #[zbus(property)]
    fn id(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn load_state(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn active_state(&self) -> zbus::Result<String>;
}

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Service",
    default_service = "org.freedesktop.systemd1"
)]
trait Service {
    #[zbus(property)]
    fn exec_start(&self) -> zbus::Result<Vec<Command>>;
    #[zbus(property)]
    fn user(&self) -> zbus::Result<String>;
}

/// The user and the command of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    pub user: String,
    /// Program and arguments of the first ExecStart=.
    pub command: Vec<String>,
}

impl Systemd {
    /// Whether the service exists.
    pub fn knows(&self, service: &str) -> Result<bool> {
        let state = zbus::block_on(async {
            let unit = self.unit(self.path(service).await?);
            unit.await?.load_state().await
        });
        Ok(about(service, state)? == "loaded")
    }

    /// Whether a service has processes, or is about to start some.
    pub fn runs(&self, service: &str) -> Result<bool> {
        let state = zbus::block_on(async {
            let unit = self.unit(self.path(service).await?);
            unit.await?.active_state().await
        });
        Ok(!matches!(
            about(service, state)?.as_str(),
            "inactive" | "failed"
        ))
    }

    /// Whether a service starts at boot; `false` if it does not exist.
    pub fn is_enabled(&self, service: &str) -> Result<bool> {
        Ok(self.file_state(service)?.starts_with("enabled"))
    }

    /// `enabled`, `disabled`, `masked` …, as `systemctl is-enabled` prints it; empty for a unit without a file.
    pub fn file_state(&self, unit: &str) -> Result<String> {
        let state = zbus::block_on(async { self.others().await?.get_unit_file_state(unit).await });
        match state {
            Err(zbus::Error::MethodError(..)) => Ok(String::new()),
            state => about(unit, state),
        }
    }

    /// The user and the command of a service; `None` if it does not exist.
    pub fn started_by(&self, service: &str) -> Result<Option<Started>> {
        if !self.knows(service)? {
            return Ok(None);
        }
        let started = zbus::block_on(async {
            let path = self.path(service).await?;
            let service = ServiceProxy::builder(&self.connection)
                .path(path)
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            let command = service.exec_start().await?.into_iter().next();
            zbus::Result::Ok(Started {
                user: service.user().await?,
                command: command.map_or_else(Vec::new, |command| command.1),
            })
        });
        about(service, started).map(Some)
    }

    /// The unit that a process belongs to; `None` if systemd knows none.
    pub fn unit_of(&self, pid: u32) -> Option<String> {
        zbus::block_on(async {
            let unit = self.unit(self.others().await?.get_unit_by_pid(pid).await?);
            unit.await?.id().await
        })
        .ok()
    }

    /// The D-Bus path of a unit. systemd loads the unit if necessary.
    pub(super) async fn path(&self, unit: &str) -> zbus::Result<OwnedObjectPath> {
        self.others().await?.load_unit(unit).await
    }

    async fn others(&self) -> zbus::Result<ManagerProxy<'_>> {
        ManagerProxy::new(&self.connection).await
    }

    async fn unit(&self, path: OwnedObjectPath) -> zbus::Result<UnitProxy<'_>> {
        UnitProxy::builder(&self.connection)
            .path(path)
            .cache_properties(CacheProperties::No)
            .build()
            .await
    }
}

fn about<T>(service: &str, answer: zbus::Result<T>) -> Result<T> {
    answer.with_context(|| format!("asking systemd about {service}"))
}
