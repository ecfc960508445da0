//! `status`: the state of every process and of the servers that they need, and drift.

mod backup;
mod drift;
mod hosts;
mod reach;
mod servers;
mod table;
mod warm;

use super::installed::installed;
use crate::cli::Common;
use crate::converge::verify::{self, Expected};
use crate::deployment::endpoints::{Endpoints, ServicePort};
use crate::failure::{Code, Failure};
use crate::host::acme::{self, Certificate};
use crate::host::alertmanager;
use crate::host::redis::Server as Redis;
use crate::host::{self, Memory, Peer, Process, Systemd};
use crate::parallel;
use crate::reach::Verdict;
use crate::report::Report;
use crate::report::{self, out, outln};
use crate::request::{self, Request};
use crate::state::units;
use crate::state::{HostFacts, State};
use backup::Backups;
use drift::Drift;
use hosts::OtherHost;
use serde::Serialize;
use serde_json::json;
use servers::Server;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use warm::Warm;

/// The JSON of `status`, whose keys are stable.
#[derive(Serialize)]
struct Status {
    generation: u32,
    processes: Vec<Line>,
    /// PostgreSQL, and an external Redis.
    servers: Vec<Server>,
    /// The other hosts; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<OtherHost>,
    trial: Option<TrialStatus>,
    /// How processes start; absent if the settings of the generation in use are unknown.
    warm: Option<Warm>,
    /// The certificate of `tls.acme`; absent without that setting.
    certificate: Option<Certificate>,
    /// The last verdict of `reach`; null before the first one.
    reachability: Option<Verdict>,
    /// Absent without backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<Backups>,
    #[serde(flatten)]
    drift: Drift,
}

/// The change on trial.
#[derive(Serialize)]
struct TrialStatus {
    generation: u32,
    back: u32,
    /// Absent when the time is over.
    seconds_left: Option<u64>,
}

/// One process.
#[derive(Serialize)]
struct Line {
    name: String,
    unit: String,
    roles: Vec<String>,
    state: String,
    /// Absent while the process does not run.
    pid: Option<u32>,
    /// Memory in bytes.
    memory: Option<u64>,
    /// Its parts for the main process alone; absent for other accounts than root.
    #[serde(flatten)]
    parts: Option<Memory>,
    /// Time of its start, in seconds since 1970.
    since: Option<u64>,
    /// `ok`, or the problem; `-` for a process without a probe.
    health: String,
}

impl Line {
    fn is_healthy(&self) -> bool {
        self.state == "active" && matches!(self.health.as_str(), "ok" | "-")
    }
}

