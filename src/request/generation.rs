//! The requests of generations, from the settings that are stored with them.

use super::model::{Files, Request};
use super::specs::specs;
use super::{SettingsEdit, adoption, homeserver_d, referenced_files};
use crate::failure::Failure;
use crate::host::{self, Host};
use crate::settings::{self, Sources};
use crate::state::paths;
use crate::state::restart_rules::{HOST_NAME, LEFT_OUT};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The request of the generation in use; `None` if there is none, or if it cannot be read.
pub fn of_current() -> Option<Request> {
    let number = Host::current()?;
    let text = Host::settings_of(number).ok()??;
    of_generation(number, &text).ok()
}

/// The request of an earlier generation, from the settings that are stored with it.
///
/// # Errors
/// When this release refuses settings that an earlier one accepted.
pub fn of_generation(number: u32, text: &str) -> Result<Request, Failure> {
    let path = PathBuf::from(format!("{}/{number}/settings.yaml", paths::GENERATIONS));
    let sources = Sources {
        file: Some((&path, text)),
        env_file: None,
        environment: &BTreeMap::new(),
        flags: &[],
    };
    let mut loaded = settings::load(&sources).map_err(Failure::usage)?;
    let specs = specs(&mut loaded, &SettingsEdit::None)?;
    loaded
        .leave_out(&left_out(number)?)
        .map_err(Failure::usage)?;
    let homeserver_d = homeserver_d::read(Path::new(paths::HOMESERVER_D), &loaded.settings)
        .unwrap_or_default()
        .files;
    let referenced = referenced_files::read(&loaded.settings, Path::to_owned).unwrap_or_default();
    let adopted =
        adoption::read(&mut loaded.settings, |path| PathBuf::from(path)).unwrap_or_default();
    let existing = host::existing_database(adopted.sqlite().is_some())?;
    let files = Files {
        homeserver_d,
        referenced,
        adopted,
    };
    let mut request = Request::new(loaded, specs, files, existing, text.to_owned(), None)?;
    if let Some(host) = host_name(&format!("{}/{number}", paths::GENERATIONS)) {
        request.deployment.settle(&host);
    }
    Ok(request)
}

/// The name of the host of a generation; `None` for the first host.
pub(super) fn host_name(generation: &str) -> Option<String> {
    let text = host::read_text(format!("{generation}/{HOST_NAME}")).ok()??;
    Some(text.trim().to_owned())
}

/// The names of the hosts that a generation leaves out.
fn left_out(number: u32) -> Result<Vec<String>, Failure> {
    let list = host::read_text(format!("{}/{number}/{LEFT_OUT}", paths::GENERATIONS))?;
    let names = list.as_deref().unwrap_or_default().lines();
    Ok(names.map(str::to_owned).collect())
}
