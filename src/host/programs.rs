//! Required programs and the packages that contain them.

use super::facts::{Facts, PackageManager, Scope};
use super::tools::{self, Tool};
use crate::settings::types::DatabaseKind;
use crate::state::host_facts::Exporters;
use crate::state::units;
use anyhow::{Context, Result};

/// A required program and the packages that contain it.
struct Program {
    /// The usual name of the package, used in messages.
    name: &'static str,
    apt: &'static str,
    dnf: &'static str,
    missing: fn(&Facts, &Scope) -> bool,
}

static PROGRAMS: &[Program] = &[
    Program {
        name: "nginx",
        apt: "nginx",
        dnf: "nginx",
        missing: |_, _| absent("nginx"),
    },
    Program {
        name: "redis",
        apt: "redis-server",
        dnf: "valkey",
        missing: |facts, scope| scope.runs(units::REDIS) && facts.redis.is_none(),
    },
    Program {
        name: "postgresql",
        apt: "postgresql",
        dnf: "postgresql-server",
        missing: |facts, scope| {
            scope.local_database && facts.answering_postgres().is_none() && absent_server()
        },
    },
    Program {
        name: "psql",
        apt: "postgresql-client",
        dnf: "postgresql",
        missing: |_, scope| scope.database() == DatabaseKind::External && absent("psql"),
    },
    Program {
        name: "prometheus",
        apt: "prometheus",
        dnf: "prometheus",
        missing: |_, scope| scope.runs(units::PROMETHEUS) && absent("prometheus"),
    },
    Program {
        name: "nginx exporter",
        apt: "prometheus-nginx-exporter",
        dnf: "golang-github-nginxinc-nginx-prometheus-exporter",
        missing: |_, scope| scope.runs(units::NGINX_EXPORTER) && all_absent(NGINX_EXPORTERS),
    },
    Program {
        name: "mtail",
        apt: "mtail",
        dnf: "mtail",
        missing: |_, scope| scope.runs(units::NGINX_LOG_EXPORTER) && absent("mtail"),
    },
    Program {
        name: "Redis exporter",
        apt: "prometheus-redis-exporter",
        dnf: "golang-github-oliver006-redis-exporter",
        missing: |_, scope| scope.runs(units::REDIS_EXPORTER) && all_absent(REDIS_EXPORTERS),
    },
    Program {
        name: "PostgreSQL exporter",
        apt: "prometheus-postgres-exporter",
        dnf: "golang-github-prometheus-postgres-exporter",
        missing: |_, scope| scope.runs(units::POSTGRES_EXPORTER) && all_absent(POSTGRES_EXPORTERS),
    },
    Program {
        name: "openssl",
        apt: "openssl",
        dnf: "openssl",
        missing: |_, scope| {
            let certificate = scope.settings.tls.certificate.is_some();
            scope.runs(units::HOST_METRICS) && certificate && absent("openssl")
        },
    },
    Program {
        name: "coturn",
        apt: "coturn",
        dnf: "coturn",
        missing: |_, scope| scope.runs(units::COTURN) && absent("turnserver"),
    },
    Program {
        name: "logrotate",
        apt: "logrotate",
        dnf: "logrotate",
        missing: |_, scope| scope.runs(units::LOGROTATE) && absent("logrotate"),
    },
    Program {
        name: "python3 with venv",
        apt: "python3-venv",
        dnf: "python3",
        missing: |facts, scope| {
            let venv = facts.synapse.is_none() || scope.runs(units::COMPRESSOR);
            venv && !python_has("ensurepip")
        },
    },
    Program {
        name: "psycopg2",
        apt: "python3-psycopg2",
        dnf: "python3-psycopg2",
        missing: |facts, _| facts.synapse.is_none() && !python_has("psycopg2"),
    },
];

/// Program names of the exporters: Debian's first, then the project's own.
const NGINX_EXPORTERS: &[&str] = &["prometheus-nginx-exporter", "nginx-prometheus-exporter"];
const REDIS_EXPORTERS: &[&str] = &["prometheus-redis-exporter", "redis_exporter"];
const POSTGRES_EXPORTERS: &[&str] = &["prometheus-postgres-exporter", "postgres_exporter"];

