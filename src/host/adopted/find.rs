//! Finds an existing Synapse on this host: the service that runs it, its files, its user and its Python.

use super::files::text;
use super::processes::{Kind, Running, configuration, processes_that_read, running, same};
use crate::failure::Failure;
use crate::host::accounts::name_of;
use crate::host::{Systemd, files, synapse};
use crate::state::accounts;
use anyhow::Result;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Service names that packages and guides use for Synapse. They are queried when Synapse is not running.
const SERVICES: &[&str] = &["matrix-synapse.service", "synapse.service"];

/// An existing Synapse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Configuration files and directories, in the order in which Synapse reads them.
    pub config: Vec<String>,
    /// The service of systemd that runs it, or that would start it with this file; `None` if there is no such service.
    pub service: Option<String>,
    /// Its system user.
    pub user: Option<String>,
    /// Its Python, if a search without a setting would find another one or none.
    pub python: Option<String>,
}

/// Finds the Synapse that reads this configuration file. Without systemd, only the files are examined. `named` is the
/// service that the administrator names, because it does not start Synapse itself, as with a container.
///
/// # Errors
/// When it runs outside of any service, so that it could not be stopped permanently, and when there is no service of
/// that name.
pub fn find(file: &Path, named: Option<&str>, systemd: Option<&Systemd>) -> Result<Found> {
    let mut found = Found {
        config: beside(file),
        ..Found::default()
    };
    let Some(systemd) = systemd else {
        found.service = named.map(str::to_owned);
        return Ok(found);
    };
    refuse_workers(file, systemd)?;
    let running = running(file);
    if let Some(service) = named {
        if !systemd.knows(service)? {
            let problem = format!("there is no service {service}");
            let help = "systemctl list-units --type=service lists the services";
            return Err(Failure::preflight(problem).help(help).into());
        }
        found.service = Some(service.to_owned());
    } else if let Some(process) = &running {
        let unit = systemd.unit_of(process.pid);
        match unit.filter(|unit| is_of_system(unit)) {
            Some(unit) => found.service = Some(unit),
            None => {
                let problem = format!(
                    "the Synapse that reads {} runs as process {}, which is not part of a systemd service",
                    file.display(),
                    process.pid
                );
                let help = "if a service of systemd starts it, as with a container of a playbook, name that service with \
                            --adopt-service; otherwise stop it (docker stop …, synctl stop), and disable its automatic \
                            start";
                return Err(Failure::preflight(problem).help(help).into());
            }
        }
    }
    let candidates = found.service.clone().into_iter();
    for service in candidates.chain(SERVICES.iter().map(|name| (*name).to_owned())) {
        let Some(started) = systemd.command_of(&service)? else {
            continue;
        };
        let read = configuration(&started.command, Path::new(&started.directory));
        if !read.iter().any(|path| same(path, file)) {
            continue;
        }
        found.config = read.iter().map(|path| text(path)).collect();
        found.user = match started.user.parse() {
            Ok(number) => name_of(number),
            Err(_) if started.user.is_empty() => Some(accounts::ROOT.to_owned()),
            Err(_) => Some(started.user),
        };
        found.python = started.command.first().and_then(|path| python(path));
        found.service.get_or_insert(service);
        return Ok(found);
    }
    // The command of the service is another program that starts Synapse, such as synctl. Any account can run a process with
    // the arguments of Synapse, so only one that belongs to the service and to the owner of the file counts.
    let owner = files::metadata(file).map(|file| file.uid());
    let is_known = |process: &Running| {
        let is_of_owner = process.user.is_some() && process.user == owner;
        is_of_owner && systemd.unit_of(process.pid) == found.service
    };
    if let Some(process) = running.filter(|process| !process.in_container && is_known(process)) {
        found.config = process.config.iter().map(|path| text(path)).collect();
        found.user = process.user.and_then(name_of);
        found.python = process.python.as_deref().and_then(python);
    }
    Ok(found)
}

/// Whether this is a service that root starts for a program. In the service of its user manager, an account runs any
/// program.
fn is_of_system(unit: &str) -> bool {
    unit.ends_with(".service") && !unit.starts_with("user@")
}

/// Refuses workers of the server that run: they would go on beside those of this program.
fn refuse_workers(file: &Path, systemd: &Systemd) -> Result<()> {
    let workers: Vec<Running> = processes_that_read(file, Kind::Worker).collect();
    if workers.is_empty() {
        return Ok(());
    }
    let named = |worker: &Running| match systemd.unit_of(worker.pid) {
        Some(unit) => unit,
        None => format!("process {}", worker.pid),
    };
    let units: BTreeSet<String> = workers.iter().map(named).collect();
    let units = units.into_iter().collect::<Vec<_>>().join(" ");
    let problem = format!(
        "workers of the server that reads {} run: {units}",
        file.display()
    );
    let help = format!(
        "stop them permanently, such as with: systemctl disable --now {units}; `--workers` or `--preset` chooses new ones"
    );
    Err(Failure::preflight(problem).help(help).into())
}

/// The file, and Debian's `conf.d` directory beside it.
fn beside(file: &Path) -> Vec<String> {
    let more = file.with_file_name("conf.d");
    let mut config = vec![text(file)];
    if files::is_directory(&more) {
        config.push(text(&more));
    }
    config
}

/// The Python with Synapse that this program is, or is a script of, unless a search without a setting finds the same one.
fn python(program: &str) -> Option<String> {
    let path = Path::new(program);
    let is_python = |name: &OsStr| name.to_string_lossy().starts_with("python");
    let beside = || {
        let mut beside = ["python3", "python"]
            .map(|name| path.with_file_name(name))
            .into_iter();
        beside.find(|path| files::exists(path))
    };
    let path = match path.file_name().is_some_and(is_python) {
        true => path.to_owned(),
        false => beside()?,
    };
    let found = synapse::find(Some(&path))?;
    (synapse::find(None).map(|usual| usual.python) != Some(found.python)).then(|| text(&path))
}
