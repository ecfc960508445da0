//! Rules about the host: its processors, and the processes of nginx.

use super::super::recommendation::{Change, Recommendation};
use super::super::scene::Scene;
use super::percent;
use crate::settings::value::Scalar;
use crate::state::units;

/// The part of all processors that is idle at most while they count as exhausted.
const EXHAUSTED: f64 = 0.05;

/// Recognizes a host without a free processor, on which more workers do not help.
pub(super) fn processors(scene: &Scene) -> Vec<Recommendation> {
    let machine = &scene.sample.machine;
    if machine.processors == 0.0 || scene.idle() > machine.processors * EXHAUSTED {
        return Vec::new();
    }
    let (used, busy) = (scene.used(), machine.busy);
    let others = (busy - used).max(0.0);
    let postgres = scene.sample.postgres.as_ref().and_then(|found| found.cpu);
    let mut evidence = vec![
        format!("{busy:.1} of {:.0} processors are busy", machine.processors),
        format!("this server uses {used:.1} of them, other programs {others:.1}"),
    ];
    if let Some(cpu) = postgres {
        evidence.push(format!(
            "PostgreSQL uses {cpu:.1}, which is part of this server"
        ));
    }
    let (advice, effect, gain) = match others > used {
        true => (
            "stop or limit the other programs: see `top`, and systemd.resource-control(5)",
            format!("without them, the server can use {others:.1} more processors"),
            busy / used.max(0.1),
        ),
        false => (
            "give this host more processors, or move PostgreSQL to another host (database.host); do not add workers",
            "twice the processors carry about twice the load".to_owned(),
            2.0,
        ),
    };
    vec![Recommendation {
        rule: "host-processors",
        problem: "All processors of this host are busy, so more workers do not help".to_owned(),
        evidence,
        change: Change::Outside(advice.to_owned()),
        effect,
        gain,
    }]
}

/// Recognizes nginx processes that each use a whole processor.
pub(super) fn nginx(scene: &Scene) -> Vec<Recommendation> {
    let found = scene.service(units::NGINX).and_then(|found| found.cpu);
    let setting = scene.deployment.settings.nginx.worker_processes.show();
    let (Some(cpu), Ok(processes)) = (found, setting.parse::<u32>()) else {
        // nginx starts a process for each processor.
        return Vec::new();
    };
    let each = cpu / f64::from(processes.max(1));
    let gain = (f64::from(processes + 1) / f64::from(processes.max(1))).min(scene.room());
    if each < super::SATURATED || gain < super::LEAST_GAIN {
        return Vec::new();
    }
    vec![Recommendation {
        rule: "nginx",
        problem: "The processes of nginx are saturated".to_owned(),
        evidence: vec![format!(
            "{processes} processes use {} of a processor each",
            percent(each)
        )],
        change: Change::Setting {
            key: "nginx.worker_processes",
            value: (processes + 1).to_string(),
        },
        effect: format!("nginx can pass on {gain:.1} times as many requests"),
        gain,
    }]
}
