//! Inspection of the host before a command: gathers the facts, and rejects the host if a fatal check fails.

use super::check::{Examined, Finding};
use super::checks;
use super::comparison::Comparison;
use crate::failure::{Code, Failure};
use crate::host::facts::{Facts, Scope};
use crate::host::{self, Host, Systemd};
use crate::parallel;
use crate::render::ports;
use crate::request::{self, Request};
use crate::settings::certificate::CHALLENGE_PORT;
use crate::settings::types::DatabaseKind;
use crate::state::HostFacts;
use crate::state::ports::BoundPort;
use crate::state::units;

/// The purpose of a command, which decides what it needs from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Apply a state in which Synapse runs.
    Run,
    /// The same, after missing programs are installed.
    InstallPrograms,
    /// Inspect or remove what is installed, whatever is wrong with the host.
    Inspect,
}

/// A host that no fatal check rejects.
pub struct Admitted {
    /// The host.
    pub host: Host,
    /// The findings of checks that are not fatal.
    pub warnings: Vec<Finding>,
    /// Its size, compared with the needs of the request.
    pub size: Comparison,
}

/// Inspects the host and rejects it if a fatal check fails.
pub fn host(request: &Request, purpose: Purpose) -> Result<Host, Failure> {
    admit(request, purpose).map(|admitted| admitted.host)
}

/// Like [`host()`], with the results that reject nothing.
pub fn admit(request: &Request, purpose: Purpose) -> Result<Admitted, Failure> {
    let found = inspect(request, purpose)?;
    let facts = &found.facts;
    let curable = purpose == Purpose::InstallPrograms && facts.packages.is_some();
    let (mut refused, mut warnings) = (Vec::new(), Vec::new());
    let examined = found.examined(request);
    let size = Comparison::of(&examined);
    for (check, finding) in checks::examine(&examined) {
        if purpose == Purpose::Inspect && facts.root && facts.systemd {
            break;
        }
        let Some(finding) = finding else {
            continue;
        };
        if !check.fatal {
            warnings.push(finding);
            continue;
        }
        if curable && check.name == checks::PROGRAMS {
            continue;
        }
        refused.push(format!("{}\n  help: {}", finding.problem, finding.cure));
        // Without root or systemd, the other checks have no facts to go by.
        if !facts.root || !facts.systemd {
            break;
        }
    }
    match found.systemd {
        Some(systemd) if refused.is_empty() => Ok(Admitted {
            host: Host {
                facts: found.facts,
                systemd,
            },
            warnings,
            size,
        }),
        _ => Err(Failure::preflight(refused.join("\n"))),
    }
}

/// The checks that can be made before the settings and secrets of a backup are in their places.
const BEFORE_RESTORE: &[&str] = &[
    "runs as root",
    "booted with systemd",
    "only root can replace this program",
    checks::PROGRAMS,
    "ports are free",
    "no other service or administrator uses Synapse's account",
    MEDIA,
    "Synapse's launcher is installed",
    LOCAL_DATABASE,
];
/// The check that needs a password if the database is on another host.
const LOCAL_DATABASE: &str = "PostgreSQL answers";

/// The check of a directory that belongs to root while it is being restored.
const MEDIA: &str = "the media store belongs to Synapse";

/// Rejects a host on which the server of a backup could not run. `request` is that of the backup; `begun` means that an
/// earlier run has begun to restore it.
///
/// # Errors
/// With the finding of each fatal check that fails.
pub fn before_restore(request: &Request, begun: bool) -> Result<(), Failure> {
    let found = inspect(request, Purpose::Run)?;
    let local = request.database() == DatabaseKind::Local;
    let examined = found.examined(request);
    let refused: Vec<String> = checks::examine(&examined)
        .filter(|(check, _)| BEFORE_RESTORE.contains(&check.name))
        .filter(|(check, _)| local || check.name != LOCAL_DATABASE)
        .filter(|(check, _)| !begun || check.name != MEDIA)
        .filter_map(|(_, finding)| finding)
        .map(|finding| format!("{}\n  help: {}", finding.problem, finding.cure))
        .collect();
    match refused.is_empty() {
        true => Ok(()),
        false => Err(Failure::preflight(refused.join("\n"))),
    }
}

