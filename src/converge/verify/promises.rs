//! A probe of the sandbox: whether each process of Synapse has what its unit promises.

use super::Expected;
use crate::failure::Failure;
use crate::host::promises::{Difference, Seen, differences};
use crate::host::{Host, Systemd};
use crate::parallel;
use crate::state::units;
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::time::Instant;

/// Compares each process of Synapse, and each fork server, with its unit. A process that ends meanwhile is a matter of
/// the probe of units.
pub(super) fn promises(host: &Host, expected: &Expected, _: Instant) -> Result<String> {
    let of_synapse = |unit: &&String| units::is_synapse(unit) || units::is_fork_server(unit);
    let units: Vec<&String> = expected.units.iter().filter(of_synapse).collect();
    let found = parallel::map(&units, |unit| broken(&host.systemd, unit));
    let found = units.iter().map(|unit| unit.as_str()).zip(found);
    let found: Vec<(&str, Vec<Difference>)> = found
        .map(|(unit, broken)| Ok((unit, broken?.unwrap_or_default())))
        .collect::<Result<_>>()?;
    let (lines, lacking) = report(&found);
    let broken = found.iter().filter(|(_, broken)| !broken.is_empty());
    let broken: Vec<&str> = broken.map(|(unit, _)| *unit).collect();
    ensure!(
        lines.is_empty(),
        Failure::failed(format!(
            "processes without what their units promise\n    {}",
            lines.join("\n    ")
        ))
        .help(format!("systemctl restart {}", broken.join(" ")))
    );
    let kept = format!("{} processes have what their units promise", units.len());
    Ok(match lacking.is_empty() {
        true => kept,
        false => format!("{kept}; this host has no {}", lacking.join(", no ")),
    })
}

/// The promises that the process of a unit does not keep; `None` if there is no process.
fn broken(systemd: &Systemd, unit: &str) -> Result<Option<Vec<Difference>>> {
    let (promises, pid) = systemd.promises(unit)?;
    if pid == 0 {
        return Ok(None);
    }
    Ok(Seen::of(pid).map(|seen| differences(&promises, &seen)))
}

/// A line for each difference, and the facts that no process has because this host lacks them.
fn report(found: &[(&str, Vec<Difference>)]) -> (Vec<String>, Vec<&'static str>) {
    let mut count: BTreeMap<&'static str, usize> = BTreeMap::new();
    for difference in found.iter().flat_map(|(_, broken)| broken) {
        *count.entry(difference.fact).or_default() += 1;
    }
    let by_host = |it: &Difference| it.depends_on_host && count.get(it.fact) == Some(&found.len());
    let mut lines = Vec::new();
    let mut lacking = Vec::new();
    for (unit, broken) in found {
        for it in broken {
            if !by_host(it) {
                let (fact, promised, seen) = (it.fact, &it.promised, &it.seen);
                lines.push(format!("{unit}: {fact}: {promised} expected, {seen} seen"));
            } else if !lacking.contains(&it.fact) {
                lacking.push(it.fact);
            }
        }
    }
    (lines, lacking)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(fact: &'static str, depends_on_host: bool) -> Difference {
        Difference {
            fact,
            promised: "its own".to_owned(),
            seen: "that of the host".to_owned(),
            depends_on_host,
        }
    }

    #[test]
    fn what_no_process_has_is_missing_on_the_host() {
        let user = || difference("user namespace", true);
        let all = [("a", vec![user()]), ("b", vec![user()])];
        assert_eq!(report(&all), (vec![], vec!["user namespace"]));
        let one = [("a", vec![user()]), ("b", vec![])];
        let line = "a: user namespace: its own expected, that of the host seen";
        assert_eq!(report(&one), (vec![line.to_owned()], vec![]));
        let umask = || difference("umask", false);
        let every = [("a", vec![umask()]), ("b", vec![umask()])];
        assert_eq!(report(&every).0.len(), 2);
    }
}
