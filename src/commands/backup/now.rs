//! `backup now`: the database first, then the media that it refers to, then the settings, which make the backup complete.

use super::existing::missing;
use crate::cli::Common;
use crate::failure::Failure;
use crate::host::backup::{
    self, Contents, LastBackup, Manifest, Media, Part, Repository, SavedFile, Source, Tags,
};
use crate::host::{self};
use crate::report::{Report, outln};
use crate::request::Request;
use crate::settings::value::Scalar;
use crate::state::{accounts, paths};
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;

/// The JSON of `backup now`.
#[derive(Serialize)]
pub struct Outcome {
    run: String,
    time: u64,
    /// The size of all parts, in bytes.
    bytes: u64,
    /// The size of the data that was new to the repository, in bytes.
    added: u64,
    /// The number of backups that were removed.
    removed: usize,
}

/// Runs `backup now`.
pub fn now(common: &Common, request: &Request) -> Result<ExitCode, Failure> {
    let report = Report::new(common.json);
    let outcome = back_up(request, &report)?;
    if common.json {
        outln!("{}", json!(outcome));
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a backup, then removes those that the settings do not keep.
pub fn back_up(request: &Request, report: &Report) -> Result<Outcome, Failure> {
    let repository = Repository::of(&request.settings)?;
    let _lock = host::backup_lock()?;
    host::interruption::watch();
    let first = open(&repository, report)?;
    let tags = Tags::new(&request.settings.server_name.show(), host::now())?;
    let made = make(request, &repository, &tags, report)?;
    backup::record(&LastBackup {
        run: tags.run.clone(),
        time: host::now(),
        bytes: made.bytes,
    })?;
    backup::record_repository(repository.location())?;
    let removed = report.step("remove backups that are not kept", || {
        remove_old(request, &repository, &tags)
    })?;
    let outcome = Outcome { removed, ..made };
    report.say(format!(
        "backup {} of {} is complete in {}: {}, of which {} were new ({})",
        outcome.run,
        request.settings.server_name,
        repository.location(),
        size(outcome.bytes),
        size(outcome.added),
        report.elapsed()
    ));
    if first {
        report.say(format!(
            "note: the password of this repository is in {}. Without it, the backups cannot be read, so keep a copy outside \
             this host: synapse-workers backup password",
            paths::secret(paths::BACKUP_PASSWORD)
        ));
    }
    Ok(outcome)
}

/// Opens the repository, and creates it for the first backup. A repository that has held backups is never created again:
/// its disk may not be mounted. Returns whether this is the first backup.
fn open(repository: &Repository, report: &Report) -> Result<bool, Failure> {
    let location = repository.location();
    let first = !backup::has_held(location);
    if !repository.is_there()? {
        if !first {
            return Err(
                Failure::failed(format!("there is no repository at {location}"))
                    .help(missing(location)),
            );
        }
        report.step(format!("create the repository {location}"), || {
            repository.create()
        })?;
    }
    Ok(first)
}

/// Makes the parts of a backup.
fn make(
    request: &Request,
    repository: &Repository,
    tags: &Tags,
    report: &Report,
) -> Result<Outcome, Failure> {
    let source = Source::of(request)?;
    let media = Media::of(request);
    // Read before the long parts, so that a secret that cannot be read fails at once.
    let contents = gather(request)?;
    let (before, database, after) = report.step("back up the database", || {
        let before = source.counts()?;
        let words = tags.of(Part::Database, None);
        let added = repository.add_output(source.dump()?, source.file(), &tags.server, &words)?;
        Ok::<_, Failure>((before, added, source.counts()?))
    })?;
    let files = report.step("back up the media", || media.add_to(repository, tags))?;
    let parts = 2 + usize::from(files.is_some());
    let files = files.unwrap_or_default();
    let bytes = database.bytes + files.bytes;
    let last = report.step("back up settings, secrets and signing key", || {
        contents.write(Manifest {
            format: 0,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            server: tags.server.clone(),
            database: source.kind().to_owned(),
            before,
            after,
            media_owner: media.owner().unwrap_or_default(),
            media: files.files,
            files: Vec::new(),
        })?;
        let words = tags.of(Part::Settings, Some((parts, bytes)));
        repository.add_directory(contents.directory(), &[], &tags.server, &words)
    })?;
    Ok(Outcome {
        run: tags.run.clone(),
        time: tags.time,
        bytes,
        added: database.added + files.added + last.added,
        removed: 0,
    })
}

/// The small files. The settings are those of the generation in use, which may differ from a file that is being edited.
fn gather(request: &Request) -> Result<Contents, Failure> {
    let mut contents = Contents::new()?;
    let root = || accounts::ROOT.to_owned();
    let settings = SavedFile {
        path: paths::SETTINGS.to_owned(),
        mode: 0o644,
        user: root(),
        group: root(),
    };
    contents.add_contents(settings, request.text.as_bytes())?;
    let key = request.adopted.text("signing_key_path");
    let key = key.unwrap_or(paths::SIGNING_KEY);
    for path in request.saved_files() {
        if !contents.add(&path)? && path == key {
            return Err(
                Failure::failed(format!("the signing key is missing: {path}"))
                    .help("restore the file from an earlier backup (root:synapse, mode 0640)"),
            );
        }
    }
    Ok(contents)
}

/// Removes the backups that the settings do not keep, and the parts of runs before this one that failed.
fn remove_old(request: &Request, repository: &Repository, tags: &Tags) -> Result<usize, Failure> {
    repository.unlock()?;
    let outdated = repository.outdated(&request.settings)?;
    let runs = repository.runs(Some(&tags.server))?;
    let removed: Vec<_> = runs
        .iter()
        .filter(|run| run.id != tags.run)
        .filter(|run| !run.complete || run.parts.values().any(|id| outdated.contains(id)))
        .collect();
    let snapshots: Vec<String> = removed
        .iter()
        .flat_map(|run| run.parts.values().cloned())
        .collect();
    repository.forget(&snapshots)?;
    Ok(removed.iter().filter(|run| run.complete).count())
}

/// A number of bytes for people.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}
