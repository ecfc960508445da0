//! The backup to restore: its repository, its password, and its small files.

use crate::commands::time::utc;
use crate::failure::{Code, Failure};
use crate::host;
use crate::host::backup::{Contents, Manifest, Part, Repository, Run};
use crate::settings::types;
use crate::state::paths;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The backup to restore.
pub struct From {
    pub id: String,
    pub repository: types::Repository,
    pub password_file: Option<PathBuf>,
    pub environment_file: Option<PathBuf>,
    pub server: Option<String>,
}

/// A backup whose settings have been read and validated.
pub struct Found {
    pub repository: Repository,
    pub run: Run,
    pub contents: Contents,
    pub manifest: Manifest,
}

/// Opens the repository, and reads the settings of the backup.
pub fn find(from: &From) -> Result<Found, Failure> {
    if host::find("restic").is_err() {
        return Err(Failure::preflight("restic is not installed")
            .help("apt-get install restic (or: dnf install restic)"));
    }
    let location = from.repository.as_str();
    let password = password(from)?;
    let repository = Repository::at(location, &password, from.environment_file.as_deref())?;
    let preflight = |failure: Failure| failure.ending(Code::Preflight).left("nothing was changed");
    if !repository.is_there().map_err(preflight)? {
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
    let servers: BTreeSet<&str> = complete.iter().map(|run| run.server.as_str()).collect();
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
