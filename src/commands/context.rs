//! The host as a command finds it: looked at, and refused when a check fails that must not.

use super::asked::{self, Asked};
use crate::doctor;
use crate::failure::Failure;
use crate::host::facts::{Facts, Scope};
use crate::host::{Host, Systemd, programs};
use crate::plan::names;
use crate::render::HostFacts;
use crate::settings::types::DatabaseKind;
use std::path::Path;

/// What a command is going to do with the host, and so what it asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Bring it to a state in which Synapse runs.
    Run,
    /// The same, after installing what is missing.
    RunWithPackages,
    /// Look at what runs or take it away, whatever is wrong with the host.
    Look,
}

/// Looks at the host and refuses it when a check fails that must not.
pub fn host(asked: &Asked, purpose: Purpose) -> Result<Host, Failure> {
    let (facts, systemd) = look(asked, purpose)?;
    if purpose == Purpose::RunWithPackages && facts.root && !facts.missing.is_empty() {
        eprintln!("Installing: {}", facts.missing.join(", "));
        programs::install_packages(&facts)?;
        return host(asked, Purpose::Run);
    }
    let scope = scope(asked, systemd.as_ref(), purpose);
    let examined = doctor::Examined {
        facts: &facts,
        scope: &scope,
        processes: asked.topology.workers.len() + 1,
    };
    let mut refused = Vec::new();
    for (check, finding) in doctor::examine(&examined) {
        if purpose == Purpose::Look && facts.root && facts.systemd {
            break;
        }
        let Some(finding) = finding.filter(|_| check.fatal) else {
            continue;
        };
        refused.push(format!("{}\n  cure: {}", finding.problem, finding.cure));
        // Without root or systemd nothing else can be told.
        if !facts.root || !facts.systemd {
            break;
        }
    }
    match systemd {
        Some(systemd) if refused.is_empty() => Ok(Host { facts, systemd }),
        _ => Err(Failure::preflight(refused.join("\n"))),
    }
}

/// What the host has, and its systemd where there is one.
pub fn look(asked: &Asked, purpose: Purpose) -> Result<(Facts, Option<Systemd>), Failure> {
    let systemd = Path::new("/run/systemd/system")
        .is_dir()
        .then(Systemd::connect)
        .transpose()
        .map_err(|error| Failure::preflight(format!("{error:#}")))?;
    let facts = Facts::gather(&scope(asked, systemd.as_ref(), purpose));
    Ok((facts, systemd))
}

/// What has to be looked at.
pub fn scope<'a>(asked: &'a Asked, systemd: Option<&Systemd>, purpose: Purpose) -> Scope<'a> {
    let facts = HostFacts::default();
    let input = asked.input(&facts);
    let units = systemd
        .and_then(|systemd| systemd.units().ok())
        .unwrap_or_default();
    let nginx_runs = units
        .get(names::NGINX)
        .is_some_and(|unit| unit.active || unit.changing);
    let running = Host::current()
        .filter(|_| nginx_runs)
        .and_then(|number| Some((number, Host::generation(number).ok()?.1?)))
        .and_then(|(number, text)| asked::recall(number, &text).ok());
    let ours = asked.settled == Some(DatabaseKind::Local);
    Scope {
        settings: &asked.settings,
        workers: input.has_workers(),
        local_database: input.database() == DatabaseKind::Local
            || (purpose == Purpose::Look && ours),
        database_is_ours: ours,
        // Where it cannot be told what runs, nginx holds what it shall hold.
        held: match running {
            Some(running) => running.listeners(),
            None if nginx_runs => asked.listeners(),
            None => Vec::new(),
        },
    }
}
