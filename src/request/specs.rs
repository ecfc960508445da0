//! The workers after an edit, in the loaded settings and in the values to write.

use super::edits::{SettingsEdit, of_host};
use super::model::refused;
use crate::failure::Failure;
use crate::settings::types::WorkerList;
use crate::settings::value::Value;
use crate::settings::{Loaded, Row};
use crate::topology::{self, WorkerSpec};
use anyhow::Context;

/// The worker specs of the first host after the edit, which also become the value of `workers`. Those of other hosts become
/// values in `hosts`.
pub(super) fn specs(
    loaded: &mut Loaded,
    change: &SettingsEdit,
) -> Result<Vec<WorkerSpec>, Failure> {
    let mut specs = topology::parse(&loaded.settings.workers.0)
        .map_err(|error| refused(&loaded.origins["workers"], "workers", &error))?;
    let edits = match change {
        SettingsEdit::Move(entry, to) => moved(loaded, &specs, entry, to)?,
        change => change.by_host().into_iter().collect(),
    };
    for (host, edit) in edits {
        if host.is_empty() {
            specs = edit.apply(specs).map_err(Failure::usage)?;
            let list = WorkerList(texts(&specs));
            set(loaded, "workers", &list)?;
            loaded.settings.workers = list;
            continue;
        }
        let mut hosts = loaded.settings.hosts.clone();
        let place = hosts.named_mut(&host).ok_or_else(|| unknown_host(&host))?;
        let own = topology::parse(&place.workers)
            .map_err(|error| refused(&loaded.origins["hosts"], "hosts", &error))?;
        place.workers = texts(&edit.apply(own).map_err(Failure::usage)?);
        if place.workers.is_empty() {
            return Err(
                Failure::usage(format!("{host} would have no worker")).help(format!(
                    "remove {host} from `hosts` in the settings file, then: synapse-workers install"
                )),
            );
        }
        set(loaded, "hosts", &hosts)?;
        loaded.settings.hosts = hosts;
    }
    Ok(specs)
}

/// The edits that move an entry of `workers` to another host.
fn moved(
    loaded: &Loaded,
    first: &[WorkerSpec],
    entry: &str,
    to: &str,
) -> Result<Vec<(String, SettingsEdit)>, Failure> {
    let (from, name) = of_host(entry);
    let to = of_host(&format!("{to}/")).0.to_owned();
    let own = match from {
        "" => first.to_vec(),
        host => {
            let place = loaded.settings.hosts.named(host);
            let place = place.ok_or_else(|| unknown_host(host))?;
            topology::parse(&place.workers)
                .map_err(|error| refused(&loaded.origins["hosts"], "hosts", &error))?
        }
    };
    let spec = own.iter().find(|spec| spec.name == name).ok_or_else(|| {
        let names: Vec<&str> = own.iter().map(|spec| spec.name.as_str()).collect();
        Failure::usage(format!("there is no entry {name:?}"))
            .help(format!("move one of the entries {}", names.join(", ")))
    })?;
    Ok(vec![
        (from.to_owned(), SettingsEdit::Remove(vec![name.to_owned()])),
        (to, SettingsEdit::Add(vec![spec.to_string()])),
    ])
}

fn texts(specs: &[WorkerSpec]) -> Vec<String> {
    specs.iter().map(ToString::to_string).collect()
}

fn unknown_host(name: &str) -> Failure {
    Failure::usage(format!("there is no host {name:?}"))
        .help("add it to `hosts` in the settings file; `first` is this host")
}

/// Records that the value of a key is to be written to the settings file.
pub(super) fn set(
    loaded: &mut Loaded,
    key: &'static str,
    value: &impl Value,
) -> Result<(), Failure> {
    let row = Row::of(key).with_context(|| format!("there is no setting `{key}`"))?;
    loaded.to_write.retain(|(other, _)| *other != key);
    let value = row.yaml(value.to_raw().as_ref());
    loaded.to_write.push((key, value));
    Ok(())
}
