//! The rule about workers without work on a host whose memory is short.

use super::super::recommendation::{Change, Recommendation};
use super::super::scene::{Group, Scene};
use crate::state::host_size::show_memory;
use crate::topology::{Role, WorkerSpec};

/// The part of a processor below which a worker is idle.
const IDLE: f64 = 0.05;
/// The part of a processor that merged workers may need together.
const MERGED: f64 = 0.4;

/// Recognizes idle workers while memory is short, and merges them.
pub(super) fn idle(scene: &Scene) -> Vec<Recommendation> {
    if !scene.is_memory_short() {
        return Vec::new();
    }
    let shown = |bytes: u64| show_memory(bytes);
    let machine = &scene.sample.machine;
    let short = format!(
        "{} of {} are available{}",
        shown(machine.available),
        shown(machine.memory),
        machine.stalled.map_or(String::new(), |part| format!(
            "; tasks wait for memory {} of the time",
            super::percent(part)
        ))
    );
    let mut found: Vec<Recommendation> = scene
        .groups()
        .filter_map(|group| fewer(&group, &short))
        .collect();
    found.extend(merged(scene, &short));
    found
}

/// An entry whose workers would be idle with one less.
fn fewer(group: &Group, short: &str) -> Option<Recommendation> {
    let entry = group.entry;
    let demand = group.demand().filter(|demand| *demand < IDLE)?;
    let last = group.workers.last().filter(|_| entry.count > 1)?;
    let freed = last.private.or(last.memory)?;
    Some(Recommendation {
        rule: "idle-workers",
        problem: format!(
            "Memory is short, and the workers of {} are idle",
            entry.name
        ),
        evidence: vec![
            short.to_owned(),
            format!(
                "{} workers of {} need {} of a processor each",
                entry.count,
                entry.name,
                super::percent(demand)
            ),
        ],
        change: Change::Command(format!(
            "synapse-workers scale {}={}",
            entry.name,
            entry.count - 1
        )),
        effect: format!("{} of memory become free", show_memory(freed)),
        gain: 1.0,
    })
}

/// One entry in place of several idle ones.
fn merged(scene: &Scene, short: &str) -> Option<Recommendation> {
    let mut idle: Vec<(&WorkerSpec, f64, u64)> = Vec::new();
    for group in scene.groups().filter(|group| group.entry.count == 1) {
        let Some(load) = group.workers.first() else {
            continue;
        };
        // Processes that decode media from anyone stay apart from the others.
        let apart = group
            .entry
            .roles
            .iter()
            .any(|role| role.name == "media_repository");
        match (load.demand, load.private.or(load.memory)) {
            (Some(demand), Some(memory)) if demand < IDLE && !apart => {
                let entry = scene
                    .topology()
                    .specs
                    .iter()
                    .find(|spec| spec.name == group.entry.name)?;
                idle.push((entry, demand, memory));
            }
            _ => {}
        }
    }
    idle.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut sum = 0.0;
    idle.retain(|(_, demand, _)| {
        sum += demand;
        sum <= MERGED
    });
    if idle.len() < 2 {
        return None;
    }
    let count = u64::try_from(idle.len()).unwrap_or(u64::MAX);
    let memory: u64 = idle.iter().map(|(_, _, memory)| memory).sum();
    let freed = memory - memory / count;
    let names: Vec<&str> = idle.iter().map(|(entry, ..)| entry.name.as_str()).collect();
    let roles: Vec<&Role> = idle
        .iter()
        .flat_map(|(entry, ..)| entry.roles.iter().copied())
        .collect();
    let mut entries: Vec<String> = scene
        .topology()
        .specs
        .iter()
        .filter(|spec| !names.contains(&spec.name.as_str()))
        .map(ToString::to_string)
        .collect();
    let mut words: Vec<&str> = roles.iter().map(|role| role.name).collect();
    words.sort_unstable();
    words.dedup();
    entries.push(format!("{}={}", free_name(scene), words.join("+")));
    Some(Recommendation {
        rule: "idle-workers",
        problem: format!("Memory is short, and {count} workers are idle"),
        evidence: vec![
            short.to_owned(),
            format!(
                "{} need {} of a processor together",
                names.join(", "),
                super::percent(sum.min(MERGED))
            ),
        ],
        change: Change::Command(format!(
            "synapse-workers install --workers '{}'",
            entries.join(", ")
        )),
        effect: format!(
            "{} of memory become free, because one worker replaces {count}",
            show_memory(freed)
        ),
        gain: 1.0,
    })
}

/// A name that no other entry has.
fn free_name(scene: &Scene) -> String {
    let taken = |name: &str| scene.topology().specs.iter().any(|spec| spec.name == name);
    let mut names = ["merged".to_owned()]
        .into_iter()
        .chain((2..).map(|n| format!("merged_{n}")));
    names.find(|name| !taken(name)).unwrap_or_default()
}
