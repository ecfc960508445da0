//! How processes started, and why.

use crate::host::{self, Process};
use crate::render::warm::decision::{Decision, Mode};
use crate::report::outln;
use crate::request::Request;
use crate::settings::types::WarmMode;
use crate::state::units;
use crate::state::{HostFacts, State};
use serde::Serialize;

/// The mode of the generation in use, and the processes that it applies to.
#[derive(Serialize)]
pub(super) struct Warm {
    #[serde(flatten)]
    decision: Decision,
    /// The number of running processes that were forked.
    forked: usize,
    /// Running processes that were to be forked and started plainly.
    plain: Vec<Plain>,
}

/// A process that was to be forked and started plainly.
#[derive(Serialize)]
struct Plain {
    unit: String,
    /// The reason in its log; absent if the log no longer has it.
    reason: Option<String>,
}

impl Warm {
    /// Looks at the running processes of the generation in use. Only root sees how they started.
    pub(super) fn find(known: &Request, state: &State, processes: &[(&str, Process)]) -> Self {
        let facts = match known.settings.warm.mode == WarmMode::Off {
            true => HostFacts::default(),
            false => host::warm::facts(&known.deployment),
        };
        let decision = Decision::of(&known.input(&facts));
        let mut found = Self {
            decision,
            forked: 0,
            plain: Vec::new(),
        };
        let warm = |unit: &str| {
            units::is_synapse(unit) && state.files.contains_key(&units::warm_drop_in(unit))
        };
        let running = processes.iter().filter(|(_, process)| process.pid > 0);
        for (unit, process) in running.filter(|(unit, _)| warm(unit)) {
            match host::warm::is_forked(process.pid) {
                Some(true) => found.forked += 1,
                Some(false) => found.plain.push(Plain {
                    unit: (*unit).to_owned(),
                    reason: host::warm::reason_of_plain_start(process.pid),
                }),
                None => {}
            }
        }
        found
    }

    /// Prints nothing if each process imports Synapse itself because the settings say so.
    pub(super) fn print(&self) {
        if self.decision.mode == Mode::Off {
            if self.decision.is_automatic {
                outln!("warm start: {}", self.decision);
            }
            return;
        }
        outln!(
            "warm start: {}; {} processes are forked",
            self.decision,
            self.forked
        );
        for Plain { unit, reason } in &self.plain {
            let reason = reason.as_deref().unwrap_or("the log no longer says why");
            outln!("  {unit} started plainly: {reason}");
        }
    }
}
