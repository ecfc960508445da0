//! The restart rules: which units a changed file affects, and how. A file is the unit of change, so each top-level key
//! of the shared configuration has a file of its own.
//!
//! Sources: Synapse 1.163.2's `docs/workers.md`, `config_documentation.md` and, where these are silent, its code.

use super::HOST;
use crate::state::paths;
use crate::state::units;

/// The effect of a changed file on a unit, from the weakest to the strongest. If two rules affect one unit, the
/// stronger effect counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
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

/// The units that a changed file affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// No unit.
    None,
    /// The main process.
    Main,
    /// The main process and every worker.
    Synapse,
    /// The main process, every worker and the fork servers, which have imported Synapse as well.
    Image,
    /// The process that the file is named after.
    Named,
    /// The running units of this unit file; none if a timer or a path starts them each time.
    UnitFile,
    /// The workers that the file lists, and the main process: always, or only when the file is added or removed.
    Listed {
        /// When the file affects the main process.
        main: When,
    },
    /// One unit.
    Unit(&'static str),
}

/// When a file that lists workers affects the main process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// By every change: the main process reads the list itself.
    Always,
    /// The main process does the work itself while the file is missing.
    AddedOrRemoved,
}

const LISTED: Scope = Scope::Listed {
    main: When::AddedOrRemoved,
};
const LISTED_AND_MAIN: Scope = Scope::Listed { main: When::Always };

/// One rule: the files, the units that a change of them affects, the effect and the reason.
#[derive(Debug)]
pub struct Rule {
    /// A path in a generation, or with a leading `/` a path on the host. A path that ends in `/` stands for all files
    /// below it, one that begins with `*/` for all files of this name, whatever other rules say. Secrets have the path `secrets/…`, both on the host and as templates in a generation.
    pub path: &'static str,
    /// The units that a change of the file affects.
    pub scope: Scope,
    /// The effect of a change on these units.
    pub effect: Effect,
    /// The reason that a plan prints: "FILE changed: REASON".
    pub reason: &'static str,
}

const fn stop_first(path: &'static str, scope: Scope, reason: &'static str) -> Rule {
    rule(path, scope, Effect::StopFirst, reason)
}

const fn restart(path: &'static str, scope: Scope, reason: &'static str) -> Rule {
    rule(path, scope, Effect::Restart, reason)
}

const fn reload(path: &'static str, scope: Scope, reason: &'static str) -> Rule {
    rule(path, scope, Effect::Reload, reason)
}

const fn no_effect(path: &'static str, reason: &'static str) -> Rule {
    rule(path, Scope::None, Effect::None, reason)
}

const fn rule(path: &'static str, scope: Scope, effect: Effect, reason: &'static str) -> Rule {
    Rule {
        path,
        scope,
        effect,
        reason,
    }
}

/// The file that names the release of Synapse that the processes run, by its path in a generation.
pub const VERSION: &str = "synapse/version";

/// The file that lists Python packages beside those of every venv, by its path in a generation.
pub const PACKAGES: &str = "synapse/packages";

/// The file that lists the sizes that follow from the host, by its path in a generation.
pub const SIZES: &str = "sizes";

/// The file that names the host of a generation, if that is not the first of several hosts, by its path in a generation.
pub const HOST_NAME: &str = "cluster/host";

/// The file that lists the hosts which a generation leaves out, one name a line, by its path in a generation.
pub const LEFT_OUT: &str = "cluster/left-out";

const REPLICATION: &str = "processes with different replication settings cannot communicate";
const RELEASE: &str =
    "processes of two releases may be incompatible, and main upgrades the database schema";
const OLDER_CODE: &str =
    "the processes run older code than is installed, and main upgrades the database schema";
const OPTIONS: &str = "Synapse reads its options only at start";
const LOG: &str = "Synapse reads its log settings again on SIGHUP";
const PAGE: &str = "Prometheus reads a page at each request for it";
const PASSWORD: &str = "the exporter reads its password only at start";
const ALERTMANAGER: &str = "systemd passes Alertmanager its configuration only at start";
const ALERTS: &str = "Alertmanager reads it in secrets/alertmanager.yml";
const RELEASE_PORT: &str = "nginx must release a port before it can bind it on another address";
const UNIT_FILE: &str = "its unit file changed";
const SIZE: &str = "systemd applies it to the running processes when it reloads unit files";
const SOCKETS: &str = "systemd passes sockets to a service only when it starts";

