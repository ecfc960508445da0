//! The rules: each recognizes one bottleneck in a sample and recommends a change.

mod caches;
mod database;
mod host;
mod idle;
mod workers;

use super::recommendation::Recommendation;
use super::scene::Scene;

/// The part of its processor from which a process is saturated: requests then wait for each other noticeably.
pub const SATURATED: f64 = 0.85;
/// The gain below which a recommendation is not worth its restart.
const LEAST_GAIN: f64 = 1.05;

/// A rule.
pub struct Rule {
    /// Its name, as `--json` prints it.
    pub name: &'static str,
    /// The bottleneck that it recognizes.
    pub bottleneck: &'static str,
    /// The recommendations for a server.
    find: fn(&Scene) -> Vec<Recommendation>,
}

/// All rules.
#[rustfmt::skip] // one rule per line
pub static RULES: [Rule; 9] = [
    Rule { name: "host-processors", bottleneck: "all processors of the host are busy",                 find: host::processors },
    Rule { name: "main-process",    bottleneck: "the main process is saturated by work that can move", find: workers::main },
    Rule { name: "workers",         bottleneck: "the workers of an entry are saturated",               find: workers::groups },
    Rule { name: "database-pool",   bottleneck: "queries wait for a connection of the pool",           find: database::pool },
    Rule { name: "database-cache",  bottleneck: "PostgreSQL waits for the disk",                       find: database::cache },
    Rule { name: "database-limit",  bottleneck: "PostgreSQL has hardly any connection left",           find: database::connections },
    Rule { name: "caches",          bottleneck: "caches of Synapse are too small",                     find: caches::caches },
    Rule { name: "idle-workers",    bottleneck: "idle workers take memory that is short",              find: idle::idle },
    Rule { name: "nginx",           bottleneck: "the processes of nginx are saturated",                find: host::nginx },
];

/// The recommendations for a server, the largest gain first.
pub fn recommend(scene: &Scene) -> Vec<Recommendation> {
    let mut found: Vec<Recommendation> = RULES.iter().flat_map(|rule| (rule.find)(scene)).collect();
    found.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    found
}

/// A part as a percentage.
fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// Milliseconds of a time in seconds.
fn milliseconds(seconds: f64) -> String {
    format!("{:.0} ms", seconds * 1000.0)
}
