//! Whether the process of a unit has what the unit promises: sandbox, user, limits, control group.
//!
//! A process that was started before its unit changed, or by other means than its unit, may have something else. systemd
//! names the promises, and the kernel what the process has (proc(5)).

mod kernel;
mod table;

pub use kernel::Seen;
pub use table::{Difference, differences};

use super::systemd::Systemd;
use anyhow::Result;
use std::collections::HashMap;
use zbus::OwnedVariant;

/// The properties of a service, as systemd names them.
#[derive(Debug, Default)]
pub struct Promises(HashMap<String, OwnedVariant>);

impl Promises {
    /// The value of a property; `None` if this systemd does not have it.
    fn get<T: TryFrom<OwnedVariant>>(&self, name: &str) -> Option<T> {
        let value = self.0.get(name)?.try_clone().ok()?;
        T::try_from(value).ok()
    }

    /// Whether a switch is on.
    fn is_on(&self, name: &str) -> bool {
        self.get(name).unwrap_or(false)
    }
}

impl From<HashMap<String, OwnedVariant>> for Promises {
    fn from(properties: HashMap<String, OwnedVariant>) -> Self {
        Self(properties)
    }
}

impl Systemd {
    /// What a unit promises, and its main process.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub fn promises(&self, unit: &str) -> Result<(Promises, u32)> {
        let promises = Promises(self.service_properties(unit)?);
        let pid = promises.get("MainPID").unwrap_or(0);
        Ok((promises, pid))
    }
}
