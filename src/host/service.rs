//! Services that do not belong to this program, as systemd reports them: whether they run or start at boot, and their
//! commands.

use super::systemd::{Systemd, about, about_each};
use anyhow::Result;

/// The user and the command of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceCommand {
    pub user: String,
    /// Program and arguments of the first ExecStart=.
    pub command: Vec<String>,
    /// WorkingDirectory=; the root directory if it is not set.
    pub directory: String,
}

impl Systemd {
    /// Whether the service exists.
    pub fn knows(&self, service: &str) -> Result<bool> {
        let state = about(service, async {
            self.unit(service).await?.load_state().await
        })?;
        Ok(state == "loaded")
    }

    /// Whether a service has processes, or is about to start some.
    pub fn runs(&self, service: &str) -> Result<bool> {
        let state = about(service, async {
            self.unit(service).await?.active_state().await
        })?;
        Ok(!matches!(state.as_str(), "inactive" | "failed"))
    }

    /// Whether a service starts at boot; `false` if it does not exist.
    pub fn is_enabled(&self, service: &str) -> Result<bool> {
        let states = self.file_states(&[service])?;
        Ok(states.iter().all(|state| state.starts_with("enabled")))
    }

    /// `enabled`, `disabled`, `masked` … for each of these units, as `systemctl is-enabled` prints it; empty for a unit
    /// without a file.
    pub fn file_states(&self, units: &[&str]) -> Result<Vec<String>> {
        about_each(units, async |unit| {
            match self.manager.get_unit_file_state(unit).await {
                Err(zbus::Error::MethodError(..)) => Ok(String::new()),
                state => state,
            }
        })
    }

    /// The user and the command of a service; `None` if it does not exist.
    pub fn command_of(&self, service: &str) -> Result<Option<ServiceCommand>> {
        if !self.knows(service)? {
            return Ok(None);
        }
        about(service, async {
            let service = self.service(service).await?;
            let command = service.exec_start().await?.into_iter().next();
            Ok(Some(ServiceCommand {
                user: service.user().await?,
                command: command.map_or_else(Vec::new, |command| command.1),
                directory: match service.working_directory().await? {
                    path if path.starts_with('/') => path,
                    _ => "/".to_owned(),
                },
            }))
        })
    }

    /// The unit that a process belongs to; `None` if systemd knows none.
    pub fn unit_of(&self, pid: u32) -> Option<String> {
        zbus::block_on(async {
            let path = self.manager.get_unit_by_pid(pid).await?;
            self.unit_at(path).await?.id().await
        })
        .ok()
    }
}
