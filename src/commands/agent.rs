//! `agent`: works on this host for the first host of several, which asks over ssh. Questions and answers are lines of JSON
//! on standard input and output. The lock of this host is held for the length of the connection.

use super::prepared::{Prepared as Inspected, of_request};
use crate::converge::verify::Expected;
use crate::converge::{Call, Goal, OnHost, Planned, Prepared, Run, Session, Task, Work};
use crate::failure::Failure;
use crate::host::{self, Calls, Copies, Host, Reply};
use crate::plan::step::{Step, Verb};
use crate::plan::{Plan, Target};
use crate::preflight::{self, Purpose};
use crate::report::{Report, outln};
use crate::request::{self, Request};
use crate::state::units;
use crate::state::{Observed, Resource, State, SynapseVenv};
use anyhow::Context;
use serde_json::{Value, json};
use std::process::ExitCode;

/// The next call; `None` when the connection is closed.
type Next = Option<Result<Call, Failure>>;

/// Runs `synapse-workers agent`.
///
/// # Errors
/// When a run that the connection left is not rolled back completely.
pub fn agent() -> Result<ExitCode, Failure> {
    let mut calls = Calls::new().map(|line| call(&line));
    let lock = host::lock_if_root().map_err(Failure::from);
    let refused = lock.as_ref().err().cloned();
    let mut next = calls.next();
    while let Some(asked) = next.take() {
        next = match (asked, &refused) {
            (Err(failure), _) => {
                answer(Err(failure));
                calls.next()
            }
            // The lock is for changes: the answer to this shows that the host is reached.
            (Ok(Call::Release), _) => {
                answer(Ok(json!(env!("CARGO_PKG_VERSION"))));
                calls.next()
            }
            (Ok(Call::Prepare(task)), None) => work(&task, &mut calls)?,
            (Ok(_), Some(failure)) => {
                answer(Err(failure.clone()));
                calls.next()
            }
            (Ok(_), None) => {
                answer(Err(Failure::failed("no run has been prepared")));
                calls.next()
            }
        };
    }
    Ok(ExitCode::SUCCESS)
}

/// Prepares a run, and answers the calls about it. Returns the next call that does not belong to it.
fn work(
    task: &Task,
    calls: &mut impl Iterator<Item = Result<Call, Failure>>,
) -> Result<Next, Failure> {
    match task.work {
        Work::Install | Work::BringBack => match inspect(task) {
            Ok(inspected) => {
                let goal = inspected.goal(task.summary.clone());
                let warnings = inspected.warnings.iter();
                let warnings =
                    warnings.map(|it| format!("warning: {}\n  help: {}", it.problem, it.cure));
                let notes = inspected.notes().chain(warnings).collect();
                let release = Some(inspected.release());
                session(
                    &inspected.host,
                    &goal,
                    &inspected.observed,
                    notes,
                    release,
                    calls,
                )
            }
            Err(failure) => {
                answer(Err(failure));
                Ok(calls.next())
            }
        },
        Work::Remove(removal) => match observe(task) {
            Ok((host, observed)) => {
                let desired = State::default();
                let goal = Goal {
                    desired: &desired,
                    target: Target::Nothing,
                    removal,
                    moving: None,
                    settings: None,
                    settings_text: String::new(),
                    summary: task.summary.clone(),
                    expected: Expected::default(),
                };
                session(&host, &goal, &observed, Vec::new(), None, calls)
            }
            Err(failure) => {
                answer(Err(failure));
                Ok(calls.next())
            }
        },
    }
}

fn inspect(task: &Task) -> Result<Inspected, Failure> {
    let request = request::of_another_host(&task.host, &task.sent, &task.secrets)?;
    refuse_another_server(&request)?;
    let mut inspected = of_request(request, Purpose::Run)?;
    if task.work == Work::BringBack {
        inspected.observed.was_left_out();
        let note = "this host was left out, so all its processes stop before one starts";
        inspected.request.notes.push(note.to_owned());
    }
    Ok(inspected)
}