/// The timeout for all answers together: a few rounds of probes, each with a timeout of its own.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// The time between two outputs of `status --watch`.
const INTERVAL: Duration = Duration::from_secs(2);
/// Clears a terminal and returns to its first line (ECMA-48, ED and CUP).
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Runs `synapse-workers status --watch`. A signal ends the program, which changes nothing, and so does a closed pipe.
pub fn watch(common: &Common) -> Result<ExitCode, Failure> {
    let clears = !common.json && std::io::stdout().is_terminal();
    loop {
        let text = if clears { CLEAR } else { "" };
        out!("{text}");
        let code = status(common)?;
        if report::is_closed() {
            return Ok(code);
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Runs `synapse-workers status`.
pub fn status(common: &Common) -> Result<ExitCode, Failure> {
    let (current, state, text) = installed()?;
    let systemd =
        Systemd::connect().map_err(|error| Failure::from(error).ending(Code::Preflight))?;
    let known = text.and_then(|text| request::of_generation(current, &text).ok());
    // Entrypoints and servers do not depend on host facts.
    let facts = HostFacts::default();
    let expected = known
        .as_ref()
        .map(|known| Expected::of(&known.input(&facts), &state));
    let end = Instant::now() + PROBE_TIMEOUT;
    let (answers, drift) = parallel::both(
        || {
            parallel::both(
                || lines(&systemd, &state, known.as_ref(), expected.as_ref(), end),
                || {
                    parallel::both(
                        || OtherHost::ask(known.as_ref(), end),
                        || Server::ask(expected.as_ref(), end),
                    )
                },
            )
        },
        || Drift::find(common, &systemd, current, &state, known.as_ref()),
    );
    let (lines, (hosts, servers)) = answers;
    let ((lines, warm), drift) = (lines?, drift?);
    let backup = known
        .as_ref()
        .and_then(|known| Backups::of(&known.settings));
    let healthy = lines.iter().all(Line::is_healthy)
        && servers.iter().all(Server::is_healthy)
        && hosts.iter().all(OtherHost::is_healthy)
        && backup.as_ref().is_none_or(Backups::is_healthy);
    let trial = host::trial()?;
    let left = match &trial {
        Some(_) => systemd.trial_left()?,
        None => None,
    };
    let certificate = acme::certificate()?;
    let reachability = host::reach::verdict();
    let overdue = trial.is_some() && left.is_none();
    if common.json {
        let status = Status {
            generation: current,
            processes: lines,
            servers,
            hosts,
            trial: trial.map(|trial| TrialStatus {
                generation: trial.generation,
                back: trial.back,
                seconds_left: left,
            }),
            warm,
            certificate,
            reachability,
            backup,
            drift,
        };
        outln!("{}", json!(status));
    } else {
        table::print(common, &lines);
        outln!("\ngeneration {current}, {} processes", lines.len());
        if let Some(warm) = &warm {
            warm.print();
        }
        if let Some(trial) = trial {
            outln!(
                "{}; to keep the change, run: synapse-workers confirm",
                trial.description(left)
            );
        }
        let report = Report::new(false);
        for host in &hosts {
            host.print(&report);
        }
        for server in &servers {
            server.print(&report);
        }
        if let Some(certificate) = certificate {
            report.say(format!("certificate: {certificate}"));
            if certificate.failed.is_some() || !certificate.is_issued() {
                report.say(format!("  help: {}", certificate.remedy()));
            }
        }
        reach::print(reachability.as_ref(), &report);
        if let Some(backup) = backup {
            backup.print(&report);
        }
        drift.print(&report);
    }
    Ok(if healthy && !overdue {
        ExitCode::SUCCESS
    } else {
        Code::Failed.into()
    })
}

/// The lines of all processes, and their warm starts.
fn lines(
    systemd: &Systemd,
    state: &State,
    known: Option<&Request>,
    expected: Option<&Expected>,
    end: Instant,
) -> Result<(Vec<Line>, Option<Warm>), Failure> {
    let units = state.units.iter().map(String::as_str);
    let units: Vec<&str> = units.filter(|unit| unit.ends_with(".service")).collect();
    let processes: Vec<(&str, Process)> = units
        .iter()
        .copied()
        .zip(systemd.processes(&units)?)
        .collect();
    let answers = parallel::map(&processes, |(unit, process)| {
        let health = health(unit, process, known, expected, end);
        (health, Memory::of(process.pid))
    });
    let warm = known.map(|known| Warm::find(known, state, &processes));
    let answered = processes.into_iter().zip(answers);
    let lines = answered
        .map(|((unit, process), (health, parts))| Line {
            parts,
            ..line(unit, process, health, known)
        })
        .collect();
    Ok((lines, warm))
}

/// Whether a process answers at its endpoint, which follows from the settings of the generation in use.
fn health(
    unit: &str,
    process: &Process,
    known: Option<&Request>,
    expected: Option<&Expected>,
    end: Instant,
) -> String {
    let text = |ok: bool, problem: &str| if ok { "ok" } else { problem }.to_owned();
    if process.state != "active" {
        return process.state.clone();
    }
    if let (true, Some(known)) = (units::is_synapse(unit), known) {
        let endpoints = Endpoints::new(&known.settings, &known.topology);
        let peer = Peer::At(endpoints.public(units::name_of(unit)));
        return match host::status(&peer, "/health", end) {
            Ok(status) => text(status == 200, &format!("answers {status}")),
            Err(_) => text(false, NO_ANSWER),
        };
    }
    if unit == units::REDIS {
        let server = expected.and_then(|expected| expected.redis.as_ref());
        let answer = server.unwrap_or(&Redis::Own(None)).ask(&["PING"], end);
        return text(answer.is_ok(), NO_ANSWER);
    }
    if let (units::ALERTMANAGER, Some(known)) = (unit, known) {
        let endpoints = Endpoints::new(&known.settings, &known.topology);
        let port = endpoints.service(ServicePort::Alertmanager);
        return text(alertmanager::ready(port, end).is_ok(), NO_ANSWER);
    }
    if let (units::NGINX, Some(expected)) = (unit, expected) {
        return text(verify::nginx_answers(expected, end), NO_ANSWER);
    }
    "-".to_owned()
}

const NO_ANSWER: &str = "no answer";

/// The line of one unit, with its roles from the settings of the generation in use.
fn line(unit: &str, process: Process, health: String, known: Option<&Request>) -> Line {
    let name = units::name_of(unit);
    let worker = units::worker_of(unit).zip(known).and_then(|(name, known)| {
        known
            .topology
            .workers
            .iter()
            .find(|worker| worker.name == name)
    });
    let roles = worker.map_or(Vec::new(), |worker| {
        let names = worker.roles.iter().map(|role| role.name.to_owned());
        names.collect()
    });
    Line {
        name: name.to_owned(),
        unit: unit.to_owned(),
        roles,
        state: process.state,
        pid: Some(process.pid).filter(|pid| *pid > 0),
        memory: process.memory,
        parts: None,
        since: process.since,
        health,
    }
}
