//! Checks of the size of this host: whether its memory, its processors, its disk and its PostgreSQL fit the workers.

use super::check::{Examined, Finding, finding, finding_if};
use crate::deployment::tuning::Parameter;
use crate::settings::types::DatabaseKind;
use crate::state::Cluster;
use crate::state::host_size::{GIB, MIB};
use crate::topology::needs::{self, PER_PROCESSOR};

/// The space for Synapse, its database and logs at the beginning.
pub(super) const LEAST_SPACE: u64 = GIB;
/// PostgreSQL's default of `shared_buffers`.
const DEFAULT_BUFFERS: u64 = 128 * MIB;
/// The number of workers, that of the preset medium, from which this default makes the server slow.
const MANY_WORKERS: usize = 8;

/// The workers that fit the host.
fn cure(at: &Examined) -> String {
    match needs::choose(&at.facts.size).preset {
        Some(preset) => format!(
            "the preset {0} fits this host: synapse-workers install --preset {0}",
            preset.name
        ),
        None => "no preset fits this host; run main only: synapse-workers install --workers \"\""
            .to_owned(),
    }
}

pub(super) fn memory(at: &Examined) -> Option<Finding> {
    let (memory, needed) = (at.facts.size.memory, needs::memory_at_start(at.processes));
    finding_if(
        (1..needed).contains(&memory),
        format!(
            "{} processes of Synapse need about {} MiB of memory, with PostgreSQL and the system, and this host has {} MiB",
            at.processes,
            needed / MIB,
            memory / MIB
        ),
        cure(at),
    )
}

pub(super) fn processors(at: &Examined) -> Option<Finding> {
    let (processors, processes) = (at.facts.size.processors, at.processes);
    finding_if(
        (1..processes.div_ceil(PER_PROCESSOR)).contains(&processors),
        format!(
            "{processes} processes of Synapse share {processors} processors, more than {PER_PROCESSOR} processes for each"
        ),
        cure(at),
    )
}

/// systemd does not start a unit whose LimitNOFILE= is above the kernel's maximum.
pub(super) fn open_files(at: &Examined) -> Option<Finding> {
    let most = at.facts.open_files?;
    let needed = u64::from(at.scope.open_files(&at.facts.size()));
    finding_if(
        most < needed,
        format!(
            "nginx needs a limit of {needed} open files, and the kernel allows {most} (fs.nr_open)"
        ),
        format!("sysctl -w fs.nr_open={needed}, or set a lower nginx.worker_connections"),
    )
}

pub(super) fn space(at: &Examined) -> Option<Finding> {
    let settings = &at.scope.settings;
    let (disk, stored) = (
        at.facts.size.disk,
        at.scope.sizes(&at.facts.size()).retention_size,
    );
    if settings.metrics.enabled && disk > 0 && stored > disk / 2 {
        return finding(
            format!(
                "stored metrics may take {} GiB of the {} GiB of the file system with /var/lib",
                stored / GIB,
                disk / GIB
            ),
            "set metrics.retention_size to auto, or to a lower value",
        );
    }
    let free = at.facts.free_space?;
    finding_if(
        free < LEAST_SPACE,
        format!(
            "the file system with /var/lib has {} MiB of free space, and a server without users needs {} MiB",
            free / MIB,
            LEAST_SPACE / MIB
        ),
        "free space there (see: df -h /var/lib)",
    )
}

/// The cluster of this host and the parameters that fit it, if Synapse uses it.
fn tuning<'a>(at: &'a Examined) -> Option<(&'a Cluster, Vec<Parameter>)> {
    let cluster = at.facts.cluster.as_ref()?;
    let local = at.scope.database() == DatabaseKind::Local;
    local.then(|| (cluster, at.scope.tuning(&at.facts.size, cluster)))
}

/// The parameters as lines of a configuration file, below a text.
fn lines(parameters: &[Parameter]) -> String {
    let lines = parameters.iter();
    lines
        .map(|parameter| format!("\n        {parameter}"))
        .collect()
}

/// `database.tune` needs a cluster whose configuration includes a directory for this program's file.
pub(super) fn tunable(at: &Examined) -> Option<Finding> {
    if !at.scope.settings.database.tune {
        return None;
    }
    let kind = at.scope.database();
    if kind != DatabaseKind::Local {
        return finding(
            format!(
                "database.tune is true, but database.kind is {kind}, so PostgreSQL of this host is not used"
            ),
            "set database.tune to false",
        );
    }
    at.facts.answering_postgres()?;
    // Without the answer, the file would be removed.
    let Some((cluster, parameters)) = tuning(at) else {
        return finding(
            "database.tune is true, and PostgreSQL does not answer the query for its configuration",
            "sudo -u postgres psql -c 'table pg_file_settings' (prints the error)",
        );
    };
    finding_if(
        cluster.debian.is_none(),
        format!(
            "database.tune is true, but {} includes no directory conf.d in /etc/postgresql for a file of this program",
            cluster.configuration
        ),
        format!(
            "set database.tune to false, append these lines to {} yourself, and restart PostgreSQL:{}",
            cluster.configuration,
            lines(&parameters)
        ),
    )
}

/// With many workers, PostgreSQL's defaults make the server slow.
pub(super) fn database(at: &Examined) -> Option<Finding> {
    let postgres = at.facts.answering_postgres()?;
    let (cluster, parameters) = tuning(at)?;
    let small = postgres.shared_buffers <= DEFAULT_BUFFERS;
    let better = parameters.iter().any(|it| it.name == "shared_buffers");
    if at.scope.settings.database.tune || at.processes <= MANY_WORKERS || !small || !better {
        return None;
    }
    let problem = format!(
        "PostgreSQL has shared_buffers of {} MB, its default, for {} processes of Synapse",
        postgres.shared_buffers / MIB,
        at.processes
    );
    let cure = match &cluster.debian {
        Some(debian) => format!(
            "synapse-workers install --tune-database && systemctl restart {}; it writes these lines to {}:{}",
            debian.unit(),
            debian.file(),
            lines(&parameters)
        ),
        None => format!(
            "append these lines to {}, and restart PostgreSQL:{}",
            cluster.configuration,
            lines(&parameters)
        ),
    };
    finding(problem, cure)
}

/// PostgreSQL reads most of the parameters only when it starts.
pub(super) fn tuned(at: &Examined) -> Option<Finding> {
    let (cluster, parameters) = tuning(at)?;
    let debian = cluster.debian.as_ref()?;
    if !at.scope.settings.database.tune || !at.facts.tuned {
        return None;
    }
    let other = parameters.iter().find(|it| !it.is_used(cluster))?;
    let current = cluster.current.get(other.name)?;
    finding(
        format!(
            "PostgreSQL still has {} = {current}, and {} has {}",
            other.name,
            debian.file(),
            other.value
        ),
        format!(
            "systemctl restart {} (Synapse connects again; requests at that moment fail). If that has been done, \
             another file overrides it: sudo -u postgres psql -c 'alter system reset {}'",
            debian.unit(),
            other.name
        ),
    )
}
