//! The preset and the sizes that follow from the size of a host.

use super::setup::{Setup, cluster, text};
use std::fmt::Write;
use std::path::Path;
use synapse_workers::deployment::sizing::ROWS;
use synapse_workers::state::host_size::{GIB, MIB, show_memory};
use synapse_workers::state::{HostSize, paths};
use synapse_workers::topology::needs;

/// A host as it was sold. The kernel keeps a part of the memory for itself.
fn host(processors: usize, gibibytes: u64) -> HostSize {
    HostSize {
        processors,
        memory: gibibytes * GIB - gibibytes * 40 * MIB,
        disk: gibibytes * 20 * GIB,
        connections: 97,
    }
}

/// The sizes of a server with the preset that fits a host: one line of the table.
fn line(processors: usize, gibibytes: u64) -> String {
    let size = host(processors, gibibytes);
    let preset = needs::choose(&size).preset;
    let workers = preset.map_or("", |preset| preset.name);
    let deployment = Setup::new(workers).deployment();
    let processes = deployment.topology.workers.len() + 1;
    let mut line = format!(
        "{processors}\t{gibibytes}\t{}\t{processes}\t{}",
        if workers.is_empty() { "-" } else { workers },
        show_memory(needs::memory_with_users(processes))
    );
    for (_, value) in deployment.derived(&size) {
        let _ = write!(line, "\t{value}");
    }
    let cluster = cluster("/etc/postgresql/17/main/postgresql.conf");
    let tuning = deployment.tuning(&size, &cluster);
    let tuning: Vec<String> = tuning.iter().map(ToString::to_string).collect();
    line + "\t" + &tuning.join(", ") + "\n"
}

#[test]
fn preset_and_sizes_of_common_hosts_are_as_expected() {
    let keys = ROWS.map(|row| row.key).join("\t");
    let mut table = format!("cores\tGiB\tpreset\tprocesses\tmemory\t{keys}\tPostgreSQL\n");
    for processors in [1, 2, 4, 8] {
        for gibibytes in [1, 2, 4, 8, 16, 32] {
            table.push_str(&line(processors, gibibytes));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/sizes.tsv");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), table);
}

/// The sizes of every preset fit PostgreSQL's default of 100 connections, three of them reserved.
#[test]
fn the_pools_of_all_processes_fit_postgresql() {
    for (workers, connections, pool) in [
        ("small", 97, 4),
        ("large", 97, 4),
        ("synchrotron:30", 97, 2),
        ("synchrotron:60", 97, 1),
        ("large", 197, 4),
        ("large", 0, 4),
    ] {
        let size = HostSize {
            connections,
            ..HostSize::default()
        };
        let sizes = Setup::new(workers).deployment().sizes(&size);
        assert_eq!(sizes.cp_max, pool, "{workers}, {connections}");
    }
    // Never less than the connections that each process keeps open.
    let size = HostSize {
        connections: 97,
        ..HostSize::default()
    };
    let kept = Setup::new("synchrotron:60").settings("database: {cp_min: 3}");
    assert_eq!(kept.deployment().sizes(&size).cp_max, 3);
}

#[test]
fn a_value_in_the_settings_has_precedence() {
    let setup = Setup::new("small").settings(
        "caches: {global_factor: 0.7}\ndatabase: {cp_max: 7}\nnginx: {worker_connections: 100}\n\
         metrics: {retention_size: 3G}\nlimits: {memory_high: infinity, log_burst: 5000}",
    );
    let sizes = setup.deployment().sizes(&host(8, 32));
    assert_eq!(
        (
            sizes.global_factor.as_str(),
            sizes.cp_max,
            sizes.worker_connections
        ),
        ("0.7", 7, 100)
    );
    assert_eq!(
        (
            sizes.retention_size,
            sizes.memory_high.as_str(),
            sizes.log_burst
        ),
        (3 * GIB, "infinity", 5_000)
    );
}

/// A host of the same kind, with another kernel or with one more worker, has the same files.
#[test]
fn small_differences_change_no_file() {
    let rendered = |workers: &str, memory: u64| {
        let mut setup = Setup::new(workers);
        setup.facts.size = HostSize {
            memory,
            ..host(4, 8)
        };
        let state = setup.state();
        let unit = format!("host{}/synapse-main.service.d/40-size.conf", paths::UNITS);
        (
            text(&state, "synapse/homeserver.yaml").to_owned(),
            text(&state, &unit).to_owned(),
        )
    };
    let first = rendered("medium", 7_763 * MIB);
    assert_eq!(rendered("medium", 7_941 * MIB), first);
    assert_eq!(rendered("medium, synchrotron:3", 7_763 * MIB), first);
    assert_ne!(rendered("medium", 31_812 * MIB), first);
}

#[test]
fn postgresql_is_tuned_only_where_the_administrator_has_not() {
    let mut own = cluster("/etc/postgresql/17/main/postgresql.conf");
    own.kept.insert("work_mem".to_owned());
    let deployment = Setup::new("large")
        .settings("database: {tune: true}")
        .deployment();
    let size = host(8, 16);
    let names: Vec<&str> = deployment
        .tuning(&size, &own)
        .iter()
        .map(|parameter| parameter.name)
        .collect();
    assert!(
        names.contains(&"shared_buffers") && !names.contains(&"work_mem"),
        "{names:?}"
    );
    let (path, text) = deployment.parameters_file(&size, &own).unwrap();
    assert_eq!(path, "/etc/postgresql/17/main/conf.d/synapse-workers.conf");
    assert!(text.contains("\nshared_buffers = 4GB\n"), "{text}");
    // Without the setting, on another host, and in another layout, there is no file.
    for (lines, configuration) in [
        ("", "/etc/postgresql/17/main/postgresql.conf"),
        (
            "database: {tune: true, host: db.test}",
            "/etc/postgresql/17/main/postgresql.conf",
        ),
        (
            "database: {tune: true}",
            "/var/lib/pgsql/data/postgresql.conf",
        ),
    ] {
        let deployment = Setup::new("large").settings(lines).deployment();
        assert_eq!(
            deployment.parameters_file(&size, &cluster(configuration)),
            None,
            "{lines}"
        );
    }
}