/// The result of an inspection.
pub struct Found<'a> {
    facts: Facts,
    scope: Scope<'a>,
    /// `None` on a host that was not booted with systemd.
    systemd: Option<Systemd>,
}

impl Found<'_> {
    /// The input of the checks.
    pub fn examined(&self, request: &Request) -> Examined<'_> {
        Examined {
            facts: &self.facts,
            scope: &self.scope,
            processes: request.processes_on(request.host.as_deref()),
        }
    }
}

/// Inspects the host. Changes and rejects nothing.
pub fn inspect(request: &Request, purpose: Purpose) -> Result<Found<'_>, Failure> {
    let systemd = host::booted_with_systemd()
        .then(Systemd::connect)
        .transpose()
        .map_err(|error| Failure::from(error).ending(Code::Preflight))?;
    let ours = host::created_database().unwrap_or(false);
    let local = request.database() == DatabaseKind::Local || (purpose == Purpose::Inspect && ours);
    // PostgreSQL answers while the other facts are gathered.
    let (postgres, (mut facts, scope)) = parallel::both(
        || local.then(|| host::local_postgres(&request.settings)),
        || {
            let facts = Facts::gather(request);
            let databases = Databases { local, ours };
            let scope = scope(request, &facts.for_rendering(), systemd.as_ref(), databases);
            (facts, scope)
        },
    );
    facts.complete(&scope, postgres);
    Ok(Found {
        facts,
        scope,
        systemd,
    })
}

/// The part of a [`Scope`] about databases.
struct Databases {
    local: bool,
    ours: bool,
}

/// The units and ports that the request needs on a host with these facts, and the ports that our units already use.
fn scope<'a>(
    request: &'a Request,
    facts: &HostFacts,
    systemd: Option<&Systemd>,
    databases: Databases,
) -> Scope<'a> {
    let input = request.input(facts);
    let units = systemd
        .and_then(|systemd| systemd.units().ok())
        .unwrap_or_default();
    // With socket activation, systemd holds a port even while its service does not run.
    let runs = |unit: &str| {
        let socket = units::socket_of(unit);
        let known = [
            units.get(unit),
            socket.and_then(|socket| units.get(&socket)),
        ];
        let mut known = known.into_iter().flatten();
        known.any(|unit| unit.runs())
    };
    let running = request::of_current();
    let service_runs =
        |service: &str| systemd.is_some_and(|systemd| systemd.runs(service).unwrap_or(false));
    // The services that ours replace stop before ours start. Until then they hold the ports that ours will use.
    let service = request.settings.adopt.service.as_ref();
    let adopted_runs = service.is_some_and(|service| service_runs(service.as_str()));
    let spare_runs = facts.spare_nginx && service_runs(units::DISTRIBUTION_NGINX);
    let ports = ports::bound(&input);
    let of_spare = |port: &&BoundPort| spare_runs && port.address.port() == CHALLENGE_PORT;
    let of_spare: Vec<BoundPort> = ports.iter().filter(of_spare).cloned().collect();
    // If the running generation is unknown, units are assumed to use the ports of the request.
    let holder = running
        .as_ref()
        .filter(|_| !adopted_runs)
        .unwrap_or(request);
    Scope {
        deployment: request,
        units: input.units().clone(),
        local_database: databases.local,
        database_is_ours: databases.ours,
        ports,
        held: ports::bound(&holder.input(facts))
            .into_iter()
            .filter(|port| runs(&port.unit) || adopted_runs)
            .chain(of_spare)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checks_before_a_restore_exist() {
        for name in BEFORE_RESTORE {
            assert!(
                checks::CHECKS.iter().any(|check| check.name == *name),
                "{name}"
            );
        }
    }
}
