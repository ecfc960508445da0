//! Stages: the order of steps on several hosts. All hosts complete a stage before one of them begins the next one, so the
//! order that Synapse needs holds across hosts: all workers stop before the main process restarts, it is ready before they
//! start, and nginx no longer sends requests to a process that stops.

use super::Plan;
use super::step::{Move, Step, Verb};
use crate::state::units;
use serde::{Deserialize, Serialize};

/// A stage of a run on several hosts, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing that runs notices these steps: resources, the new generation and its validation.
    Prepare,
    /// The same on other hosts than the first.
    PrepareOthers,
    /// The generation becomes the current one, and unit files are written.
    Switch,
    /// nginx stops before processes that must not run beside their successors.
    StopNginx,
    /// Workers of that kind stop. They may send requests to the main process while they stop.
    StopWorkers,
    /// The main process stops.
    StopMain,
    /// Redis, which all processes subscribe to. PostgreSQL reads new rules for clients.
    Redis,
    /// Services that ours replace stop, fork servers start, and PostgreSQL restarts.
    Before,
    /// The main process starts.
    Main,
    /// Workers start.
    Workers,
    /// nginx sends requests to the new processes, and none to those that are about to stop.
    Nginx,
    /// nginx drains its connections to those.
    Drain,
    /// Auxiliary services start, and obsolete units and resources go.
    End,
}

impl Stage {
    /// The stage of a step, by the step alone. `left` is whether nginx has drained, or a unit has started: from then on,
    /// units stop because they are obsolete.
    fn of(step: &Step, left: bool) -> Self {
        match step {
            Step::Create(resource) if resource.is_late() => Self::Before,
            Step::InstallPrograms { .. }
            | Step::WriteSettings { .. }
            | Step::Create(_)
            | Step::Rebuild { .. }
            | Step::Directories
            | Step::WriteGeneration { .. }
            | Step::Validate { .. }
            | Step::MoveDatabase {
                part: Move::First, ..
            } => Self::Prepare,
            Step::Hold => Self::StopNginx,
            Step::MoveDatabase { .. } => Self::StopMain,
            Step::Jobs { verb, units, .. } => match verb {
                Verb::Stop if !left => match Self::of_units(units) {
                    Self::Nginx => Self::StopNginx,
                    Self::Main => Self::StopMain,
                    _ => Self::StopWorkers,
                },
                Verb::Stop => Self::End,
                Verb::Start | Verb::Restart | Verb::Reload => Self::of_units(units),
            },
            Step::Drain(_) => Self::Drain,
            Step::ObtainCertificate(_) | Step::Forget => Self::End,
            // These belong to the steps around them.
            Step::Switch { .. }
            | Step::WriteFile { .. }
            | Step::RemoveFile { .. }
            | Step::RemoveSettings { .. }
            | Step::ReloadManager
            | Step::Enable(_)
            | Step::Disable(_)
            | Step::ResetFailed(_)
            | Step::RemoveSockets(_)
            | Step::Remove(_) => Self::Switch,
        }
    }

    /// The stage in which units start, restart or reload. Sockets do so with their service.
    fn of_units(units: &[String]) -> Self {
        let stage = |unit: &String| match unit.as_str() {
            units::REDIS => Self::Redis,
            unit if units::is_postgres(unit) => Self::Redis,
            units::MAIN | units::MAIN_SOCKET => Self::Main,
            units::NGINX | units::NGINX_SOCKET => Self::Nginx,
            unit if units::is_fork_server(unit) => Self::Before,
            unit if units::worker_of(unit).is_some() => Self::Workers,
            _ => Self::End,
        };
        units.iter().map(stage).min().unwrap_or(Self::End)
    }
}

impl Plan {
    /// Whether processes stop that must not run beside their successors, on any host.
    pub fn stops_first(&self) -> bool {
        let stages = self.stages();
        let range = Stage::StopNginx..=Stage::StopMain;
        stages.iter().any(|stage| range.contains(stage))
    }

    /// The same plan with a step after the reload of nginx, in which it drains its connections to these processes of other
    /// hosts; the same plan if nginx does not reload.
    pub fn draining(mut self, units: Vec<String>) -> Self {
        let reloads = |step: &Step| {
            let Step::Jobs { verb, units, .. } = step else {
                return false;
            };
            *verb == Verb::Reload && units.iter().any(|unit| unit == units::NGINX)
        };
        let reload = self.steps.iter().rposition(reloads);
        if let Some(at) = reload.filter(|_| !units.is_empty()) {
            self.steps.insert(at + 1, Step::Drain(units));
        }
        self
    }

