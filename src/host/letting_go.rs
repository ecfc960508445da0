//! Letting go: before a worker stops for good, nginx's processes of an earlier configuration end what they have with it.

use super::Host;
use super::files;
use crate::plan::names;
use crate::plan::state::UnitState;
use anyhow::Result;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// How long that may take. What lasts longer, such as somebody's slow download by another worker, is no reason to wait:
/// the worker that stops has a bound of its own for what is under way.
const PATIENCE: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_millis(50);
/// How often long polls are answered meanwhile: whoever got an answer asks again, by the new configuration.
const ASKED: u32 = 20;

impl Host {
    /// Waits until nginx has no process left that may send requests by the configuration before. They are kept by long
    /// polls, to whichever process, so all of Synapse's answer those.
    pub fn let_go(&self) -> Result<()> {
        let nginx = self.systemd.process(names::NGINX)?.pid;
        let units = self.systemd.units()?;
        let serving =
            |(unit, state): &(&String, &UnitState)| names::is_synapse(unit) && state.active;
        let begun = Instant::now();
        for round in 0.. {
            if !has_leaving(nginx) || begun.elapsed() > PATIENCE {
                break;
            }
            if round % ASKED == 0 {
                for (unit, _) in units.iter().filter(serving) {
                    self.systemd.signal(unit, Signal::SIGWINCH)?;
                }
            }
            std::thread::sleep(INTERVAL);
        }
        Ok(())
    }
}

/// Whether this nginx has processes that serve what they began before its last reload. They say so in their titles
/// (ngx_process_cycle.c).
fn has_leaving(nginx: u32) -> bool {
    let read = |name: &str, file: &str| {
        let text = std::fs::read(format!("/proc/{name}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    };
    let processes = files::names("/proc").into_iter();
    let mut leaving = processes.filter(|name| read(name, "cmdline").contains("is shutting down"));
    let parent = format!("PPid:\t{nginx}");
    leaving.any(|name| read(&name, "status").lines().any(|line| line == parent))
}
