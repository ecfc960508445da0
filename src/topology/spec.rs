//! The grammar of worker specs: `[NAME=]ROLE[+ROLE…][:COUNT]`, comma-separated.
//!
//! Blanks around tokens are allowed, `:0` means no workers, and the name of a preset stands for its list. Workers are
//! named after their entry with a number from 1, so that scaling never renames a worker. An entry is named after its
//! roles, in the order of [`ROLES`], unless it has a name of its own.

use std::fmt;

use super::presets::{PRESETS, preset};
use super::roles::{ROLES, Role, role};
use crate::suggest::nearest;

/// The maximum number of workers of one entry: more than any host runs, but fewer than would overload one.
pub const MAX_COUNT: u16 = 100;
/// The maximum length of a name: with directory and suffix it still fits the 108 bytes of a socket path.
pub const MAX_NAME: usize = 48;

/// One parsed entry of `workers:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSpec {
    /// The name of its workers, without their number.
    pub name: String,
    /// Whether the name was chosen, rather than derived from the roles.
    pub named: bool,
    /// The roles in the order of [`ROLES`], each once.
    pub roles: Vec<&'static Role>,
    /// The number of workers, 1 to [`MAX_COUNT`].
    pub count: u16,
}

/// The reason why a worker spec is invalid, and the remedy.
#[derive(Debug, PartialEq, Eq)]
pub struct SpecError {
    pub(super) problem: String,
    pub(super) help: String,
}

impl SpecError {
    /// The same error with the setting that has the workers of another host.
    pub(super) fn on(self, host: &str) -> Self {
        Self {
            problem: format!("hosts.{host}.workers: {}", self.problem),
            help: self.help,
        }
    }
}

/// Prints the problem, and the remedy on a line of its own.
impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}\n  help: {}", self.problem, self.help)
    }
}

impl std::error::Error for SpecError {}

/// An error from two format strings with their arguments: the problem; the remedy.
macro_rules! refuse {
    ($problem:literal $(, $part:expr)* ; $help:literal $(, $value:expr)* $(,)?) => {
        Err(SpecError {
            problem: format!($problem $(, $part)*),
            help: format!($help $(, $value)*),
        })
    };
}
pub(super) use refuse;

/// The notation of an entry, for remedies.
pub(super) const NOTATION: &str = "[NAME=]ROLE[+ROLE...][:COUNT]";

impl fmt::Display for WorkerSpec {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.named {
            write!(f, "{}=", self.name)?;
        }
        f.write_str(&joined(&self.roles, "+"))?;
        if self.count != 1 {
            write!(f, ":{}", self.count)?;
        }
        Ok(())
    }
}

/// Parses a list of entries, each of which may contain several, separated by commas. Presets are expanded, and entries
/// with the same name and roles are added up. An empty list, or an empty string, means no workers.
///
/// # Errors
/// When an entry does not fit the grammar, names an unknown role or preset, or contradicts another entry.
pub fn parse(entries: &[impl AsRef<str>]) -> Result<Vec<WorkerSpec>, SpecError> {
    if entries.iter().all(|entry| trim(entry.as_ref()).is_empty()) {
        return Ok(Vec::new());
    }
    let mut specs = Vec::new();
    for entry in entries.iter().flat_map(|entry| entry.as_ref().split(',')) {
        let entry = trim(entry);
        match preset(entry) {
            Some(preset) => specs.extend(parse(&[preset.spec])?),
            None => specs.extend(parse_entry(entry)?),
        }
    }
    add_up(specs)
}

/// Parses one entry; `None` if its count is 0.
fn parse_entry(entry: &str) -> Result<Option<WorkerSpec>, SpecError> {
    if entry.is_empty() {
        return refuse!("an entry between two commas is empty"; "write a role, or remove the comma");
    }
    if entry.chars().any(|c| c.is_control() && c != '\t') {
        return refuse!("{entry:?} contains a control character"; "separate entries with commas");
    }
    let (name, rest) = match entry.split_once('=') {
        Some((name, rest)) => (Some(trim(name)), rest),
        None => (None, entry),
    };
    let (roles, count) = match rest.split_once(':') {
        Some((roles, count)) => (roles, parse_count(entry, trim(count))?),
        None => (rest, 1),
    };
    let mut roles = roles
        .split('+')
        .map(|word| parse_role(entry, trim(word)))
        .collect::<Result<Vec<_>, _>>()?;
    roles.sort_by_key(|role| role.position());
    if let Some(pair) = roles.windows(2).find(|pair| pair[0] == pair[1]) {
        let role = pair[0].name;
        return refuse!("{entry:?} contains the role {role} twice"; "remove one of the two");
    }
    let spec = named(name, roles, count)?;
    Ok((count > 0).then_some(spec))
}

