//! `restore`: brings a server back from a backup to a host that has none, then installs it.
//!
//! Each part is restored completely or not at all, and a record on the host says which backup is being restored. So an
//! interrupted restore continues when it is run again.

use super::apply::ask;
use super::backup::size;
use super::install;
use super::time::utc;
use crate::cli::{Common, Flags};
use crate::failure::{Code, Failure};
use crate::host::backup::{BegunRestore, Contents, Manifest, Media, Part, Repository, Run, Source};
use crate::host::{self, Host};
use crate::preflight::{self, Purpose};
use crate::report::Report;
use crate::request::SettingsEdit as Change;
use crate::request::{self, Request};
use crate::settings::types::{self, DatabaseKind};
use crate::settings::value::Scalar;
use crate::state::{Resource, State, paths};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The backup to restore.
pub struct From {
    pub id: String,
    pub repository: types::Repository,
    pub password_file: Option<PathBuf>,
    pub environment_file: Option<PathBuf>,
    pub server: Option<String>,
}

/// A backup whose settings have been read and validated.
struct Found {
    repository: Repository,
    run: Run,
    contents: Contents,
    manifest: Manifest,
}

/// Runs `synapse-workers restore`.
///
/// # Errors
/// When the host has a server already, when the backup cannot be read, or as for `install`.
pub fn restore(common: &Common, from: &From) -> Result<ExitCode, Failure> {
    if !host::is_root() {
        return Err(Failure::preflight("this needs root").help("sudo synapse-workers restore …"));
    }
    let report = Report::new(common.json);
    let begun = BegunRestore::read();
    {
        let _lock = host::lock_if_root()?;
        refuse_existing(common, begun.is_some())?;
        let found = find(from)?;
        if let Some(begun) = begun.as_ref().filter(|begun| begun.run != found.run.id) {
            return Err(Failure::preflight(format!("the restore of backup {} is not complete", begun.run)).help(format!(
                "continue it: synapse-workers restore {} --from {}; or remove what it has restored: synapse-workers \
                 uninstall --purge",
                begun.run,
                found.repository.location()
            )));
        }
        describe(common, &found, &report)?;
        host::interruption::watch();
        let begun = begun.unwrap_or_else(|| BegunRestore::new(&found.run.id));
        bring_back(common, &found, begun, &report).map_err(|failure| {
            failure.left("The restore is not complete. To continue, run the same command again.")
        })?;
    }
    let common = &Common {
        yes: true,
        ..common.clone()
    };
    let installed = install::install(common, &Flags::default(), &Change::None, false, None);
    let code = installed.map_err(|failure| {
        failure
            .left("The data is restored. When the problem is solved, run: synapse-workers install")
    })?;
    BegunRestore::forget()?;
    report.say("note: never start the old server again: two servers with one name and signing key damage their rooms");
    Ok(code)
}

/// Refuses a host that has a server, or data of one. A restore that was interrupted has left such data.
fn refuse_existing(common: &Common, begun: bool) -> Result<(), Failure> {
    let refuse = |what: String| {
        Err(Failure::preflight(format!("this host already has a server: {what}")).help(
            "restore on another host; or, to replace this server, first remove it with all its data: synapse-workers uninstall \
             --purge",
        ))
    };
    if let Some(number) = Host::current() {
        return refuse(format!("generation {number} is installed"));
    }
    if begun {
        return Ok(());
    }
    let settings = common.settings.display().to_string();
    let files = [settings.as_str(), paths::SIGNING_KEY, paths::SQLITE];
    match files.into_iter().find(|path| host::exists(path)) {
        Some(path) => refuse(format!("{path} exists")),
        None => Ok(()),
    }
}

