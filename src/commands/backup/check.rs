//! `backup check`: whether the repository is intact, and whether the newest backup can be restored.

use super::existing::existing;
use crate::cli::Common;
use crate::failure::Failure;
use crate::host::backup::{self, Checked, Manifest, Part, Repository, Run, Source};
use crate::host::{self};
use crate::report::{Report, outln};
use crate::request::Request;
use crate::settings::value::Scalar;
use serde_json::json;
use std::process::ExitCode;

/// Checks the repository and, if `restore`, the newest backup.
pub fn check(common: &Common, request: &Request, restore: bool) -> Result<ExitCode, Failure> {
    let report = Report::new(common.json);
    let repository = existing(request)?;
    let _lock = host::backup_lock()?;
    host::interruption::watch();
    repository.unlock()?;
    let runs = repository.runs(Some(&request.settings.server_name.show()))?;
    let newest = runs.into_iter().rfind(|run| run.complete).ok_or_else(|| {
        Failure::failed("the repository has no complete backup of this server")
            .help("synapse-workers backup now")
    })?;
    report.step(
        format!("check the repository {}", repository.location()),
        || repository.check(),
    )?;
    if restore {
        let text = format!(
            "restore the database of backup {} beside the one in use",
            newest.id
        );
        let counted = report.step(text, || test(request, &repository, &newest))?;
        report.say(counted);
    }
    let checked = Checked {
        run: newest.id,
        time: host::now(),
        restored: restore,
    };
    backup::record_check(&checked)?;
    if common.json {
        outln!("{}", json!(checked));
    }
    report.say(format!(
        "backup {} is intact ({})",
        checked.run,
        report.elapsed()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Restores the dump and compares its counts with those from before and after it was made.
fn test(request: &Request, repository: &Repository, run: &Run) -> Result<String, Failure> {
    let manifest = repository.read(&run.parts[&Part::Settings], Manifest::FILE)?;
    let manifest = Manifest::parse(&manifest)?;
    let source = Source::of(request)?;
    if manifest.database != source.kind() {
        return Err(Failure::failed(format!(
            "backup {} has a database of {}, and this server now uses {}",
            run.id,
            manifest.database,
            source.kind()
        ))
        .help("synapse-workers backup now"));
    }
    let Some(counts) = source.test(repository, &run.parts[&Part::Database])? else {
        return Ok(
            "the dump was read completely, but not restored, because PostgreSQL is on another host"
                .to_owned(),
        );
    };
    if !counts.are_between(&manifest.before, &manifest.after) {
        return Err(Failure::failed(format!(
            "the restored database differs from that of the backup: {counts}; at the backup: {}",
            manifest.before
        ))
        .help("synapse-workers backup now && synapse-workers backup check --restore"));
    }
    Ok(format!("as at the backup: {counts}"))
}
