//! The restart rules: the restart that a change requires. A file is the unit of change, so each top-level key of the
//! shared configuration has a file of its own.
//!
//! Sources: Synapse 1.163.2's `docs/workers.md`, `config_documentation.md` and, where these are silent, its code.

use super::HOST;
use crate::state::paths;

/// The effect of a change on a unit, from the weakest to the strongest. If two rules affect one unit, the stronger
/// effect counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// No effect: no running process reads the file, or a unit reads it only at its next start.
    None,
    /// Reload by SIGHUP.
    Reload,
    /// Restart; the main process before workers.
    Restart,
    /// All affected units stop before the first of them starts again. With socket activation of nginx, new connections
    /// wait at its sockets meanwhile.
    StopFirst,
}

/// The units that a change affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Nobody,
    Main,
    /// The main process and every worker.
    Synapse,
    /// The process that the file is named after.
    Named,
    /// The running units of this unit file; none if a timer or a path starts them each time.
    UnitFile,
    /// The workers that the file lists, and the main process: always, or only when the file is added or removed.
    Listed {
        main: When,
    },
    /// One unit.
    Unit(&'static str),
}

/// When a file that lists workers affects the main process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// The main process does the work itself while the file is missing.
    AddedOrRemoved,
}

/// One rule: the files, the units that a change of them affects, the effect and the reason.
#[derive(Debug)]
pub struct Rule {
    /// A path in a generation, or with a leading `/` a path on the host. A path that ends in `/` stands for all files
    /// below it.
    pub path: &'static str,
    pub scope: Scope,
    pub change: Change,
    /// Completes "… because".
    pub reason: &'static str,
}

const fn rule(path: &'static str, scope: Scope, change: Change, reason: &'static str) -> Rule {
    Rule {
        path,
        scope,
        change,
        reason,
    }
}

const SOCKETS: &str = "systemd takes or gives back sockets only while nobody has them";

/// The file that names the release of Synapse that the processes run, by its path in a generation.
pub const VERSION: &str = "synapse/version";

