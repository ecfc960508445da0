//! From the command line to the desired state: settings read, edited, checked, and the host looked at.

use super::change::Change;
use crate::cli::{Common, Flags};
use crate::converge::SettingsChange;
use crate::converge::names;
use crate::converge::state::State;
use crate::converge::verify::Expected;
use crate::doctor;
use crate::failure::Failure;
use crate::host::facts::{Facts, Scope};
use crate::host::{self, Host, Systemd};
use crate::options;
use crate::paths;
use crate::render::{self, HostFacts, Input, OwnOptions};
use crate::settings::types::{DatabaseKind, WorkerList};
use crate::settings::value::Value;
use crate::settings::{self, Row, Settings, Sources};
use crate::topology::{self, Topology};
use anyhow::Context;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What was asked for, checked as far as this goes without looking at the host.
pub struct Asked {
    pub settings: Settings,
    pub topology: Topology,
    pub own_options: OwnOptions,
    /// The settings file as it will be.
    pub text: String,
    /// The settings file, when that is another one than now.
    pub change: Option<SettingsChange>,
    /// What the reader of settings wants to be said.
    pub notes: Vec<String>,
}

/// A path below `--root`, where that is given.
pub fn rooted(common: &Common, path: &str) -> PathBuf {
    match &common.root {
        Some(root) => root.join(path.trim_start_matches('/')),
        None => PathBuf::from(path),
    }
}

fn settings_path(common: &Common) -> PathBuf {
    if common.settings == Path::new(paths::SETTINGS) {
        rooted(common, paths::SETTINGS)
    } else {
        common.settings.clone()
    }
}

/// Reads and checks what was asked for. Changes nothing.
pub fn ask(common: &Common, flags: &Flags, change: &Change) -> Result<Asked, Failure> {
    let path = settings_path(common);
    let text = host::read_text(&path).map_err(|error| Failure::usage(format!("{error:#}")))?;
    let env_file = match &common.env_file {
        Some(path) => {
            let text =
                host::read_text(path).map_err(|error| Failure::usage(format!("{error:#}")))?;
            Some((
                path,
                text.ok_or_else(|| {
                    Failure::usage(format!("{}: there is no such file", path.display()))
                })?,
            ))
        }
        None => None,
    };
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let mut given = Vec::new();
    for (flag, key, value) in [
        ("--server-name", "server_name", &flags.server_name),
        ("--workers", "workers", &flags.workers),
        ("--preset", "workers", &flags.preset),
    ] {
        given.extend(value.iter().map(|value| (flag, key, value.clone())));
    }
    if let Some(name) = &flags.preset {
        let known = topology::PRESETS.iter().map(|preset| preset.name);
        topology::preset(name).ok_or_else(|| {
            let names: Vec<&str> = known.collect();
            Failure::usage(format!(
                "--preset: there is no preset `{name}`; say one of {}",
                names.join(", ")
            ))
        })?;
    }
    let sources = Sources {
        file: Some((path.as_path(), text.as_deref().unwrap_or_default())),
        env_file: env_file
            .as_ref()
            .map(|(path, text)| (path.as_path(), text.as_str())),
        environment: &environment,
        flags: &given,
    };
    let mut loaded = settings::load(&sources).map_err(Failure::usage)?;

    let origin = |key: &str| match loaded.origins.get(key) {
        Some(origin) => format!("{origin}: "),
        None => String::new(),
    };
    let specs = topology::parse(&loaded.settings.workers.0)
        .map_err(|error| Failure::usage(format!("{}workers: {error}", origin("workers"))))?;
    let specs = match change {
        Change::None => specs,
        change => {
            let specs = change.apply(specs).map_err(Failure::usage)?;
            let list = WorkerList(specs.iter().map(ToString::to_string).collect());
            loaded.to_write.retain(|(key, _)| *key != "workers");
            let row = Row::of("workers").context("there is no setting `workers`")?;
            loaded
                .to_write
                .push(("workers", row.yaml(list.to_raw().as_ref())));
            loaded.settings.workers = list;
            specs
        }
    };
    let topology = Topology::new(specs)
        .map_err(|error| Failure::usage(format!("{}workers: {error}", origin("workers"))))?;
    let own_options = options::read(&rooted(common, paths::HOMESERVER_D))
        .map_err(|error| Failure::usage(format!("{error:#}")))?;

    let after = match &text {
        None => settings::new_file(&loaded.settings),
        Some(text) if loaded.to_write.is_empty() => text.clone(),
        Some(text) => settings::edit_file(&path, text, &loaded.to_write).map_err(Failure::usage)?,
    };
    let keys: Vec<&str> = loaded.to_write.iter().map(|(key, _)| *key).collect();
    let change = (text.as_deref() != Some(after.as_str())).then(|| SettingsChange {
        path,
        what: match &text {
            None => "every setting with its default and an explanation".to_owned(),
            Some(_) => keys.join(", "),
        },
        before: text,
        after: Some(after.clone()),
    });
    let asked = Asked {
        settings: loaded.settings,
        topology,
        own_options,
        text: after,
        change,
        notes: loaded.notes,
    };
    asked.check()?;
    Ok(asked)
}

