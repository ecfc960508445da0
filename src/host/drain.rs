//! Letting go: before a worker stops for good, nginx's processes of an earlier configuration end what they have with it.

use super::Host;
use super::files;
use crate::state::UnitState;
use crate::state::units;
use anyhow::Result;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long that may take. What lasts longer, such as somebody's slow download by another worker, is no reason to wait:
/// the worker that stops has a bound of its own for what is under way.
const PATIENCE: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_millis(50);
/// How often long polls are answered meanwhile: whoever got an answer asks again, by the new configuration.
const ASKED: u32 = 20;

impl Host {
    /// The processes of nginx that serve now. After a reload they do so for a moment more, and then end what they have.
    pub fn serving(&self) -> Result<BTreeSet<u32>> {
        Ok(children(self.systemd.process(units::NGINX)?.pid))
    }

    /// Waits until nginx has none of these processes left, which may send requests by the configuration before. They are
    /// kept by long polls, to whichever process, so all of Synapse's answer those.
    pub fn drain(&self, before: &BTreeSet<u32>) -> Result<()> {
        let nginx = self.systemd.process(units::NGINX)?.pid;
        let units = self.systemd.units()?;
        let serving =
            |(unit, state): &(&String, &UnitState)| units::is_synapse(unit) && state.active;
        let begun = Instant::now();
        for round in 0.. {
            if children(nginx).is_disjoint(before) || begun.elapsed() > PATIENCE {
                break;
            }
            if round % ASKED == 0 {
                for (unit, _) in units.iter().filter(serving) {
                    // A worker that ended since `units` was read has no long polls any more.
                    let _ = self.systemd.signal(unit, Signal::SIGWINCH);
                }
            }
            std::thread::sleep(INTERVAL);
        }
        Ok(())
    }
}

/// The processes that this one has started.
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
