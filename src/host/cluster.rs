//! The PostgreSQL cluster of this host: its configuration, and the validation of this program's file in it.

use super::admission;
use super::files::{self, Scratch};
use super::postgres::{self, Access, Postgres};
use super::tools::{self, Tool};
use crate::deployment::tuning;
use crate::state::Admission;
use crate::state::accounts;
use crate::state::cluster::{Cluster, DebianCluster, PARAMETERS, number};
use crate::state::paths;
use crate::state::restart_rules::host_path;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;

/// The local PostgreSQL, if it answers.
pub struct Local {
    /// The properties of the server, or why it cannot be queried.
    pub server: Result<Postgres, String>,
    /// Its configuration, if it can be determined.
    pub cluster: Option<Cluster>,
}

/// Queries the server and its configuration by one call of psql, as the superuser: only the superuser may read
/// `pg_file_settings`. Without the configuration, the properties of the server still count.
pub(super) fn ask(superuser: &Access) -> Local {
    let query = format!(
        "{};\n\\set ON_ERROR_STOP off\n{};\n{}",
        postgres::QUERY,
        query(),
        admission::query()
    );
    let answer = superuser.psql(&query);
    let server = answer.as_ref().map_err(|error| format!("{error:#}"));
    let server =
        server.and_then(|text| postgres::parse(text).map_err(|error| format!("{error:#}")));
    let cluster = answer.as_ref().ok().filter(|_| server.is_ok());
    Local {
        cluster: cluster.and_then(|text| examined(text).ok()),
        server,
    }
}

/// The statement for the configuration of a cluster.
fn query() -> String {
    let names: Vec<String> = tuning::names().map(|name| format!("'{name}'")).collect();
    // The value that counts without this program's file: the command line, or the last line of any other file.
    format!(
        "select 'file', current_setting('config_file'), '', '', '' \
         union all select 'parameter', s.name, current_setting(s.name), s.boot_val || coalesce(' ' || s.unit, ''), \
         case when s.source = 'command line' then s.setting || coalesce(' ' || s.unit, '') else coalesce((select f.setting \
         || coalesce(' ' || s.unit, '') from pg_file_settings f where f.name = s.name and f.sourcefile not like \
         '%/{PARAMETERS}' order by f.seqno desc limit 1), '') end from pg_settings s where s.name in ({})",
        names.join(", ")
    )
}

/// The configuration in an answer, with what the host adds to it.
fn examined(text: &str) -> Result<Cluster> {
    let mut cluster = parse(text)?;
    cluster.debian = cluster.debian.filter(|debian| {
        let text = files::read_text(&cluster.configuration);
        let includes = text.is_ok_and(|text| text.is_some_and(|text| includes(&text)));
        includes && files::is_directory(debian.directory())
    });
    cluster.solid_state = solid_state().unwrap_or(false);
    cluster.admission = admission::examined(text, cluster.debian.as_ref(), &cluster.configuration);
    Ok(cluster)
}

fn parse(text: &str) -> Result<Cluster> {
    let mut configuration = None;
    let (mut current, mut kept) = (BTreeMap::new(), BTreeSet::new());
    for line in text.lines() {
        match line.split('\t').collect::<Vec<&str>>()[..] {
            ["file", path, ..] => configuration = Some(path.to_owned()),
            ["parameter", name, value, default, other] => {
                current.insert(name.to_owned(), value.to_owned());
                if !other.is_empty() && measured(other) != measured(default) {
                    kept.insert(name.to_owned());
                }
            }
            _ => {}
        }
    }
    let configuration = configuration.context("cannot parse the answer of PostgreSQL")?;
    Ok(Cluster {
        debian: DebianCluster::of(&configuration),
        configuration,
        kept,
        current,
        solid_state: false,
        admission: Admission::default(),
    })
}

/// A value that is followed by a blank and the unit of its parameter.
fn measured(value: &str) -> Option<f64> {
    let (value, unit) = value.rsplit_once(' ').unwrap_or((value, ""));
    number(value, unit)
}

/// Whether a configuration file includes Debian's directory (PostgreSQL manual, 19.1.5).
fn includes(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let rest = line.trim().strip_prefix("include_dir").unwrap_or_default();
        rest.trim_matches([' ', '\t', '=', '\'']) == "conf.d"
    })
}

/// Whether the disk with the data of clusters has no moving parts (the kernel's Documentation/block/queue-sysfs.rst).
fn solid_state() -> Option<bool> {
    let device = files::metadata(paths::POSTGRES_DATA)?.dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    // A partition has no queue of its own; the disk is the directory above it.
    let rotates = ["queue", "../queue"].iter().find_map(|queue| {
        let path = format!("/sys/dev/block/{major}:{minor}/{queue}/rotational");
        files::read_text(path).ok()?
    })?;
    Some(rotates.trim() == "0")
}

/// Has PostgreSQL read this file after its own configuration, as PostgreSQL's account and without starting a server
/// (`postgres -C`).
///
/// # Errors
/// With the message of PostgreSQL.
pub(super) fn accepts(path: &str, contents: &[u8]) -> Result<()> {
    let place = host_path(path).context("not a file of the host")?;
    let cluster = DebianCluster::of_file(place)
        .with_context(|| format!("{place} is not in the directory of a PostgreSQL cluster"))?;
    let configuration = cluster.configuration();
    // The directory contains only parameters, which every account may read.
    let scratch = Scratch::new(0o755)?;
    files::replace(scratch.at(PARAMETERS), contents, 0o644)?;
    let own = scratch.at(PARAMETERS);
    let both = format!("include '{configuration}'\ninclude '{}'\n", own.display());
    files::replace(scratch.at("postgresql.conf"), both.as_bytes(), 0o644)?;
    let output = Tool::new(cluster.program())
        .user(accounts::POSTGRES)?
        .args(["-C", "shared_buffers", "-c"])
        .args([format!(
            "config_file={}",
            scratch.at("postgresql.conf").display()
        )])
        .output()?;
    ensure!(
        output.status.success(),
        "PostgreSQL refuses {place}\n{}",
        tools::tail(&output, 8)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_the_administrator_has_set_are_kept() {
        let answer = "file\t/etc/postgresql/17/main/postgresql.conf\t\t\t\n\
                      parameter\tshared_buffers\t2GB\t16384 8kB\t128MB 8kB\n\
                      parameter\twork_mem\t64MB\t4096 kB\t65536 kB\n\
                      parameter\tmax_connections\t100\t100\t100\n\
                      parameter\trandom_page_cost\t1.5\t4\t1.5\n\
                      parameter\teffective_cache_size\t4GB\t524288 8kB\t\n";
        let cluster = parse(answer).unwrap();
        assert_eq!(
            cluster.kept.iter().collect::<Vec<_>>(),
            ["random_page_cost", "work_mem"]
        );
        assert_eq!(cluster.current["shared_buffers"], "2GB");
        assert!(cluster.debian.is_some());
        assert!(parse("").is_err());
    }

    #[test]
    fn the_directory_of_debian_is_found_in_a_configuration() {
        for (line, found) in [
            (
                "include_dir = 'conf.d'\t\t\t# include files ending in '.conf' from",
                true,
            ),
            ("include_dir 'conf.d'", true),
            ("  include_dir='conf.d'", true),
            ("#include_dir = 'conf.d'", false),
            ("include_dir = '...'", false),
            ("include_if_exists = 'conf.d'", false),
        ] {
            assert_eq!(includes(&format!("port = 5432\n{line}\n")), found, "{line}");
        }
    }
}
