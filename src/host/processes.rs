//! The processes of units, as systemd and the kernel report them.

use super::files;
use super::systemd::{Systemd, about, about_each};
use anyhow::Result;
use serde::Serialize;

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
    /// When the main process of each of these running services was started, in microseconds since 1970. The timestamps
    /// of the unit are not used: when systemd retries a failed start, they refer to the first attempt.
    pub fn started_at(&self, services: &[&str]) -> Result<Vec<u64>> {
        about_each(services, async |service| {
            let service = self.service(service).await?;
            service.exec_main_start_timestamp().await
        })
    }

    /// Whether the files or links of each of these units have changed since systemd loaded them (`NeedDaemonReload`).
    pub fn are_stale(&self, units: &[&str]) -> Result<Vec<bool>> {
        about_each(units, async |unit| {
            self.unit(unit).await?.need_daemon_reload().await
        })
    }

    /// The state of a unit's process, as `status` prints it.
    pub fn process(&self, unit: &str) -> Result<Process> {
        about(unit, self.process_of(unit))
    }

    /// The same for each of these units.
    pub fn processes(&self, units: &[&str]) -> Result<Vec<Process>> {
        about_each(units, async |unit| self.process_of(unit).await)
    }

    async fn process_of(&self, unit: &str) -> zbus::Result<Process> {
        let service = self.service(unit).await?;
        let unit = self.unit(unit).await?;
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

/// The memory of a process, in bytes (proc_pid_smaps_rollup(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Memory that no other process has.
    pub private: u64,
    /// Its share of the memory that it has in common with other processes: the sum for all of them is that memory.
    pub shared: u64,
}

impl Memory {
    /// Reads it; `None` if the process has ended or belongs to another account.
    pub fn of(process: u32) -> Option<Self> {
        let rollup = files::of_process(process, "smaps_rollup")?;
        Self::read(&String::from_utf8_lossy(&rollup))
    }

    fn read(rollup: &str) -> Option<Self> {
        let sum = |field: &str| -> u64 {
            let values = rollup.lines().filter_map(|line| line.strip_prefix(field));
            values.filter_map(kilobytes).sum()
        };
        // The proportional set size contains the private part.
        let pss = sum("Pss:");
        let private = sum("Private_Clean:") + sum("Private_Dirty:");
        (pss > 0).then(|| Self {
            private,
            shared: pss.saturating_sub(private),
        })
    }
}

/// Bytes in the rest of a line such as `VmRSS:  12 kB`.
fn kilobytes(text: &str) -> Option<u64> {
    let number: u64 = text.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(number * 1024)
}

/// Resident memory of a process in bytes (proc_pid_status(5)).
fn resident(pid: u32) -> Option<u64> {
    let status = files::of_process(pid, "status")?;
    let status = String::from_utf8_lossy(&status);
    let mut lines = status.lines();
    kilobytes(lines.find_map(|line| line.strip_prefix("VmRSS:"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_is_the_proportional_part_beyond_the_private_one() {
        let rollup = "55d-7ff ---p 00000000 00:00 0    [rollup]\nRss:       9000 kB\nPss:       5000 kB\n\
            Pss_Dirty:  4500 kB\nShared_Clean: 4000 kB\nPrivate_Clean:  1000 kB\nPrivate_Dirty:  2000 kB\n";
        let expected = Memory {
            private: 3000 * 1024,
            shared: 2000 * 1024,
        };
        assert_eq!(Memory::read(rollup), Some(expected));
        assert_eq!(Memory::read(""), None);
    }
}
