//! Programs that have to be there, with the packages that bring them.

use super::facts::{Facts, PackageManager, Scope};
use super::tools::{self, Tool};
use anyhow::{Context, Result};

/// A program that has to be there, with the packages that bring it.
struct Program {
    /// The package's usual name, by which it is spoken of.
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
        missing: |facts, scope| scope.workers && facts.redis.is_none(),
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
        name: "python3 with venv",
        apt: "python3-venv",
        dnf: "python3",
        missing: |facts, _| facts.synapse.is_none() && !python_has("ensurepip"),
    },
    Program {
        name: "psycopg2",
        apt: "python3-psycopg2",
        dnf: "python3-psycopg2",
        missing: |facts, _| facts.synapse.is_none() && !python_has("psycopg2"),
    },
];

fn absent(program: &str) -> bool {
    tools::find(program).is_none()
}

/// Debian keeps the servers of several versions side by side, outside of `PATH`.
fn absent_server() -> bool {
    let versions = super::files::names("/usr/lib/postgresql");
    let server = |version: &String| {
        std::path::Path::new(&format!("/usr/lib/postgresql/{version}/bin/postgres")).exists()
    };
    absent("psql") || (absent("postgres") && !versions.iter().any(server))
}

/// Whether the system's Python can import a module.
fn python_has(module: &str) -> bool {
    Tool::new("python3")
        .args(["-c", &format!("import {module}")])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Names of the programs that are missing.
pub fn missing_programs(facts: &Facts, scope: &Scope) -> Vec<&'static str> {
    PROGRAMS
        .iter()
        .filter(|program| (program.missing)(facts, scope))
        .map(|program| program.name)
        .collect()
}

/// The one command that brings everything missing.
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

/// Runs [`install_command`].
pub fn install_packages(facts: &Facts) -> Result<()> {
    let command = install_command(facts).context("this system has neither apt-get nor dnf")?;
    Tool::new(command[0])
        .args(&command[1..])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run()
        .map(drop)
}
