//! The part of the plan that starts, stops, restarts and reloads units.

use super::Target;
use super::planner::{Planner, collect};
use super::restarts::Restarts;
use super::step::{Step, Verb};
use crate::state::acme::Order;
use crate::state::units;
use std::collections::BTreeSet;

impl Planner<'_> {
    /// Jobs in stages, then disabling. `admit` has PostgreSQL admit the processes of other hosts, before these start.
    pub(super) fn unit_jobs(&self, admit: Option<Step>) -> Vec<Step> {
        let restarts = Restarts::new(self.desired, self.observed, &self.changes);
        let obsolete = || self.obsolete_units();
        let failed = collect(obsolete().filter_map(|(name, unit)| unit.failed.then_some(name)));

        let mut steps = Vec::new();
        // Units that must not run beside their successors stop first. Other obsolete units stop after nginx has stopped
        // sending requests to them. Sockets start with the services that need them.
        let last = obsolete().filter_map(|(name, unit)| unit.runs().then_some(name));
        let last: Vec<&String> = match self.target {
            Target::Nothing => last.collect(),
            Target::Rendered | Target::Generation(_) => {
                steps.extend(restarts.stop_first());
                last.filter(|unit| !restarts.stops(unit)).collect()
            }
        };
        steps.extend(admit);
        steps.extend(restarts.stage(|unit| unit == units::REDIS));
        // PostgreSQL restarts before processes start that need it; the services that an adoption replaces stop as late as possible.
        let late = self.missing().filter(|resource| resource.is_late());
        steps.extend(late.cloned().map(Step::Create));
        steps.extend(restarts.stage(units::is_fork_server));
        steps.extend(restarts.stage(|unit| unit == units::MAIN));
        steps.extend(restarts.stage(|unit| units::worker_of(unit).is_some()));
        steps.extend(restarts.stage(|unit| unit == units::NGINX));
        // Auxiliary services, which no request waits for: metrics, TURN, timers.
        steps.extend(restarts.stage(is_auxiliary));
        // The authority asks nginx, and the path unit hands the certificate over.
        steps.extend(self.order().map(Step::ObtainCertificate));
        steps.extend(restarts.stage(|unit| unit == units::TARGET));
        let served = last.iter().copied().filter(|unit| units::is_synapse(unit));
        let served = collect(served);
        if !served.is_empty() && self.target != Target::Nothing && !restarts.stops(units::NGINX) {
            steps.push(Step::Drain(served));
        }
        if !last.is_empty() {
            steps.push(Step::Jobs {
                verb: Verb::Stop,
                units: collect(last.into_iter()),
                reasons: vec!["no longer needed".into()],
                rolling: None,
            });
        }
        steps.extend(self.disable(true));
        if !failed.is_empty() {
            steps.push(Step::ResetFailed(failed));
        }
        let stale: BTreeSet<String> = self
            .observed
            .sockets
            .iter()
            .filter(|name| *name != "main" && !self.desired.units.contains(&units::worker(name)))
            // systemd removes the socket files of active socket units.
            .filter(|name| {
                let socket = units::socket_of(&units::worker(name));
                let socket = socket.and_then(|unit| self.observed.units.get(&unit));
                socket.is_none_or(|unit| !unit.active)
            })
            .cloned()
            .collect();
        if !stale.is_empty() && self.target != Target::Nothing {
            steps.push(Step::RemoveSockets(stale));
        }
        steps
    }

    /// The certificate to obtain. A rollback leaves it to the timer.
    fn order(&self) -> Option<Order> {
        let wanted = self.target == Target::Rendered && self.observed.lacks_certificate;
        Order::of_state(self.desired).filter(|_| wanted)
    }
}

/// Whether a unit is an auxiliary service: neither part of Synapse nor needed to serve its requests.
fn is_auxiliary(unit: &str) -> bool {
    let first = [units::REDIS, units::MAIN, units::NGINX, units::TARGET];
    !first.contains(&unit)
        && !units::is_fork_server(unit)
        && units::worker_of(unit).is_none()
        && units::served_by(unit).is_none()
}
