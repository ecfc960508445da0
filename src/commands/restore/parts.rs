//! The parts of a backup, in the order in which they return to the host.

use super::find::Found;
use crate::cli::{Common, Flags};
use crate::failure::Failure;
use crate::host::backup::{BegunRestore, Media, Part, Source};
use crate::host::{self, Host};
use crate::preflight::{self, Purpose};
use crate::report::Report;
use crate::request::SettingsEdit as Change;
use crate::request::{self, Request};
use crate::settings::types::DatabaseKind;
use crate::settings::value::Scalar;
use crate::state::{Resource, State, paths};
use std::path::Path;

/// Restores all parts.
pub fn bring_back(
    common: &Common,
    found: &Found,
    mut begun: BegunRestore,
    report: &Report,
) -> Result<(), Failure> {
    begun.write()?;
    report.step("restore the settings", || place(common, found, false))?;
    let (request, host) = load_request(common, found)?;
    let desired = request.desired(&host.facts.for_rendering())?;
    let missing = record(&host, &request, &desired)?;
    for owner in missing.iter().filter(|resource| resource.is_owner()) {
        report.step(format!("create {owner}"), || host.create(owner, &desired))?;
    }
    let user = request.settings.synapse.user.show();
    host::own_directory(paths::DATA, &user)?;
    report.step("restore secrets and signing key", || {
        place(common, found, true)
    })?;
    let media = Media::of(&request);
    match found.run.parts.get(&Part::Media) {
        Some(snapshot) => {
            let owner = found.manifest.media_owner;
            let text = format!("restore the media ({} files)", found.manifest.media);
            let left = report.step(text, || {
                media.restore(&found.repository, snapshot, owner, &user)
            })?;
            if left > 0 {
                report.complain(format!("note: {left} files in the media store did not belong to Synapse, and were left out"));
            }
        }
        None => host::own_directory(request.settings.media_store_path.as_str(), &user)?,
    }
    let is_database = |resource: &&Resource| {
        matches!(
            resource,
            Resource::DatabaseRole(_) | Resource::Database { .. }
        )
    };
    for resource in missing.iter().filter(is_database) {
        report.step(format!("create {resource}"), || {
            host.create(resource, &desired)
        })?;
    }
    load(&request, found, &mut begun, report)
}

/// Loads the database, unless an interrupted restore has loaded it already.
fn load(
    request: &Request,
    found: &Found,
    begun: &mut BegunRestore,
    report: &Report,
) -> Result<(), Failure> {
    let source = Source::of(request)?;
    if source.is_used()? {
        return match begun.loading {
            true => Ok(()),
            false => Err(Failure::preflight(
                "the database of the settings already contains a Synapse",
            )
            .help("remove that database, or correct `database` in the settings file")),
        };
    }
    begun.loading = true;
    begun.write()?;
    report.step("restore the database", || {
        source.load(&found.repository, &found.run.parts[&Part::Database])
    })
}

/// The request of the restored settings. `auto` may stand for PostgreSQL because the server has had workers: a database
/// that this program has created decides it, so the record of one is written before it exists.
fn load_request(common: &Common, found: &Found) -> Result<(Request, Host), Failure> {
    let load = || {
        let request = request::load(common, &Flags::default(), &Change::None)?;
        let host = preflight::host(&request, Purpose::Inspect)?;
        Ok::<_, Failure>((request, host))
    };
    let (request, host) = load()?;
    if request.database() != DatabaseKind::Sqlite || found.manifest.database == "sqlite" {
        return Ok((request, host));
    }
    let database = &request.settings.database;
    let (name, owner) = (database.name.show(), database.user.show());
    host.record_created(&[Resource::Database { name, owner }].into())?;
    load()
}

/// Puts the files of the backup in their places: secrets and files of accounts only when the accounts exist.
fn place(common: &Common, found: &Found, accounts_exist: bool) -> Result<(), Failure> {
    for file in &found.manifest.files {
        let late = file.path.starts_with(paths::SECRETS) || file.path.starts_with(paths::DATA);
        if late && !accounts_exist {
            continue;
        }
        let path = match file.path == paths::SETTINGS {
            true => common.settings.as_path(),
            false => Path::new(&file.path),
        };
        found.contents.place(file, path)?;
    }
    Ok(())
}

/// Records the resources that this restore creates, so that `uninstall --purge` may remove them. Returns them.
fn record(host: &Host, request: &Request, desired: &State) -> Result<Vec<Resource>, Failure> {
    let observed = host.observe(desired)?;
    let directories = [paths::DATA, request.settings.media_store_path.as_str()];
    let kept = |resource: &&Resource| match resource {
        Resource::Directory(path) => directories.contains(&path.as_str()),
        Resource::Secret(_) | Resource::SigningKey => true,
        Resource::DatabaseRole(_) | Resource::Database { .. } => true,
        resource => resource.is_owner(),
    };
    let missing = desired.resources.difference(&observed.resources);
    let missing: Vec<Resource> = missing.filter(kept).cloned().collect();
    let mut created = observed.created;
    created.extend(missing.iter().cloned());
    host.record_created(&created)?;
    Ok(missing)
}
