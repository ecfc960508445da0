//! Rules about processes of Synapse that use a whole processor.

use super::super::recommendation::{Change, Recommendation};
use super::super::scene::{Group, Scene, work};
use super::super::work::{movable, role_of};
use super::{LEAST_GAIN, SATURATED, percent};
use crate::topology::PRESETS;

/// The part of the work of the main process from which it is worth a worker of its own.
const WORTH_A_WORKER: f64 = 0.1;

/// Recognizes a main process that is saturated, and finds the role that takes most of its work.
pub(super) fn main(scene: &Scene) -> Vec<Recommendation> {
    let Some((main, demand)) = scene.main().and_then(|main| Some((main, main.demand?))) else {
        return Vec::new();
    };
    if demand < SATURATED {
        return Vec::new();
    }
    let mut evidence = vec![format!("main needs {} of a processor", percent(demand))];
    let problem = "The main process is saturated".to_owned();
    let Some(synapse) = &main.synapse else {
        return without_metrics(scene, problem, evidence);
    };
    if let Some(lag) = synapse.lag {
        evidence.push(format!(
            "of 100 rounds of its event loop, 99 take at most {}",
            super::milliseconds(lag)
        ));
    }
    let known: f64 = synapse.work.values().sum();
    let mut found = Vec::new();
    for (role, cores) in movable(synapse.work.iter(), scene.topology()) {
        // Work that no metric attributes to a request, such as the reading of HTTP, is divided like the rest.
        let share = cores / known.max(main.cpu.unwrap_or(known) * 0.5);
        let gain = (1.0 / share.max(1.0 - share)).min(scene.room());
        if share < WORTH_A_WORKER || gain < LEAST_GAIN {
            continue;
        }
        let mut evidence = evidence.clone();
        evidence.push(format!(
            "{} of its work are of the role {role}, which no worker has",
            percent(share)
        ));
        found.push(Recommendation {
            rule: "main-process",
            problem: problem.clone(),
            evidence,
            change: Change::Command(format!("synapse-workers add {role}")),
            effect: format!(
                "main needs {} of a processor instead of {}, and the server carries up to {gain:.1} times the load",
                percent(demand * (1.0 - share)),
                percent(demand)
            ),
            gain,
        });
    }
    found
}

/// Without Synapse's metrics, only the load of the whole process is known.
fn without_metrics(
    scene: &Scene,
    problem: String,
    mut evidence: Vec<String>,
) -> Vec<Recommendation> {
    let processors = scene.sample.machine.processors;
    if scene.deployment.settings.metrics.enabled {
        // It did not answer in time, which a longer measurement corrects.
        return Vec::new();
    }
    if scene.deployment.has_workers() {
        evidence.push("without metrics, its work is not known".to_owned());
        return vec![Recommendation {
            rule: "main-process",
            problem,
            evidence,
            change: Change::Setting {
                key: "metrics.enabled",
                value: true.to_string(),
            },
            effect: "advise then names the role that relieves the main process; 0 % of its load moves before".to_owned(),
            gain: 1.0,
        }];
    }
    let fits = |preset: &&crate::topology::Preset| f64::from(preset.cores) <= processors;
    let preset = PRESETS
        .iter()
        .rfind(|preset| preset.name != "full" && fits(preset));
    let Some(preset) = preset.or(PRESETS.first()) else {
        return Vec::new();
    };
    let gain = scene.room().min(processors.max(1.0));
    if gain < LEAST_GAIN {
        return Vec::new();
    }
    evidence.push(format!(
        "there are no workers, and {:.1} processors are idle",
        scene.idle()
    ));
    vec![Recommendation {
        rule: "main-process",
        problem,
        evidence,
        change: Change::Command(format!("synapse-workers install --preset {}", preset.name)),
        effect: format!("the server carries up to {gain:.1} times the load, on all processors"),
        gain,
    }]
}

/// Recognizes entries whose workers are saturated.
pub(super) fn groups(scene: &Scene) -> Vec<Recommendation> {
    let found = scene.groups().filter_map(|group| {
        let demand = group.demand().filter(|demand| *demand >= SATURATED)?;
        saturated(scene, &group, demand)
    });
    found.collect()
}

fn saturated(scene: &Scene, group: &Group, demand: f64) -> Option<Recommendation> {
    let entry = group.entry;
    let count = f64::from(entry.count);
    let mut evidence = vec![match entry.count {
        1 => format!(
            "{} needs {} of a processor",
            group.workers.first()?.name,
            percent(demand)
        ),
        count => format!(
            "the {count} workers of {} need {} of a processor each",
            entry.name,
            percent(demand)
        ),
    }];
    let loads = group.workers.iter().filter_map(|one| one.synapse.as_ref());
    let lag = loads.clone().filter_map(|load| load.lag).reduce(f64::max);
    if let Some(lag) = lag {
        evidence.push(format!(
            "of 100 rounds of the event loop, 99 take at most {}",
            super::milliseconds(lag)
        ));
    }
    let work = work(loads);
    if let Some((name, cores)) = work.first() {
        evidence.push(format!(
            "most of the work is {name}, with {cores:.2} processors"
        ));
    }
    let more = entry.count + 1;
    let (command, part) = if entry.roles.iter().all(|role| role.only_one.is_none()) {
        (format!("synapse-workers scale {}={more}", entry.name), 1.0)
    } else {
        // An entry with a role that only one worker can have is not scaled as a whole.
        let all: f64 = work.iter().map(|(_, cores)| cores).sum();
        let shares = entry.roles.iter().filter(|role| role.only_one.is_none());
        let shares = shares.map(|role| {
            let own = work
                .iter()
                .filter(|(name, _)| role_of(name) == Some(role.name));
            (
                role,
                own.map(|(_, cores)| cores).sum::<f64>() / all.max(f64::MIN_POSITIVE),
            )
        });
        let (role, part) = shares.max_by(|a, b| a.1.total_cmp(&b.1))?;
        if part < WORTH_A_WORKER {
            return None;
        }
        evidence.push(format!(
            "{} of it are of the role {}, which several workers can have",
            percent(part),
            role.name
        ));
        (format!("synapse-workers add {}", role.name), part)
    };
    // What moves is divided over one worker more; the rest stays.
    let after = demand * (1.0 - part / (count + 1.0));
    let gain = (demand / after).min(scene.room());
    (gain >= LEAST_GAIN).then(|| Recommendation {
        rule: "workers",
        problem: format!("The workers of {} are saturated", entry.name),
        evidence,
        change: Change::Command(command),
        effect: format!(
            "each needs {} of a processor instead of {}, and they carry up to {gain:.1} times the load",
            percent(after),
            percent(demand)
        ),
        gain,
    })
}
