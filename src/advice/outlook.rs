//! The load that the server can still carry.

use super::rules::SATURATED;
use super::scene::Scene;
use serde::Serialize;

/// The most loaded process, and the load that the server can still carry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlook {
    /// The name of the process of Synapse that needs the largest part of its processor.
    pub process: String,
    /// That part, from 0 to about 1.
    pub demand: f64,
    /// The number by which the load can grow before that process is saturated or the host has no processor left;
    /// absent if there is hardly any load to conclude from.
    pub growth: Option<f64>,
    /// Whether the processors of the host end first.
    pub by_host: bool,
}

/// The demand below which the growth of load cannot be concluded: most of it does not come from requests.
const QUIET: f64 = 0.05;
/// The growth below which there is no room for more load.
const NO_ROOM: f64 = 1.05;

impl Outlook {
    /// `None` if no process of Synapse was measured.
    pub fn of(scene: &Scene) -> Option<Self> {
        let demands = scene
            .synapse()
            .filter_map(|process| Some((process, process.demand?)));
        let (process, demand) = demands.max_by(|a, b| a.1.total_cmp(&b.1))?;
        let (process_growth, room) = (SATURATED / demand.max(f64::MIN_POSITIVE), scene.room());
        Some(Self {
            process: process.name.clone(),
            demand,
            growth: (demand >= QUIET).then(|| process_growth.min(room).max(1.0)),
            by_host: room < process_growth,
        })
    }

    /// The lines that say it.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "The most loaded process is {}, with {:.0} % of a processor.",
            self.process,
            self.demand * 100.0
        )];
        let limit = match self.by_host {
            true => "all processors of this host are busy".to_owned(),
            false => format!("{} is saturated", self.process),
        };
        lines.push(match self.growth {
            Some(growth) if growth < NO_ROOM => {
                format!("This host has no room for more load: {limit}.")
            }
            Some(growth) => {
                format!("This host can carry {growth:.1} times this load before {limit}.")
            }
            None => {
                "There is too little load to say how much more this host can carry: run advise \
                     while the server is busy."
                    .to_owned()
            }
        });
        lines
    }
}
