//! The newest complete backup, and whether it is recent.

use super::super::backup::size;
use super::super::time::utc;
use crate::host::backup::{self, LastBackup};
use crate::report::Report;
use crate::settings::Settings;
use serde::Serialize;

/// The state of backups, if there are to be some.
#[derive(Serialize)]
pub struct Backups {
    repository: String,
    /// The newest complete backup; `None` before the first one.
    last: Option<LastBackup>,
    /// Whether it is older than `backup.max_age`; before the first one, whether there should be one by now.
    overdue: bool,
}

impl Backups {
    /// Reads the records of this host; `None` if no backups are configured.
    pub fn of(settings: &Settings) -> Option<Self> {
        let repository = settings.backup.repository.as_ref()?;
        Some(Self {
            repository: repository.as_str().to_owned(),
            last: backup::last(),
            overdue: backup::overdue(settings),
        })
    }

    /// Whether there is nothing to do.
    pub fn is_healthy(&self) -> bool {
        !self.overdue
    }

    /// Prints one line.
    pub fn print(&self, report: &Report) {
        let found = match &self.last {
            Some(last) => format!("{} of {}, {}", last.run, utc(last.time), size(last.bytes)),
            None => "none yet".to_owned(),
        };
        let cure = match self.overdue {
            true => "; overdue: journalctl -e -u synapse-backup, then: synapse-workers backup now",
            false => "",
        };
        report.say(format!("last backup in {}: {found}{cure}", self.repository));
    }
}