/// The host as it is, for a removal. The settings of the first host need not name it any more.
fn observe(task: &Task) -> Result<(Host, Observed), Failure> {
    let mut request = request::of_first_host(&task.sent)?;
    request.deployment.settle(&task.host);
    refuse_another_server(&request)?;
    let host = preflight::host(&request, Purpose::Inspect)?;
    let observed = host.observe(&State::default())?;
    Ok((host, observed))
}

/// Refuses a host that has another server, or is another host of this server: its address or its name in ssh is wrong.
fn refuse_another_server(request: &Request) -> Result<(), Failure> {
    let Some(number) = Host::current() else {
        return Ok(());
    };
    let (name, wanted) = (&request.settings.server_name, request.host.as_deref());
    let running = request::of_current();
    let found = running.as_ref().map(|running| {
        (
            running.settings.server_name.to_string(),
            running.host.as_deref(),
        )
    });
    if found == Some((name.to_string(), wanted)) {
        return Ok(());
    }
    let shown = found.map_or_else(
        || format!("generation {number}, which cannot be read"),
        |(name, host)| format!("the host {} of {name}", host.unwrap_or("first")),
    );
    Err(
        Failure::preflight(format!("this host is in use already, as {shown}")).help(
            "correct the address or ssh of this host in `hosts`; or, if that server is obsolete, run there: \
             synapse-workers uninstall",
        ),
    )
}

/// Answers the calls about one run.
fn session(
    host: &Host,
    goal: &Goal,
    observed: &Observed,
    notes: Vec<String>,
    release: Option<String>,
    calls: &mut impl Iterator<Item = Result<Call, Failure>>,
) -> Result<Next, Failure> {
    let plan = goal.plan(observed);
    answer(Ok(json!(Prepared {
        notes,
        plan: Planned::of(&plan),
        changes: plan.changes(),
        leaving: leaving(&plan, goal),
        release,
        venv: created_venv(&plan),
        system: host::system(),
    })));
    host::interruption::watch();
    let mut copies = Copies::default();
    let mut world = OnHost::new(host);
    let mut session = Session::new(Run::new(&mut world, goal, &plan, observed));
    let next = loop {
        match calls.next() {
            None => break None,
            Some(Ok(call @ (Call::Release | Call::Prepare(_)))) => break Some(Ok(call)),
            Some(Ok(Call::Copy(part))) => {
                answer(copies.take(&part).map(Value::from).map_err(Failure::from));
            }
            Some(Ok(call)) => answer(session.answer(&call).map_err(Failure::from)),
            Some(Err(failure)) => answer(Err(failure)),
        }
    };
    // Standard output leads to the first host, which may be gone.
    session.end(&Report::new(true))?;
    Ok(next)
}

/// The venv that a plan creates.
fn created_venv(plan: &Plan) -> Option<SynapseVenv> {
    plan.steps.iter().find_map(|step| match step {
        Step::Create(Resource::Venv(venv))
        | Step::Rebuild {
            resource: Resource::Venv(venv),
            ..
        } => Some(venv.clone()),
        _ => None,
    })
}

/// The processes to which nginx has to drain its connections before they stop.
fn leaving(plan: &Plan, goal: &Goal) -> Vec<String> {
    let steps = plan.steps.iter().flat_map(|step| match step {
        Step::Drain(units) => units.as_slice(),
        Step::Jobs {
            verb: Verb::Stop,
            units,
            ..
        } if goal.target == Target::Nothing => units.as_slice(),
        _ => &[],
    });
    steps
        .filter(|unit| units::is_synapse(unit))
        .cloned()
        .collect()
}

fn call(line: &std::io::Result<String>) -> Result<Call, Failure> {
    let line = line.as_ref().map_err(Failure::failed)?;
    serde_json::from_str(line)
        .context("a call that is not understood")
        .map_err(Failure::from)
}

fn answer(result: Result<Value, Failure>) {
    let reply = match result {
        Ok(value) => Reply::Done(value),
        Err(failure) => Reply::Failed {
            code: failure.code,
            problem: failure.problem(),
            help: failure.cure().map(str::to_owned),
        },
    };
    outln!("{}", json!(reply));
}
