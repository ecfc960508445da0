//! Commands that look at the running host: `status`, `verify`, `doctor`.

use super::asked::{self, Asked};
use super::context::{self, Purpose};
use super::look::utc;
use crate::cli::{Common, Flags};
use crate::converge::verify as verification;
use crate::doctor;
use crate::endpoints::Endpoints;
use crate::failure::{Code, Failure};
use crate::host::{self, Host, Peer, Systemd};
use crate::paths;
use crate::plan::state::State;
use crate::plan::{self, names};
use anyhow::Context;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

/// One line of `status`; in JSON a stable format.
#[derive(Serialize)]
struct Line {
    name: String,
    unit: String,
    roles: Vec<String>,
    state: String,
    /// Absent while it does not run.
    pid: Option<u32>,
    /// Bytes.
    memory: Option<u64>,
    /// Seconds since 1970.
    since: Option<u64>,
    /// `ok`, or what is wrong; `-` for what cannot be asked.
    health: String,
}

/// The generation in use, what it describes, and its settings.
fn installed() -> Result<(u32, State, Option<String>), Failure> {
    let current = Host::current().ok_or_else(|| {
        Failure::preflight("nothing is installed here; run: synapse-workers install")
    })?;
    let (state, text) = Host::generation(current)?;
    Ok((current, state, text))
}

/// `synapse-workers status`.
pub fn status(common: &Common) -> Result<ExitCode, Failure> {
    let (current, state, text) = installed()?;
    let systemd = Systemd::connect().map_err(|error| Failure::preflight(format!("{error:#}")))?;
    let known = text.and_then(|text| asked::recall(current, &text).ok());
    let lines: Vec<Line> = state
        .units
        .iter()
        .filter(|unit| unit.ends_with(".service"))
        .map(|unit| line(&systemd, unit, known.as_ref()))
        .collect::<Result<_, _>>()?;
    let well = lines
        .iter()
        .all(|line| line.state == "active" && matches!(line.health.as_str(), "ok" | "-"));
    let drift = drift(&state)?;
    let outdated = outdated(&systemd, &state, known.as_ref())?;
    if common.json {
        let outdated: Vec<Value> = outdated
            .iter()
            .map(|(unit, because)| json!({"unit": unit, "because": because}))
            .collect();
        println!(
            "{}",
            json!({"generation": current, "processes": lines, "drift": drift, "outdated": outdated})
        );
    } else {
        table(common, &lines);
        println!("\ngeneration {current}, {} processes", lines.len());
        for path in &drift {
            println!("changed by somebody else: {path} (synapse-workers install writes it anew)");
        }
        if !outdated.is_empty() {
            let units: Vec<&str> = outdated.keys().map(String::as_str).collect();
            let reasons: BTreeSet<&String> = outdated.values().flatten().collect();
            println!(
                "outdated: {} (synapse-workers install restarts them in order)",
                units.join(" ")
            );
            for reason in reasons {
                println!("  because {reason}");
            }
        }
    }
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        Code::Failed.into()
    })
}