/// The restart rules. The rule with the longest matching path applies.
///
/// `tests/offline/restarts.rs` checks that every rendered file has a rule, and every rule a file.
#[rustfmt::skip] // one rule per line
pub static RULES: &[Rule] = &[
    // docs/workers.md: all worker instances must restart when event persisters are added or removed. The same holds for
    // every writer: storage/util/id_generators.py deletes the positions of instances that are not in its own list.
    stop_first("synapse/shared.d/stream_writers.yaml",                    Scope::Synapse,  "processes must never run with different lists of stream writers"),
    stop_first("synapse/shared.d/instance_map.yaml",                      Scope::Synapse,  "every process must know where a stream writer is before it writes"),
    stop_first("synapse/shared.d/replication.yaml",                       Scope::Synapse,  REPLICATION),
    stop_first("secrets/worker_replication_secret",                       Scope::Synapse,  REPLICATION),
    // http/matrixfederationclient.py: each process reads at start which instances send its requests.
    restart("synapse/shared.d/outbound_federation_restricted_to.yaml",    Scope::Synapse,  "other processes send the requests to other homeservers"),
    // config_documentation.md, federation_sender_instances: all must be stopped together, or events may be dropped.
    stop_first("synapse/shared.d/federation_sender_instances.yaml",       LISTED,          "destinations are redistributed among the federation senders"),
    // config_documentation.md, pusher_instances.
    stop_first("synapse/shared.d/pusher_instances.yaml",                  LISTED_AND_MAIN, "users are redistributed among the pushers"),
    // docs/workers.md: "ensure the main process is restarted".
    stop_first("synapse/shared.d/update_user_directory_from_worker.yaml", LISTED_AND_MAIN, "only one process may update the user directory"),
    stop_first("synapse/shared.d/notify_appservices_from_worker.yaml",    LISTED_AND_MAIN, "only one process may notify application services"),
    // config/workers.py: nothing else ensures that only one instance runs them.
    stop_first("synapse/shared.d/run_background_tasks_on.yaml",           LISTED_AND_MAIN, "only one process may run background tasks"),
    // docs/workers.md: main's own routes change with enable_media_repo.
    stop_first("synapse/shared.d/media.yaml",                             LISTED_AND_MAIN, "the media repository moves to another process"),
    // docs/upgrade.md: some releases changed the communication between processes (1.64, 1.69, 1.76).
    stop_first(VERSION,                                                   Scope::Image,    RELEASE),
    stop_first(paths::UPGRADED,                                           Scope::Image,    OLDER_CODE),
    // Modules are imported lazily, and the old files are gone.
    restart("/opt/synapse-workers/",                                      Scope::Image,    "the processes run code that was there before the venv was built again"),
    restart(PACKAGES,                                                     Scope::Image,    "Synapse imports Python packages only at start"),
    restart("synapse/homeserver.yaml",                                    Scope::Synapse,  OPTIONS),
    restart("synapse/homeserver.d/",                                      Scope::Synapse,  OPTIONS),
    restart("synapse/adopted/",                                           Scope::Synapse,  OPTIONS),
    restart("synapse/main.yaml",                                          Scope::Main,     OPTIONS),
    restart("synapse/workers/",                                           Scope::Named,    OPTIONS),
    restart("secrets/",                                                   Scope::Synapse,  "Synapse reads its secrets only at start"),
    // config/appservice.py: registrations are loaded at start, by every process.
    restart("synapse/app_services/",                                      Scope::Synapse,  "Synapse reads application service registrations only at start"),
    // logging.config.dictConfig: loggers that the new file does not name keep the levels and handlers of the old one.
    // In addition, app/_base.py, redirect_stdio_to_logs: a stream that the new file does not name is by then the log
    // itself.
    restart("synapse/own-log.yaml",                                       Scope::Synapse,  "a reload applies only a part of your own log configuration"),
    // app/_base.py and config/logger.py: Synapse reads the file again on SIGHUP.
    restart("synapse/python/",                                            Scope::Synapse,  "Python reads the formatter of the log only at start"),
    reload("synapse/log.yaml",                                            Scope::Synapse,  LOG),
    reload("synapse/logs/",                                               Scope::Named,    LOG),

    reload("nginx/",                            Scope::Unit(units::NGINX),              "nginx applies new routes without closing connections"),
    // A reload would bind the new address before it releases the old one, fail, and leave everything unchanged.
    restart("nginx/listen.conf",                Scope::Unit(units::NGINX),              RELEASE_PORT),
    restart("nginx/listen-proxied.conf",        Scope::Unit(units::NGINX),              RELEASE_PORT),
    restart("nginx/listen-challenge.conf",      Scope::Unit(units::NGINX),              RELEASE_PORT),
    restart("redis/redis.conf",                 Scope::Unit(units::REDIS),              "Redis reads its configuration only at start"),
    reload("prometheus/",                       Scope::Unit(units::PROMETHEUS),         "Prometheus reads targets and rules again on SIGHUP"),
    no_effect("prometheus/consoles/",                                                   PAGE),
    no_effect("prometheus/console_libraries/",                                          PAGE),
    restart("alertmanager/",                    Scope::Unit(units::ALERTMANAGER),       ALERTMANAGER),
    no_effect("metrics/",                                                               "the service of the timer reads it at each run"),
    no_effect("grafana/",                                                               "Grafana looks for changed dashboards every minute"),
    no_effect("host/etc/grafana/",                                                      "the administrator runs Grafana, which reads it at its next start"),
    restart("mtail/",                           Scope::Unit(units::NGINX_LOG_EXPORTER), "mtail reads its program only at start"),
    restart("acme/",                            Scope::Unit(units::ACME),               "a new order has attempts of its own"),
    no_effect("logrotate/",                                                             "logrotate reads it at each run"),
    no_effect("compressor/",                                                            "the state compressor reads it at its next run"),
    restart("coturn/",                          Scope::Unit(units::COTURN_EXPORTER),    "Python reads the exporter only at start"),
    no_effect("secrets/backup_password",                                                    "restic reads it at each run"),
    no_effect("secrets/alerts_smtp_password",                                           ALERTS),
    no_effect("secrets/alerts_webhook",                                                 ALERTS),
    restart("secrets/alertmanager.yml",         Scope::Unit(units::ALERTMANAGER),       ALERTMANAGER),
    restart("secrets/turnserver.conf",          Scope::Unit(units::COTURN),             "coturn reads its configuration only at start"),
    restart("secrets/redis.acl",                Scope::Unit(units::REDIS),              "Redis reads its users only at start"),
    restart("secrets/redis-exporter.json",      Scope::Unit(units::REDIS_EXPORTER),     PASSWORD),
    restart("secrets/postgres-exporter.pgpass", Scope::Unit(units::POSTGRES_EXPORTER),  PASSWORD),

    restart("host/etc/systemd/system/",                            Scope::UnitFile,                 UNIT_FILE),
    restart("*/50-warm.conf",                                      Scope::UnitFile,                 "the start of its process follows warm.mode"),
    // systemd.resource-control(5): systemd applies the limits to a running unit; the journal reads its own with the unit.
    no_effect("host/etc/systemd/system/synapse-main.service.d/40-size.conf",                        SIZE),
    no_effect("host/etc/systemd/system/synapse-worker@.service.d/40-size.conf",                     SIZE),
    // Whenever it starts, the path unit triggers the installation of the certificate.
    restart("host/etc/systemd/system/synapse-certificate.service", Scope::Unit(units::CERTIFICATE), UNIT_FILE),
    no_effect("host/etc/systemd/system/synapse-workers.target",                                     "it only groups the other units"),
    // systemd.socket(5): a socket is not started while its service runs.
    stop_first("host/etc/systemd/system/synapse-main.socket",      Scope::UnitFile,                 SOCKETS),
    stop_first("host/etc/systemd/system/synapse-worker@.socket",   Scope::UnitFile,                 SOCKETS),
    stop_first("host/etc/systemd/system/synapse-nginx.socket",     Scope::UnitFile,                 SOCKETS),
    stop_first("*/50-address.conf",                                Scope::UnitFile,                 SOCKETS),
    no_effect("host/etc/postgresql/",                                                               "PostgreSQL reads it when it restarts"),
    no_effect("*/synapse-workers.hba",                                                              "PostgreSQL reads its rules for clients again on SIGHUP"),
    no_effect(SIZES,                                                                                "it explains the other changes"),
    no_effect(HOST_NAME,                                                                            "it names the host"),
    no_effect(LEFT_OUT,                                                                             "it names the hosts that are left out"),
    no_effect("host/etc/sysusers.d/",                                                               "systemd-sysusers creates accounts once"),
    no_effect("host/etc/tmpfiles.d/",                                                               "systemd-tmpfiles creates directories"),
];

