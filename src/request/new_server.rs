//! Conditions and choices for a new server.

use super::files::rooted;
use crate::cli::Common;
use crate::failure::Failure;
use crate::host::{self, Host};
use crate::settings::types::{DatabaseKind, WorkerList};
use crate::settings::{Loaded, Origin, SettingsError};
use crate::state::paths;
use crate::topology::needs::{self, Choice};

/// Refuses capital letters in the name of a new server (Synapse's manual, `server_name`: lower case). A server that
/// exists, here or as an adopted one, cannot be renamed.
pub(super) fn refuse_capitals(common: &Common, loaded: &Loaded) -> Result<(), Failure> {
    let settings = &loaded.settings;
    let name = settings.server_name.as_str();
    let exists = !settings.adopt.config.is_empty()
        || host::exists(rooted(common, paths::SIGNING_KEY))
        || host::exists(rooted(common, paths::CURRENT));
    if exists || !name.contains(|letter: char| letter.is_ascii_uppercase()) {
        return Ok(());
    }
    let lower = name.to_lowercase();
    let problem = format!(
        "`server_name` cannot be {name} for a new server: Matrix distinguishes it from {lower}, and it cannot be \
         changed later"
    );
    let error = SettingsError::at(&loaded.origins["server_name"], problem)
        .help(format!("use lower case: --server-name {lower}"));
    Err(Failure::usage(error))
}

/// The preset that fits this host, for a new server whose workers no source names.
pub(super) fn proposal(common: &Common, loaded: &Loaded) -> Option<Choice> {
    let settings = &loaded.settings;
    let named = loaded.origins.get("workers") != Some(&Origin::Default);
    // Another root is not this host.
    let new = common.root.is_none()
        && settings.adopt.config.is_empty()
        && Host::current().is_none()
        && !host::exists(paths::SQLITE);
    let proposed = new && !named && settings.database.kind != DatabaseKind::Sqlite;
    proposed.then(|| needs::choose(&host::size()))
}

/// Chooses the proposed preset. The choice becomes a part of the new settings file, so that no later run changes it.
pub(super) fn choose_preset(common: &Common, loaded: &mut Loaded) {
    let Some(choice) = proposal(common, loaded) else {
        return;
    };
    loaded.notes.push(format!(
        "{}. To choose other workers: --preset or --workers",
        choice.reason
    ));
    if let Some(preset) = choice.preset {
        loaded.settings.workers = WorkerList(vec![preset.name.to_owned()]);
    }
}