/// One unit; roles and places are those of the settings of the running generation.
fn line(systemd: &Systemd, unit: &str, known: Option<&Asked>) -> Result<Line, Failure> {
    let process = systemd.process(unit)?;
    let name = names::worker_of(unit)
        .or_else(|| unit.strip_prefix("synapse-")?.strip_suffix(".service"))
        .unwrap_or(unit);
    let health = if process.state != "active" {
        process.state.clone()
    } else if let (true, Some(known)) = (names::is_synapse(unit), known) {
        let endpoints = Endpoints::new(&known.settings, &known.topology);
        match host::get(&Peer::At(endpoints.public(name)), "GET", "/health") {
            Ok(answer) if answer.status == 200 => "ok".to_owned(),
            Ok(answer) => format!("answers {}", answer.status),
            Err(_) => "no answer".to_owned(),
        }
    } else if unit == names::REDIS {
        match host::redis::ask(&paths::redis_socket(), "PING") {
            Ok(_) => "ok".to_owned(),
            Err(_) => "no answer".to_owned(),
        }
    } else {
        "-".to_owned()
    };
    let worker = names::worker_of(unit).zip(known).and_then(|(name, known)| {
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
    Ok(Line {
        name: name.to_owned(),
        unit: unit.to_owned(),
        roles,
        state: process.state,
        pid: Some(process.pid).filter(|pid| *pid > 0),
        memory: process.memory,
        since: process.since,
        health,
    })
}

/// Units that run older code, or with older secrets, than what is there now, each with the reasons.
fn outdated(
    systemd: &Systemd,
    state: &State,
    known: Option<&Asked>,
) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let set = known.and_then(|known| known.settings.synapse.python.as_ref());
    let synapse = host::synapse::find(set.map(|python| Path::new(python.as_str())));
    let python = synapse.as_ref().map(|found| found.python.as_path());
    let found = host::outdated(systemd, &systemd.units()?, python)?;
    let outdated = plan::outdated(state, &found).into_iter();
    Ok(outdated
        .map(|(unit, paths)| (unit, paths.iter().map(|path| plan::reason(path)).collect()))
        .collect())
}

/// Files that are not as the generation has them.
fn drift(state: &State) -> Result<Vec<String>, Failure> {
    let mut changed = Vec::new();
    for (path, file) in &state.files {
        let Some(place) = crate::plan::rules::host_path(path) else {
            continue;
        };
        if host::read(place)?.as_deref() != Some(&file.contents[..]) {
            changed.push(place.to_owned());
        }
    }
    Ok(changed)
}

fn table(common: &Common, lines: &[Line]) {
    let width = lines
        .iter()
        .map(|line| line.name.len())
        .max()
        .unwrap_or(0)
        .max(4);
    let colour = !common.no_color
        && std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none();
    println!(
        "{:<width$}  {:<10} {:>7} {:>8}  {:<20}  {:<10} ROLES",
        "NAME", "STATE", "PID", "MEMORY", "SINCE", "HEALTH"
    );
    for line in lines {
        let text = format!(
            "{:<width$}  {:<10} {:>7} {:>8}  {:<20}  {:<10} {}",
            line.name,
            line.state,
            line.pid.map_or("-".to_owned(), |pid| pid.to_string()),
            line.memory
                .map_or("-".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000)),
            line.since.map_or("-".to_owned(), utc),
            line.health,
            line.roles.join(" ")
        );
        if colour && (line.state != "active" || !matches!(line.health.as_str(), "ok" | "-")) {
            println!("\x1b[31m{text}\x1b[0m");
        } else {
            println!("{}", text.trim_end());
        }
    }
}

/// `synapse-workers verify`: of what was installed, whatever the settings say by now.
pub fn verify(common: &Common) -> Result<ExitCode, Failure> {
    let (current, state, text) = installed()?;
    let text = text.with_context(|| format!("generation {current} has lost its settings"))?;
    let asked = asked::recall(current, &text)?;
    let host = context::host(&asked, Purpose::Look)?;
    let expected = asked.expected(&state);
    let mut well = true;
    let mut results = Vec::new();
    for (name, result) in verification::probe(&host, &expected) {
        let (mark, text) = match &result {
            Ok(seen) => ("ok", seen.clone()),
            Err(error) => ("FAIL", format!("{error:#}")),
        };
        well &= result.is_ok();
        if common.json {
            results.push(json!({"probe": name, "ok": result.is_ok(), "seen": text}));
        } else {
            println!("{mark:<4}  {name:<11} {text}");
        }
    }
    if common.json {
        println!("{}", json!({"ok": well, "probes": results}));
    }
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        Code::Failed.into()
    })
}

/// `synapse-workers doctor`.
pub fn doctor(common: &Common, flags: &Flags) -> Result<ExitCode, Failure> {
    let asked = asked::suppose(common, flags)?;
    let found = context::look(&asked, Purpose::Run)?;
    let mut refused = false;
    let mut results = Vec::new();
    for (check, finding) in doctor::examine(&found.examined(&asked)) {
        refused |= check.fatal && finding.is_some();
        let mark = match (&finding, check.fatal) {
            (None, _) => "ok",
            (Some(_), true) => "FAIL",
            (Some(_), false) => "warn",
        };
        if common.json {
            results.push(json!({
                "check": check.name,
                "result": mark,
                "problem": finding.as_ref().map(|finding| &finding.problem),
                "cure": finding.as_ref().map(|finding| &finding.cure),
            }));
            continue;
        }
        println!("{mark:<4}  {}", check.name);
        if let Some(finding) = finding {
            println!("      {}\n      cure: {}", finding.problem, finding.cure);
        }
    }
    if common.json {
        println!("{}", json!(results));
    }
    Ok(if refused {
        Code::Preflight.into()
    } else {
        ExitCode::SUCCESS
    })
}
