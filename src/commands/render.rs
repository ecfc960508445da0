//! `render`: writes the desired state as files, without root, systemd or network; `plan --root` only names them.

use crate::cli::{Common, Flags};
use crate::failure::{Code, Failure};
use crate::host;
use crate::report::outln;
use crate::request::SettingsEdit as Change;
use crate::request::{self, rooted};
use crate::state::HostFacts;
use crate::state::paths;
use crate::state::restart_rules::host_path;
use serde_json::json;
use std::process::ExitCode;

/// Runs `synapse-workers install --root DIR`, which does what `render` does for a server with one host.
pub fn install(common: &Common, flags: &Flags) -> Result<ExitCode, Failure> {
    request::load(common, flags, &Change::None)?.refuse_hosts()?;
    render(common, flags, None)
}

/// Runs `synapse-workers render --root DIR`: writes the tree of the first generation, and the files of the host at
/// their paths below DIR. `host` is the name of another host than the first.
pub fn render(common: &Common, flags: &Flags, host: Option<&str>) -> Result<ExitCode, Failure> {
    let Some(root) = &common.root else {
        return Err(
            Failure::usage("--root: render needs the directory to write to")
                .help("synapse-workers render --root DIR"),
        );
    };
    let request = request::load(common, flags, &Change::None)?;
    let facts = HostFacts::default();
    let desired = match host {
        None => request.desired(&facts)?,
        Some(host) => request.desired_on(host, &facts)?,
    };
    let generation = rooted(common, &format!("{}/1", paths::GENERATIONS));
    for (path, file) in &desired.files {
        host::replace(
            generation.join(path),
            &file.contents,
            if file.private { 0o640 } else { 0o644 },
        )?;
        if let Some(place) = host_path(path) {
            host::replace(rooted(common, place), &file.contents, 0o644)?;
        }
    }
    host::replace_link(rooted(common, paths::CURRENT), "generations/1")?;
    // The settings file belongs to the first host.
    if let Some(change) = request.change.as_ref().filter(|_| host.is_none())
        && let Some(text) = &change.after
    {
        host::replace(&change.path, text.as_bytes(), 0o644)?;
    }
    if !common.json {
        for note in &request.notes {
            outln!("note: {note}");
        }
        outln!("{} files below {}", desired.files.len(), root.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `synapse-workers plan --root DIR`: prints the notes, and the files of the first generation that
/// `install --root DIR` would write. What runs on a host with these files is unknown.
pub fn preview(common: &Common, flags: &Flags, detailed: bool) -> Result<ExitCode, Failure> {
    let request = request::load(common, flags, &Change::None)?;
    request.refuse_hosts()?;
    let desired = request.desired(&HostFacts::default())?;
    let files: Vec<&String> = desired.files.keys().collect();
    if common.json {
        outln!("{}", json!({"notes": request.notes, "files": files}));
    } else {
        for note in &request.notes {
            outln!("note: {note}");
        }
        for file in &files {
            outln!("+ {file}");
        }
        outln!("{} files to write", files.len());
    }
    Ok(match detailed && !files.is_empty() {
        true => Code::Pending.into(),
        false => ExitCode::SUCCESS,
    })
}
