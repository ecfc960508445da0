//! Draining: before a worker stops permanently, the nginx processes of an earlier configuration finish their in-flight
//! requests to it.

use super::Host;
use super::files;
use crate::state::UnitState;
use crate::state::units;
use anyhow::Result;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The timeout of the drain. A request that takes longer, such as a slow download through another worker, does not
/// delay the change: the worker that stops has its own timeout for in-flight requests.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_millis(50);
/// How long nginx may take to put new processes in place of the previous ones after a reload. It waits 100 ms between the two.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The end of the title of an nginx process that accepts no connections any more (ngx_process_cycle.c).
const LEAVING: &str = "is shutting down";
/// Intervals between two requests to answer long polls. A client that received its answer polls again, through the new
/// configuration.
const LONG_POLL_ROUNDS: u32 = 20;

impl Host {
    /// The nginx processes that serve now. After a reload they accept for a moment longer, and then finish their
    /// in-flight requests.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub fn serving(&self) -> Result<BTreeSet<u32>> {
        Ok(children(self.systemd.process(units::NGINX)?.pid))
    }

    /// Waits until none of these nginx processes accepts connections any more, so that every new connection meets the
    /// configuration that nginx has loaded. systemd considers a reload finished when nginx has received the signal. After
    /// the timeout it returns as well: verification names an nginx that has not loaded its configuration.
    pub fn await_reload(before: &BTreeSet<u32>) {
        wait(RELOAD_TIMEOUT, |_| {
            !before.iter().any(|process| accepts(*process))
        });
    }

    /// Waits until nginx has none of these processes left, since they may still send requests by the previous
    /// configuration. Long polls to any process of Synapse keep them alive, so all processes of Synapse answer theirs.
    ///
    /// # Errors
    /// When systemd does not answer. A process that is left after the timeout is no error.
    pub fn drain(&self, before: &BTreeSet<u32>) -> Result<()> {
        let nginx = self.systemd.process(units::NGINX)?.pid;
        let units = self.systemd.units()?;
        let serving =
            |(unit, state): &(&String, &UnitState)| units::is_synapse(unit) && state.active;
        wait(DRAIN_TIMEOUT, |round| {
            let drained = children(nginx).is_disjoint(before);
            if !drained && round % LONG_POLL_ROUNDS == 0 {
                for (unit, _) in units.iter().filter(serving) {
                    // A worker that exited since `units` was read has no long polls left.
                    let _ = self.systemd.signal(unit, Signal::SIGWINCH);
                }
            }
            drained
        });
        Ok(())
    }
}

/// Asks in intervals until the answer is yes, or until the timeout. The question gets the number of its round, from 0 on.
fn wait(timeout: Duration, mut is_done: impl FnMut(u32) -> bool) {
    let start = Instant::now();
    for round in 0.. {
        if start.elapsed() > timeout || is_done(round) {
            break;
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Whether a process of nginx is there and not about to exit.
fn accepts(process: u32) -> bool {
    let title = files::of_process(process, "cmdline").unwrap_or_default();
    let title = String::from_utf8_lossy(&title);
    let title = title.trim_end_matches(['\0', ' ']);
    !title.is_empty() && !title.ends_with(LEAVING)
}

/// The child processes of a process.
fn children(parent: u32) -> BTreeSet<u32> {
    let line = format!("PPid:\t{parent}");
    let is_child = |process: &u32| {
        let status = files::of_process(*process, "status").unwrap_or_default();
        String::from_utf8_lossy(&status)
            .lines()
            .any(|one| one == line)
    };
    let processes = files::names("/proc").into_iter();
    let numbers = processes.filter_map(|name| name.parse().ok());
    numbers.filter(is_child).collect()
}