/// The program name of each exporter on this host, or Debian's name if it is not installed yet.
pub fn exporters() -> Exporters {
    let name = |names: &[&'static str]| {
        let found = names.iter().find(|name| !absent(name));
        found
            .or(names.first())
            .copied()
            .unwrap_or_default()
            .to_owned()
    };
    Exporters {
        nginx: name(NGINX_EXPORTERS),
        redis: name(REDIS_EXPORTERS),
        postgres: name(POSTGRES_EXPORTERS),
    }
}

fn all_absent(programs: &[&str]) -> bool {
    programs.iter().all(|program| absent(program))
}

fn absent(program: &str) -> bool {
    tools::find(program).is_err()
}

/// Whether PostgreSQL's server is missing. Debian installs servers of several versions side by side, outside of `PATH`.
fn absent_server() -> bool {
    let versions = super::files::names("/usr/lib/postgresql");
    let server = |version: &String| {
        super::files::exists(format!("/usr/lib/postgresql/{version}/bin/postgres"))
    };
    absent("psql") || (absent("postgres") && !versions.iter().any(server))
}

/// Whether the system's Python can import a module.
fn python_has(module: &str) -> bool {
    Tool::new("python3")
        .args(["-I", "-c", &format!("import {module}")])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The names of the missing programs.
pub fn missing_programs(facts: &Facts, scope: &Scope) -> Vec<&'static str> {
    PROGRAMS
        .iter()
        .filter(|program| (program.missing)(facts, scope))
        .map(|program| program.name)
        .collect()
}

/// The command that installs all missing programs.
pub fn install_command(facts: &Facts) -> Option<Vec<&'static str>> {
    let mut command = match facts.packages? {
        PackageManager::Apt => vec!["apt-get", "install", "-y"],
        PackageManager::Dnf => vec!["dnf", "install", "-y"],
    };
    let missing = PROGRAMS
        .iter()
        .filter(|program| facts.missing.contains(&program.name));
    command.extend(missing.map(|program| match facts.packages {
        Some(PackageManager::Dnf) => program.dnf,
        _ => program.apt,
    }));
    Some(command)
}

/// Services that packages start on all addresses of the host, each with the name of its program. The services of this
/// program replace them.
static STARTED: &[(&str, &str)] = &[
    ("prometheus", "prometheus.service"),
    // The package of Prometheus recommends it.
    ("prometheus", "prometheus-node-exporter.service"),
    ("nginx exporter", "prometheus-nginx-exporter.service"),
    ("Redis exporter", "prometheus-redis-exporter.service"),
    (
        "PostgreSQL exporter",
        "prometheus-postgres-exporter.service",
    ),
    ("coturn", "coturn.service"),
];

/// Runs an [`install_command`], and disables the services that its packages started on all addresses. A service that
/// existed before belongs to the administrator and is left unchanged.
///
/// # Errors
/// With the end of the command's output. Some of the packages may be installed then.
pub fn install(command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no command")?;
    let before: Vec<&str> = services().filter(|service| is_known(service)).collect();
    Tool::new(program)
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .with_archives()
        .within(tools::PACKAGES)
        .run()?;
    for service in services().filter(|service| !before.contains(service) && is_known(service)) {
        Tool::new("systemctl")
            .args(["disable", "--now", service])
            .run()?;
    }
    Ok(())
}

fn services() -> impl Iterator<Item = &'static str> {
    STARTED.iter().map(|(_, service)| *service)
}

/// Whether a unit file of this name exists.
fn is_known(service: &str) -> bool {
    Tool::new("systemctl")
        .args(["cat", "--", service])
        .output()
        .is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packages_start_is_known_by_programs_of_the_table() {
        for (name, service) in STARTED {
            let known = PROGRAMS.iter().any(|program| program.name == *name);
            assert!(known, "{name}: {service}");
        }
    }
}