/// The rule for files of generations that another release of this program wrote. A test ensures that it applies to no
/// file of this release.
static UNKNOWN: Rule = rule(
    "",
    Scope::None,
    Effect::StopFirst,
    "another release of synapse-workers wrote it",
);

/// The rule that applies to a path in a generation or on the host.
pub fn rule_for(path: &str) -> &'static Rule {
    let secret = path.strip_prefix(paths::ETC);
    let path = secret.map_or(path, |rest| rest.trim_start_matches('/'));
    let matches = |rule: &&Rule| match rule.path.strip_prefix('*') {
        Some(name) => path.ends_with(name),
        None => path == rule.path || (rule.path.ends_with('/') && path.starts_with(rule.path)),
    };
    RULES
        .iter()
        .filter(matches)
        .max_by_key(|rule| (rule.path.starts_with('*'), rule.path.len()))
        .unwrap_or(&UNKNOWN)
}

/// The path on the host to which a file of a generation is copied; `None` if it is not copied.
pub fn host_path(path: &str) -> Option<&str> {
    path.strip_prefix(HOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_rules_have_the_same_path() {
        let paths: BTreeSet<&str> = RULES.iter().map(|rule| rule.path).collect();
        assert_eq!(paths.len(), RULES.len());
    }

    #[test]
    fn the_longest_matching_path_applies() {
        for (path, rule) in [
            ("prometheus/prometheus.yml", "prometheus/"),
            ("prometheus/consoles/index.html", "prometheus/consoles/"),
            ("secrets/synapse.d/email.yaml", "secrets/"),
            ("secrets/turnserver.conf", "secrets/turnserver.conf"),
            ("/etc/synapse-workers/secrets/form_secret", "secrets/"),
            (
                "/etc/synapse-workers/secrets/turnserver.conf",
                "secrets/turnserver.conf",
            ),
            (
                "host/etc/systemd/system/synapse-main.service.d/50-warm.conf",
                "*/50-warm.conf",
            ),
            ("synapse/version.old", ""),
        ] {
            assert_eq!(rule_for(path).path, rule, "{path}");
        }
    }
}
