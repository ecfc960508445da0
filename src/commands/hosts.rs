//! The other hosts of a command: connects to their agents, and has each inspect its host and plan.

use crate::converge::{self, Member, Planned, Remote, Work};
use crate::failure::Failure;
use crate::host::Host;
use crate::parallel;
use crate::plan::Removal;
use crate::render::Input;
use crate::report::{self, outln};
use crate::request::{self, Request, Sent};
use crate::settings::types::OtherHost;
use crate::state::HostFacts;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The other hosts, inspected and planned.
pub type Others = Vec<Remote>;

/// Connects to the hosts of a request, and to those that have left it since the last run: their server is removed. Of
/// those that have left, one that does not answer is reported and left alone. No connection is made to a host that the
/// request leaves out.
///
/// # Errors
/// When a host of the request does not answer, or when one of its preflight checks fails.
pub fn prepare(first: &Host, request: &Request, summary: &str) -> Result<Others, Failure> {
    if request.host.is_some() {
        return Ok(Others::new());
    }
    let hosts = request.settings.hosts.all();
    let running = request::of_current();
    let (before, left_out) = running.as_ref().map_or_else(Default::default, |running| {
        (running.settings.hosts.all(), running.left_out.as_slice())
    });
    let prepared = parallel::map(hosts, |host| {
        let mut remote = Remote::start(first, &host.name, &host.destination())?;
        let work = match left_out.iter().any(|it| it.name == host.name) {
            true => Work::BringBack,
            false => Work::Install,
        };
        let secrets = secrets(request, host);
        remote.prepare(request.sent()?, secrets, work, summary.to_owned())?;
        Ok(remote)
    });
    let mut prepared: Others = prepared.into_iter().collect::<Result<_, Failure>>()?;
    // A host with another name keeps its address, and loses the workers of the old name.
    let stays = |host: &&OtherHost| {
        let mut all = hosts.iter().chain(&request.left_out);
        all.any(|it| it.destination() == host.destination())
    };
    let left = before.iter().chain(left_out).filter(|host| !stays(host));
    let left = left.map(|host| removal_if_reached(first, host, request, Removal::Keep, summary));
    for remote in left {
        prepared.extend(remote?);
    }
    Ok(prepared)
}

/// Connects to the hosts of a request, to remove their servers. Of those that it leaves out, one that does not answer is
/// reported.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_removal(first: &Host, request: &Request, how: Removal) -> Result<Others, Failure> {
    if request.host.is_some() {
        return Ok(Others::new());
    }
    let prepared = parallel::map(request.settings.hosts.all(), |host| {
        let remote = Remote::start(first, &host.name, &host.destination())?;
        removal(remote, request, how, "uninstall")
    });
    let mut prepared: Others = prepared.into_iter().collect::<Result<_, Failure>>()?;
    for host in &request.left_out {
        prepared.extend(removal_if_reached(first, host, request, how, "uninstall")?);
    }
    Ok(prepared)
}

/// Has a host plan the removal of its server; `None`, with a note, if it does not answer.
fn removal_if_reached(
    first: &Host,
    host: &OtherHost,
    request: &Request,
    how: Removal,
    summary: &str,
) -> Result<Option<Remote>, Failure> {
    match Remote::start(first, &host.name, &host.destination()) {
        Ok(remote) => removal(remote, request, how, summary).map(Some),
        Err(failure) => {
            report::complain(format!(
                "note: the server cannot be removed from {}: {}; when it is back, run there: synapse-workers uninstall",
                host.name,
                failure.problem()
            ));
            Ok(None)
        }
    }
}

/// Has a host plan the removal of its server, for which it needs the settings and no secrets.
fn removal(
    mut remote: Remote,
    request: &Request,
    how: Removal,
    summary: &str,
) -> Result<Remote, Failure> {
    let sent = Sent {
        settings: request.text.clone(),
        ..Sent::default()
    };
    remote.prepare(sent, Vec::new(), Work::Remove(how), summary.to_owned())?;
    Ok(remote)
}

/// The names of the secrets that the processes of a host read.
fn secrets(request: &Request, host: &OtherHost) -> Vec<&'static str> {
    let facts = HostFacts::default();
    let deployment = request.on_host(&host.name);
    let input = Input::new(&deployment, &facts);
    input.secrets().map(|secret| secret.name).collect()
}

/// The number of steps that change other hosts.
pub fn changes(others: &[Remote]) -> usize {
    others.iter().map(|remote| remote.prepared.changes).sum()
}

/// Refuses hosts whose processes would run another release of Synapse than those of the first host.
///
/// # Errors
/// With the first such host.
pub fn refuse_other_releases(others: &[Remote], ours: &str) -> Result<(), Failure> {
    let other = others.iter().find_map(|remote| {
        let release = remote.prepared.release.as_ref()?;
        (release != ours).then_some((remote.name(), release))
    });
    match other {
        None => Ok(()),
        Some((name, release)) => Err(Failure::preflight(format!(
            "{name} has Synapse {release}, and this host has {ours}"
        ))
        .help("install the same release on all hosts")),
    }
}

/// Refuses a trial whose timer could not roll back: it has to reach the hosts of this run, and those of the generation in
/// use.
///
/// # Errors
/// With the first host that does not answer the timer.
pub fn refuse_unreachable_by_timer(others: &[Remote]) -> Result<(), Failure> {
    let running = request::of_current();
    let before = running.iter().flat_map(|it| it.settings.hosts.all());
    let before = before.map(|host| (host.destination(), host.name.clone()));
    let now = others
        .iter()
        .map(|remote| (remote.destination().to_owned(), remote.name().to_owned()));
    let all: BTreeMap<String, String> = before.chain(now).collect();
    let all: Vec<(String, String)> = all.into_iter().collect();
    let checked = parallel::map(&all, |(destination, name)| {
        converge::check_keys_of_root(name, destination)
    });
    checked.into_iter().collect()
}

/// The processes of other hosts to which nginx has to drain its connections.
pub fn leaving(others: &[Remote]) -> Vec<String> {
    let leaving = others.iter().map(|remote| remote.prepared.leaving.clone());
    leaving.flatten().collect()
}

/// Has the hosts that lose their server wait for nginx.
pub fn defer(others: &mut [Remote]) {
    let going = others.iter_mut().filter(|remote| remote.goes());
    going.for_each(Remote::defer);
}

/// Whether no other host has a step.
pub fn are_done(others: &[Remote]) -> bool {
    others.iter().all(|remote| remote.prepared.plan.is_empty())
}

/// The plans of the other hosts, as they are printed.
pub fn text(others: &[Remote]) -> String {
    let lines = others.iter().flat_map(|remote| {
        let steps = remote.prepared.plan.iter();
        steps.map(|Planned { text, .. }| format!("{}: {text}\n", remote.name()))
    });
    lines.collect()
}

/// The steps of the other hosts for `plan --json`.
pub fn json(others: &[Remote]) -> Value {
    let steps = others.iter().flat_map(|remote| {
        let steps = remote.prepared.plan.iter();
        steps.map(
            |Planned { text, stage }| json!({"host": remote.name(), "line": text, "stage": stage}),
        )
    });
    json!(steps.collect::<Vec<_>>())
}

/// Prints the notes of the other hosts.
pub fn print_notes(others: &[Remote], print: impl Fn(String)) {
    for remote in others {
        for note in &remote.prepared.notes {
            print(format!("{}: {note}", remote.name()));
        }
    }
}

/// Prints the plans of the other hosts.
pub fn print(others: &[Remote]) {
    if !are_done(others) {
        outln!("{}", text(others).trim_end());
    }
}