/// The restart rules. The first row whose path matches applies.
pub static RULES: &[Rule] = &[
    // docs/workers.md: all worker instances must restart when event persisters are added or removed. The same holds for
    // every writer: storage/util/id_generators.py deletes the positions of instances that are not in its own list.
    rule(
        "synapse/shared.d/stream_writers.yaml",
        Scope::Synapse,
        Change::StopFirst,
        "processes with different lists of stream writers must never run at once",
    ),
    rule(
        "synapse/shared.d/instance_map.yaml",
        Scope::Synapse,
        Change::StopFirst,
        "every process has to know where stream writers are before one of them writes",
    ),
    rule(
        "synapse/shared.d/replication.yaml",
        Scope::Synapse,
        Change::StopFirst,
        "processes with different replication settings do not hear each other",
    ),
    // http/matrixfederationclient.py: each process reads at start which instances send its requests.
    rule(
        "synapse/shared.d/outbound_federation_restricted_to.yaml",
        Scope::Synapse,
        Change::Restart,
        "requests to other homeservers go another way",
    ),
    // config_documentation.md, federation_sender_instances: all must be stopped together, or events may be dropped.
    rule(
        "synapse/shared.d/federation_sender_instances.yaml",
        Scope::Listed {
            main: When::AddedOrRemoved,
        },
        Change::StopFirst,
        "destinations are divided anew among federation senders",
    ),
    // config_documentation.md, pusher_instances.
    rule(
        "synapse/shared.d/pusher_instances.yaml",
        Scope::Listed { main: When::Always },
        Change::StopFirst,
        "users are divided anew among pushers",
    ),
    // docs/workers.md: "ensure the main process is restarted".
    rule(
        "synapse/shared.d/update_user_directory_from_worker.yaml",
        Scope::Listed { main: When::Always },
        Change::StopFirst,
        "one process only may update the user directory",
    ),
    rule(
        "synapse/shared.d/notify_appservices_from_worker.yaml",
        Scope::Listed { main: When::Always },
        Change::StopFirst,
        "one process only may notify application services",
    ),
    // config/workers.py: nothing else ensures that only one instance runs them.
    rule(
        "synapse/shared.d/run_background_tasks_on.yaml",
        Scope::Listed { main: When::Always },
        Change::StopFirst,
        "one process only may run background tasks",
    ),
    // docs/workers.md: main's own routes change with enable_media_repo.
    rule(
        "synapse/shared.d/media.yaml",
        Scope::Listed { main: When::Always },
        Change::StopFirst,
        "the media repository moves between processes",
    ),
    // docs/upgrade.md: some releases changed the communication between processes (1.64, 1.69, 1.76).
    rule(
        VERSION,
        Scope::Synapse,
        Change::StopFirst,
        "Synapse is another release: old and new may not understand each other, and main brings the schema up to date",
    ),
    rule(
        "synapse/homeserver.yaml",
        Scope::Synapse,
        Change::Restart,
        "Synapse reads its options at start",
    ),
    rule(
        "synapse/homeserver.d/",
        Scope::Synapse,
        Change::Restart,
        "Synapse reads its options at start",
    ),
    rule(
        "synapse/adopted/",
        Scope::Synapse,
        Change::Restart,
        "Synapse reads its options at start",
    ),
    rule(
        "synapse/main.yaml",
        Scope::Main,
        Change::Restart,
        "Synapse reads its options at start",
    ),
    rule(
        "synapse/workers/",
        Scope::Named,
        Change::Restart,
        "Synapse reads its options at start",
    ),
    // logging.config.dictConfig: loggers that the new file does not name keep the levels and handlers of the old one.
    // In addition, app/_base.py, redirect_stdio_to_logs: a stream that the new file does not name is by then the log
    // itself.
    rule(
        "synapse/own-log.yaml",
        Scope::Synapse,
        Change::Restart,
        "a reload takes over only a part of a log configuration of your own",
    ),
    // app/_base.py and config/logger.py: Synapse reads the file again on SIGHUP.
    rule(
        "synapse/log.yaml",
        Scope::Synapse,
        Change::Reload,
        "log settings are read anew on SIGHUP",
    ),
    rule(
        "synapse/logs/",
        Scope::Named,
        Change::Reload,
        "log settings are read anew on SIGHUP",
    ),
    // config/appservice.py: registrations are loaded at start, by every process.
    rule(
        "synapse/app_services/",
        Scope::Synapse,
        Change::Restart,
        "Synapse reads registrations of application services at start",
    ),
    rule(
        "nginx/nginx.conf",
        Scope::Unit("synapse-nginx.service"),
        Change::Reload,
        "nginx takes new routes without closing connections",
    ),
    // A reload would bind the new address before it releases the old one, fail, and leave everything unchanged.
    rule(
        "nginx/listen.conf",
        Scope::Unit("synapse-nginx.service"),
        Change::Restart,
        "a port moves between addresses only while nginx does not hold it",
    ),
    rule(
        "redis/redis.conf",
        Scope::Unit("synapse-redis.service"),
        Change::Restart,
        "Redis reads its configuration at start",
    ),
    rule(
        "prometheus/consoles/",
        Scope::Nobody,
        Change::None,
        "Prometheus reads a page when somebody asks for it",
    ),
    rule(
        "prometheus/console_libraries/",
        Scope::Nobody,
        Change::None,
        "Prometheus reads a page when somebody asks for it",
    ),
    rule(
        "prometheus/",
        Scope::Unit("synapse-prometheus.service"),
        Change::Reload,
        "Prometheus reads targets and rules anew on SIGHUP",
    ),
    rule(
        "metrics/",
        Scope::Nobody,
        Change::None,
        "the timer's service reads it each time it runs",
    ),
    rule(
        "grafana/",
        Scope::Nobody,
        Change::None,
        "Grafana looks for changed dashboards every minute",
    ),
    rule(
        "host/etc/grafana/",
        Scope::Nobody,
        Change::None,
        "Grafana is the administrator's, and reads it at its next start",
    ),
    rule(
        "coturn/",
        Scope::Unit("synapse-coturn-exporter.service"),
        Change::Restart,
        "Python reads its program at start",
    ),
    rule(
        "compressor/",
        Scope::Nobody,
        Change::None,
        "the state compressor reads it when it runs next",
    ),
    rule(
        "mtail/",
        Scope::Unit("synapse-nginx-log-exporter.service"),
        Change::Restart,
        "mtail reads its program at start",
    ),
    // Files outside generations, by their path on the host.
    rule(
        "/etc/synapse-workers/secrets/worker_replication_secret",
        Scope::Synapse,
        Change::StopFirst,
        "processes with different replication settings do not hear each other",
    ),
    rule(
        "/etc/synapse-workers/secrets/turnserver.conf",
        Scope::Unit("synapse-coturn.service"),
        Change::Restart,
        "coturn reads its configuration at start",
    ),
    rule(
        "/etc/synapse-workers/secrets/redis-exporter.json",
        Scope::Unit("synapse-redis-exporter.service"),
        Change::Restart,
        "the exporter reads its password at start",
    ),
    rule(
        "/etc/synapse-workers/secrets/postgres-exporter.pgpass",
        Scope::Unit("synapse-postgres-exporter.service"),
        Change::Restart,
        "the exporter reads its password at start",
    ),
    rule(
        "/etc/synapse-workers/secrets/",
        Scope::Synapse,
        Change::Restart,
        "Synapse reads its secrets at start",
    ),
    rule(
        paths::UPGRADED,
        Scope::Synapse,
        Change::StopFirst,
        "the processes run older code than what is installed, and main brings the schema up to date",
    ),
    rule(
        "secrets/turnserver.conf",
        Scope::Unit("synapse-coturn.service"),
        Change::Restart,
        "coturn reads its configuration at start",
    ),
    rule(
        "secrets/redis-exporter.json",
        Scope::Unit("synapse-redis-exporter.service"),
        Change::Restart,
        "the exporter reads its password at start",
    ),
    rule(
        "secrets/postgres-exporter.pgpass",
        Scope::Unit("synapse-postgres-exporter.service"),
        Change::Restart,
        "the exporter reads its password at start",
    ),
    rule(
        "secrets/",
        Scope::Synapse,
        Change::Restart,
        "Synapse reads its secrets at start",
    ),
    rule(
        "logrotate/",
        Scope::Nobody,
        Change::None,
        "logrotate reads it each time it runs",
    ),
    // Whenever it starts, the path unit triggers the installation of the certificate.
    rule(
        "host/etc/systemd/system/synapse-certificate.service",
        Scope::Unit("synapse-certificate.path"),
        Change::Restart,
        "its unit file changed",
    ),
    rule(
        "host/etc/systemd/system/synapse-workers.target",
        Scope::Nobody,
        Change::None,
        "it only groups the others",
    ),
    // systemd.socket(5): a socket is not started while its service runs.
    rule(
        "host/etc/systemd/system/synapse-main.socket",
        Scope::UnitFile,
        Change::StopFirst,
        SOCKETS,
    ),
    rule(
        "host/etc/systemd/system/synapse-worker@.socket",
        Scope::UnitFile,
        Change::StopFirst,
        SOCKETS,
    ),
    rule(
        "host/etc/systemd/system/synapse-nginx.socket",
        Scope::UnitFile,
        Change::StopFirst,
        SOCKETS,
    ),
    rule(
        "host/etc/systemd/system/",
        Scope::UnitFile,
        Change::Restart,
        "its unit file changed",
    ),
    rule(
        "host/etc/sysusers.d/",
        Scope::Nobody,
        Change::None,
        "accounts are made once",
    ),
    rule(
        "host/etc/tmpfiles.d/",
        Scope::Nobody,
        Change::None,
        "directories are made by systemd-tmpfiles",
    ),
];

/// The rule for files of generations that another release of this program wrote. A test ensures that it applies to no
/// file of this release.
static UNKNOWN: Rule = rule(
    "",
    Scope::Nobody,
    Change::StopFirst,
    "another release of synapse-workers wrote it",
);

/// The rule that applies to a path.
pub fn rule_for(path: &str) -> &'static Rule {
    RULES
        .iter()
        .find(|rule| path == rule.path || (rule.path.ends_with('/') && path.starts_with(rule.path)))
        .unwrap_or(&UNKNOWN)
}

/// The path on the host to which a file of a generation is copied; `None` if it is not copied.
pub fn host_path(path: &str) -> Option<&str> {
    path.strip_prefix(HOST)
}
