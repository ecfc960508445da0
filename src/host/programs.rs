//! Required programs and the packages that contain them.

use super::facts::{Facts, PackageManager, Scope};
use super::tools::{self, Tool};
use crate::settings::types::DatabaseKind;
use crate::state::host_facts::Exporters;
use crate::state::services::{self, SERVICES};
use crate::state::units;
use anyhow::{Context, Result};

/// A program that Synapse needs, or a service under a condition of its own. [`SERVICES`] has the programs that one
/// service always needs.
struct Program {
    /// The name in messages.
    name: &'static str,
    apt: &'static str,
    dnf: &'static str,
    missing: fn(&Facts, &Scope) -> bool,
}

#[rustfmt::skip] // one program per line
static PROGRAMS: &[Program] = &[
    Program { name: "postgresql",        apt: "postgresql",        dnf: "postgresql-server", missing: lacks_postgresql },
    Program { name: "psql",              apt: "postgresql-client", dnf: "postgresql",        missing: lacks_psql },
    Program { name: "openssl",           apt: "openssl",           dnf: "openssl",           missing: lacks_openssl },
    Program { name: "python3 with venv", apt: "python3-venv",      dnf: "python3",           missing: lacks_venv },
    Program { name: "psycopg2",          apt: "python3-psycopg2",  dnf: "python3-psycopg2",  missing: lacks_psycopg2 },
];

fn lacks_postgresql(facts: &Facts, scope: &Scope) -> bool {
    scope.local_database && facts.answering_postgres().is_none() && absent_server()
}

fn lacks_psql(_: &Facts, scope: &Scope) -> bool {
    scope.database() == DatabaseKind::External && absent("psql")
}

fn lacks_openssl(_: &Facts, scope: &Scope) -> bool {
    let tls = &scope.settings.tls;
    // It reads the expiry of the certificate, and creates the placeholder.
    let needed = tls.acme.is_some() || (scope.runs(units::HOST_METRICS) && tls.is_on());
    needed && absent("openssl")
}

fn lacks_venv(facts: &Facts, scope: &Scope) -> bool {
    let venv = facts.synapse.is_none() || scope.runs(units::COMPRESSOR);
    venv && !python_has("ensurepip")
}

fn lacks_psycopg2(facts: &Facts, _: &Scope) -> bool {
    facts.synapse.is_none() && !python_has("psycopg2")
}

/// The names of the executable of a service.
fn executables(unit: &str) -> &'static [&'static str] {
    let program = services::service(unit).and_then(|service| service.program.as_ref());
    program
        .map(|program| program.executables)
        .unwrap_or_default()
}

/// The installed executable of a service.
pub fn installed(unit: &str) -> Option<&'static str> {
    let mut names = executables(unit).iter().copied();
    names.find(|name| !absent(name))
}

/// The executable of each exporter on this host, or Debian's name if it is not installed yet.
pub fn exporters() -> Exporters {
    let name = |unit| {
        let debian = executables(unit).first().copied();
        installed(unit).or(debian).unwrap_or_default().to_owned()
    };
    Exporters {
        nginx: name(units::NGINX_EXPORTER),
        redis: name(units::REDIS_EXPORTER),
        postgres: name(units::POSTGRES_EXPORTER),
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
    let desired = SERVICES.iter().filter(|service| scope.runs(service.unit));
    let of_services = desired
        .filter_map(|service| service.program.as_ref())
        .filter(|program| all_absent(program.executables))
        .map(|program| program.name);
    let others = PROGRAMS
        .iter()
        .filter(|program| (program.missing)(facts, scope))
        .map(|program| program.name);
    of_services.chain(others).collect()
}

/// The command that installs all missing programs.
pub fn install_command(facts: &Facts) -> Option<Vec<&'static str>> {
    let manager = facts.packages?;
    let mut command = match manager {
        PackageManager::Apt => vec!["apt-get", "install", "-y"],
        PackageManager::Dnf => vec!["dnf", "install", "-y"],
    };
    let of_services = services::programs().map(|program| (program.name, program.apt, program.dnf));
    let others = PROGRAMS
        .iter()
        .map(|program| (program.name, program.apt, program.dnf));
    let packages = of_services
        .chain(others)
        .filter(|(name, ..)| facts.missing.contains(name))
        .map(|(_, apt, dnf)| match manager {
            PackageManager::Apt => apt,
            PackageManager::Dnf => dnf,
        });
    command.extend(packages);
    Some(command)
}

/// Runs an [`install_command`], and disables the services that its packages started on all addresses. A service that
/// existed before belongs to the administrator and is left unchanged.
///
/// # Errors
/// With the end of the command's output. Some of the packages may be installed then.
pub fn install(command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no command")?;
    let before: Vec<&str> = started().filter(|service| is_known(service)).collect();
    Tool::new(program)
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .with_archives()
        .within(tools::PACKAGES)
        .followed()
        .run()?;
    for service in started().filter(|service| !before.contains(service) && is_known(service)) {
        Tool::new("systemctl")
            .args(["disable", "--now", service])
            .run()?;
    }
    Ok(())
}

/// The services that packages start.
fn started() -> impl Iterator<Item = &'static str> {
    services::programs()
        .flat_map(|program| program.started)
        .copied()
}

/// Whether a unit file of this name exists.
fn is_known(service: &str) -> bool {
    Tool::new("systemctl")
        .args(["cat", "--", service])
        .output()
        .is_ok_and(|output| output.status.success())
}