/// Workers of other tools that are no role here, with the remedy: names of Synapse's `worker_app`, of
/// spantaleev/matrix-docker-ansible-deploy and of element-hq/ess-helm.
#[rustfmt::skip] // one name per line
const FOREIGN: &[(&str, &str)] = &[
    ("generic_worker",      GENERIC),
    ("generic-worker",      GENERIC),
    ("worker",              GENERIC),
    ("room_worker",         "use event_creator and client_reader"),
    ("sync_worker",         "use synchrotron"),
    ("initial-synchrotron", "use synchrotron"),
    ("background",          "use background_worker"),
    ("encryption",          "use device_lists and client_reader"),
    ("presence-writer",     "use presence"),
    ("typing-persister",    "use typing"),
    ("receipts-account",    "use receipts and account_data"),
    ("stream_writer",       WRITERS),
    ("stream_writers",      WRITERS),
    ("homeserver",          MAIN),
    ("main",                MAIN),
    ("master",              MAIN),
];

const GENERIC: &str = "write the roles whose requests it serves: synchrotron, client_reader, event_creator, \
                       federation_reader or federation_inbound, or a preset such as medium";
const WRITERS: &str = "write the streams as roles: event_persister, typing, to_device, account_data, presence, \
                       push_rules, receipts, device_lists or thread_subscriptions";
const MAIN: &str = "remove it; the main process always runs";

fn parse_role(entry: &str, word: &str) -> Result<&'static Role, SpecError> {
    if let Some(role) = role(word) {
        return Ok(role);
    }
    if word.is_empty() {
        return refuse!("{entry:?} lacks a role"; "write {NOTATION}");
    }
    if preset(word).is_some() {
        return refuse!(
            "{entry:?}: {word} is a preset, which cannot have a name, a count or another role";
            "write {word} as a separate entry"
        );
    }
    if let Some((_, meant)) = FOREIGN.iter().find(|(name, _)| *name == word) {
        return refuse!("unknown role {word:?}"; "{meant}");
    }
    // The names that `worker_app` once had.
    if let Some(role) = word.strip_prefix("synapse.app.") {
        return parse_role(entry, role);
    }
    let known = ROLES.iter().map(|role| role.name);
    let presets = PRESETS.iter().map(|preset| preset.name);
    match nearest(word, known.clone().chain(presets)) {
        Some(near) => refuse!("unknown role {word:?}"; "did you mean {near}?"),
        None => {
            let known = known.collect::<Vec<_>>().join(", ");
            refuse!("unknown role {word:?}"; "the roles are {known}")
        }
    }
}

fn parse_count(entry: &str, count: &str) -> Result<u16, SpecError> {
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return refuse!(
            "{entry:?}: invalid count {count:?}";
            "write a whole number from 0 to {MAX_COUNT} after the last role"
        );
    }
    // A number that does not fit is too large in any case.
    let count = count.parse().unwrap_or(u16::MAX);
    check_count(entry, count)?;
    Ok(count)
}

/// Refuses more than [`MAX_COUNT`] workers in one entry.
pub(super) fn check_count(entry: &str, count: u16) -> Result<(), SpecError> {
    if count > MAX_COUNT {
        return refuse!("{entry:?} has more than {MAX_COUNT} workers"; "lower the count");
    }
    Ok(())
}

/// A spec with the given name, or with a name derived from its roles.
pub(super) fn named(
    name: Option<&str>,
    roles: Vec<&'static Role>,
    count: u16,
) -> Result<WorkerSpec, SpecError> {
    let default = joined(&roles, "-");
    let name = name.unwrap_or(&default);
    let shape = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.chars().all(shape) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return refuse!(
            "invalid name {name:?}";
            "use letters, digits, _ and -, and start with a letter or digit"
        );
    }
    if name.len() > MAX_NAME {
        return refuse!(
            "the name {name:?} has {} characters, more than {MAX_NAME}", name.len();
            "choose a shorter name: NAME={}", joined(&roles, "+")
        );
    }
    if name == "main" || name == "master" {
        return refuse!("{name:?} is the name of Synapse's main process"; "choose another name");
    }
    if role(name).is_some() && name != default {
        return refuse!(
            "{name:?} is a role, and these workers do not have that role alone";
            "choose another name"
        );
    }
    Ok(WorkerSpec {
        name: name.to_owned(),
        named: name != default,
        roles,
        count,
    })
}

/// Merges entries with the same name and roles into one with the sum of their counts.
pub(super) fn add_up(entries: Vec<WorkerSpec>) -> Result<Vec<WorkerSpec>, SpecError> {
    let mut specs: Vec<WorkerSpec> = Vec::new();
    for entry in entries {
        match specs.iter_mut().find(|spec| spec.name == entry.name) {
            Some(spec) if spec.roles == entry.roles => {
                spec.count += entry.count;
                check_count(&spec.name, spec.count)?;
            }
            Some(spec) => {
                return refuse!(
                    "two entries are named {:?} and have different roles, {} and {}",
                    spec.name,
                    joined(&spec.roles, "+"),
                    joined(&entry.roles, "+");
                    "rename one of them"
                );
            }
            None => specs.push(entry),
        }
    }
    Ok(specs)
}

pub(super) fn joined(roles: &[&Role], by: &str) -> String {
    roles
        .iter()
        .map(|role| role.name)
        .collect::<Vec<_>>()
        .join(by)
}

/// Removes spaces and tabs; other white space in a spec is a mistake.
fn trim(token: &str) -> &str {
    token.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests;