impl Asked {
    /// Settings that are right each by itself, but not together.
    fn check(&self) -> Result<(), Failure> {
        let facts = HostFacts::default();
        let input = self.input(&facts);
        let database = input.database();
        if database == DatabaseKind::Sqlite && input.has_workers() {
            return Err(Failure::usage(
                "database.kind: SQLite serves one process only, and there are workers; set it to `local` for the \
                 host's own PostgreSQL, or set `workers: []`",
            ));
        }
        if database == DatabaseKind::Local && self.settings.database.user.to_string() != "synapse" {
            return Err(Failure::usage(
                "database.user: the host's own PostgreSQL knows Synapse by its system user, so the role is `synapse`; \
                 leave database.user out, or set database.kind to `external` with a database.host",
            ));
        }
        if database == DatabaseKind::External && self.settings.database.host.is_none() {
            return Err(Failure::usage(
                "database.kind: `external` needs a database.host",
            ));
        }
        let media = self.settings.media_store_path.as_str();
        if ["/home", "/root", "/run/user"]
            .iter()
            .any(|hidden| Path::new(media).starts_with(hidden))
        {
            return Err(Failure::usage(format!(
                "media_store_path: {media} is hidden from Synapse's units, which cannot see /home, /root and /run/user; \
                 choose a place such as /srv/synapse-media"
            )));
        }
        Ok(())
    }

    /// What rendering reads.
    pub fn input<'a>(&'a self, facts: &'a HostFacts) -> Input<'a> {
        Input {
            settings: &self.settings,
            topology: &self.topology,
            facts,
            own_options: &self.own_options,
        }
    }

    /// The desired state on a host with these facts.
    pub fn desired(&self, facts: &HostFacts) -> Result<State, Failure> {
        Ok(render::desired(&self.input(facts))?)
    }

    /// What must be true once this is applied.
    pub fn expected(&self, desired: &State) -> Expected {
        let facts = HostFacts::default();
        let database = self.input(&facts).database();
        Expected {
            units: desired.units.clone(),
            topology: Topology::new(self.topology.specs.clone()).ok(),
            port: self.settings.http_port.number(),
            addresses: self.settings.bind_addresses.to_vec(),
            server_name: self.settings.server_name.to_string(),
            database: (database == DatabaseKind::Local).then(|| {
                (
                    self.settings.database.name.to_string(),
                    self.settings.database.user.to_string(),
                )
            }),
        }
    }
}

/// What a command is going to do with the host, and so what it asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Bring it to a state in which Synapse runs.
    Run,
    /// The same, after installing what is missing.
    RunWithPackages,
    /// Take everything away, whatever is wrong with it.
    Remove,
}

/// Looks at the host and refuses it when a check fails that must not.
pub fn host(asked: &Asked, purpose: Purpose) -> Result<Host, Failure> {
    let (facts, systemd) = look(asked)?;
    if purpose == Purpose::RunWithPackages && !facts.missing.is_empty() {
        println!("Installing: {}", facts.missing.join(", "));
        doctor::install_packages(&facts)?;
        return host(asked, Purpose::Run);
    }
    let scope = scope(asked, systemd.as_ref());
    let examined = doctor::Examined {
        facts: &facts,
        scope: &scope,
        processes: asked.topology.workers.len() + 1,
    };
    let mut refused = Vec::new();
    for (check, finding) in doctor::examine(&examined) {
        if purpose == Purpose::Remove && facts.root && facts.systemd {
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
pub fn look(asked: &Asked) -> Result<(Facts, Option<Systemd>), Failure> {
    let systemd = Path::new("/run/systemd/system")
        .is_dir()
        .then(Systemd::connect)
        .transpose()
        .map_err(|error| Failure::preflight(format!("{error:#}")))?;
    let facts = Facts::gather(&scope(asked, systemd.as_ref()));
    Ok((facts, systemd))
}

/// What has to be looked at.
pub fn scope<'a>(asked: &'a Asked, systemd: Option<&Systemd>) -> Scope<'a> {
    let facts = HostFacts::default();
    let input = asked.input(&facts);
    let units = systemd
        .and_then(|systemd| systemd.units().ok())
        .unwrap_or_default();
    Scope {
        settings: &asked.settings,
        workers: input.has_workers(),
        local_database: input.database() == DatabaseKind::Local,
        nginx_runs: units.get(names::NGINX).is_some_and(|unit| unit.active),
    }
}