    /// The stage of each step. No step is in an earlier stage than the step before it.
    pub fn stages(&self) -> Vec<Stage> {
        let (mut last, mut left) = (Stage::Prepare, false);
        let stages = self.steps.iter().map(|step| {
            left |= matches!(step, Step::Drain(_));
            last = last.max(Stage::of(step, left));
            left |= last > Stage::StopMain;
            last
        });
        stages.collect()
    }
}

/// Steps of one host that are applied one after the other while other hosts apply theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The stage.
    pub stage: Stage,
    /// For each host the steps of this stage, by their places in its plan; empty for a host without one.
    pub steps: Vec<std::ops::Range<usize>>,
}

/// The sections of a run on several hosts, in order. `stages` are those of each host's plan, see [`Plan::stages`].
pub fn sections(stages: &[Vec<Stage>]) -> Vec<Section> {
    let mut all: Vec<Stage> = stages.iter().flatten().copied().collect();
    all.sort_unstable();
    all.dedup();
    let range = |of: &Vec<Stage>, stage: Stage| {
        let (begin, end) = (
            of.partition_point(|other| *other < stage),
            of.partition_point(|other| *other <= stage),
        );
        begin..end
    };
    let section = |stage: Stage| Section {
        stage,
        steps: stages.iter().map(|of| range(of, stage)).collect(),
    };
    all.into_iter().map(section).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Resource;

    fn jobs(verb: Verb, units: &[&str]) -> Step {
        Step::Jobs {
            verb,
            units: units.iter().map(|unit| (*unit).to_owned()).collect(),
            reasons: Vec::new(),
            rolling: None,
        }
    }

    fn stages(steps: Vec<Step>) -> Vec<Stage> {
        let plan = Plan {
            steps,
            generation: None,
        };
        plan.stages()
    }

    #[test]
    fn a_change_that_stops_everything_has_its_order_on_all_hosts() {
        let first = stages(vec![
            Step::Switch { number: 2 },
            Step::ReloadManager,
            Step::Hold,
            jobs(Verb::Stop, &["synapse-worker@pusher1.service"]),
            jobs(Verb::Stop, &[units::MAIN, units::MAIN_SOCKET]),
            jobs(Verb::Start, &[units::MAIN]),
            jobs(Verb::Start, &["synapse-worker@pusher1.service"]),
            jobs(Verb::Start, &[units::NGINX]),
        ]);
        let other = stages(vec![
            Step::Switch { number: 2 },
            jobs(Verb::Stop, &["synapse-worker@app2_typing1.service"]),
            jobs(Verb::Start, &["synapse-worker@app2_typing1.service"]),
        ]);
        let sections = sections(&[first, other]);
        let found: Vec<_> = sections
            .iter()
            .map(|it| (it.stage, it.steps[0].clone(), it.steps[1].clone()))
            .collect();
        assert_eq!(
            found,
            [
                (Stage::Switch, 0..2, 0..1),
                (Stage::StopNginx, 2..3, 1..1),
                (Stage::StopWorkers, 3..4, 1..2),
                (Stage::StopMain, 4..5, 2..2),
                (Stage::Main, 5..6, 2..2),
                (Stage::Workers, 6..7, 2..3),
                (Stage::Nginx, 7..8, 3..3),
            ]
        );
    }

    #[test]
    fn a_worker_that_is_removed_stops_after_nginx_has_drained() {
        let worker = "synapse-worker@app2_pusher2.service";
        let first = stages(vec![jobs(Verb::Reload, &[units::NGINX])]);
        let other = stages(vec![
            Step::Switch { number: 3 },
            Step::Drain(vec![worker.to_owned()]),
            jobs(Verb::Stop, &[worker]),
            Step::RemoveFile {
                path: "/etc/systemd/system/x".to_owned(),
            },
            Step::ReloadManager,
            Step::Remove(Resource::Secret("x".to_owned())),
        ]);
        assert_eq!(first, [Stage::Nginx]);
        assert_eq!(other[1], Stage::Drain);
        assert_eq!(other[2..], [Stage::End; 4]);
    }

    #[test]
    fn sockets_start_with_their_service_and_the_rest_at_the_end() {
        assert_eq!(
            Stage::of_units(&[
                "synapse-worker@pusher1.socket".to_owned(),
                "synapse-worker@pusher1.service".to_owned()
            ]),
            Stage::Workers
        );
        assert_eq!(Stage::of_units(&[units::PROMETHEUS.to_owned()]), Stage::End);
        assert_eq!(
            Stage::of_units(&["synapse-warm@venv-1.service".to_owned()]),
            Stage::Before
        );
    }
}