/// Opens the repository, and reads the settings of the backup.
fn find(from: &From) -> Result<Found, Failure> {
    if host::find("restic").is_err() {
        return Err(Failure::preflight("restic is not installed")
            .help("apt-get install restic (or: dnf install restic)"));
    }
    let location = from.repository.as_str();
    let password = password(from)?;
    let repository = Repository::at(location, &password, from.environment_file.as_deref())?;
    let preflight = |failure: Failure| failure.ending(Code::Preflight).left("nothing was changed");
    if !repository.exists().map_err(preflight)? {
        return Err(
            Failure::preflight(format!("there is no repository at {location}"))
                .help("check the location, and that its disk is mounted"),
        );
    }
    let runs = repository.runs(from.server.as_deref()).map_err(preflight)?;
    let run = choose(runs, &from.id)?;
    let contents = Contents::new()?;
    repository
        .extract(&run.parts[&Part::Settings], contents.directory())
        .map_err(preflight)?;
    let manifest = contents.manifest()?;
    Ok(Found {
        repository,
        run,
        contents,
        manifest,
    })
}

/// The password of the repository: from a file, from a terminal or from standard input.
fn password(from: &From) -> Result<String, Failure> {
    let password = match &from.password_file {
        Some(path) => {
            let text = host::read_text(path)?.ok_or_else(|| {
                Failure::usage(format!(
                    "--password-file: there is no file {}",
                    path.display()
                ))
            })?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        None => host::typed_secret(&format!(
            "Password of the repository {}:",
            from.repository.as_str()
        ))?,
    };
    match password.is_empty() {
        true => Err(
            Failure::usage("the password of the repository is empty").help(format!(
                "it is the contents of {} on the old host",
                paths::secret(paths::BACKUP_PASSWORD)
            )),
        ),
        false => Ok(password),
    }
}

/// The complete run with this ID, or the newest one.
fn choose(runs: Vec<Run>, id: &str) -> Result<Run, Failure> {
    let complete: Vec<Run> = runs.into_iter().filter(|run| run.complete).collect();
    let servers: std::collections::BTreeSet<&str> =
        complete.iter().map(|run| run.server.as_str()).collect();
    if id == "latest" && servers.len() > 1 {
        let names: Vec<&str> = servers.into_iter().collect();
        return Err(Failure::usage(format!(
            "the repository has backups of {} servers: {}",
            names.len(),
            names.join(", ")
        ))
        .help("choose one: --server NAME"));
    }
    let known: Vec<String> = complete
        .iter()
        .rev()
        .take(5)
        .map(|run| format!("{} of {}", run.id, utc(run.time)))
        .collect();
    let chosen = complete
        .into_iter()
        .rfind(|run| id == "latest" || run.id == id);
    chosen.ok_or_else(|| match known.is_empty() {
        true => Failure::usage("the repository has no complete backup of this server"),
        false => Failure::usage(format!("there is no complete backup `{id}`"))
            .help(format!("use latest, or one of: {}", known.join(", "))),
    })
}

/// Validates the settings in the backup, prints what will be restored, and asks for confirmation.
fn describe(common: &Common, found: &Found, report: &Report) -> Result<(), Failure> {
    let staged = Common {
        root: Some(found.contents.root()),
        settings: PathBuf::from(paths::SETTINGS),
        env_file: None,
        ..common.clone()
    };
    let request = request::load(&staged, &Flags::default(), &Change::None)?;
    if !request.settings.adopt.config.is_empty() {
        return Err(Failure::preflight(
            "this is the backup of an adopted server, which another package installed",
        )
        .help("restore its files with restic, as synapse-workers-backup(7) describes"));
    }
    preflight::before_restore(&request)?;
    let Found { run, manifest, .. } = found;
    let (server, time) = (&manifest.server, utc(run.time));
    report.say(format!("Backup {} of {server} from {time}:", run.id));
    report.say(format!(
        "  database ({}): {}",
        manifest.database, manifest.after
    ));
    report.say(format!("  media files: {}", manifest.media));
    for file in &manifest.files {
        report.say(format!("  {}", file.path));
    }
    report.say(format!("  {} in all", size(run.bytes.unwrap_or_default())));
    ask(common, "Restore this and install the server?")
}

/// Restores all parts.
fn bring_back(
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
