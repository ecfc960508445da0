//! Advice: the recommendation for each bottleneck, and none for a server without one.

use super::setup::Setup;
use std::collections::{BTreeMap, BTreeSet};
use synapse_workers::advice::rules::{RULES, recommend};
use synapse_workers::advice::{
    Change, MachineLoad, Outlook, PostgresLoad, ProcessLoad, Recommendation, Sample, Scene,
    SynapseLoad,
};
use synapse_workers::state::host_size::{GIB, MIB};
use synapse_workers::state::{HostSize, units};

/// A server with load.
struct Server {
    setup: Setup,
    sample: Sample,
}

/// A load of which no rule has anything to say, with a demand of 30 % for each process of Synapse.
fn calm(workers: &str) -> Server {
    let setup = Setup::new(workers);
    let topology = setup.deployment().topology;
    let names = topology.workers.iter().map(|worker| worker.name.clone());
    let process = |name: String| ProcessLoad {
        unit: units::process(&name),
        name,
        pid: 7,
        cpu: Some(0.3),
        demand: Some(0.3),
        memory: Some(120 * MIB),
        private: Some(100 * MIB),
        synapse: Some(SynapseLoad {
            requests: 10.0,
            transactions: 50.0,
            transaction_time: 0.004,
            lookups: 1000.0,
            misses: 0.02,
            work: BTreeMap::new(),
            ..SynapseLoad::default()
        }),
        ..ProcessLoad::default()
    };
    let sample = Sample {
        seconds: 60.0,
        machine: MachineLoad {
            processors: 8.0,
            busy: 2.0,
            memory: 8 * GIB,
            available: 4 * GIB,
            stalled: Some(0.0),
            load: 2.0,
        },
        processes: names.chain(["main".to_owned()]).map(process).collect(),
        postgres: Some(PostgresLoad {
            limit: 97,
            used: 20,
            buffers: 128 * MIB,
            hits: Some(0.995),
            cpu: Some(0.2),
            ..PostgresLoad::default()
        }),
        ..Sample::default()
    };
    Server { setup, sample }
}

impl Server {
    /// Changes the load of the processes whose name begins like this.
    fn with(mut self, name: &str, change: impl Fn(&mut ProcessLoad)) -> Self {
        let processes = self.sample.processes.iter_mut();
        processes
            .filter(|process| process.name.starts_with(name))
            .for_each(change);
        self
    }

    /// A process that needs this part of its processor for this work.
    fn busy(self, name: &str, demand: f64, work: &[(&str, f64)]) -> Self {
        self.with(name, |process| {
            process.cpu = Some(demand);
            process.demand = Some(demand);
            let synapse = process.synapse.as_mut().unwrap();
            synapse.work = work
                .iter()
                .map(|(name, cores)| ((*name).to_owned(), *cores))
                .collect();
        })
    }

    fn look<T>(&self, look: impl FnOnce(&Scene) -> T) -> T {
        let deployment = self.setup.deployment();
        let sizes = deployment.sizes(&HostSize {
            processors: 8,
            memory: 8 * GIB,
            disk: 100 * GIB,
            connections: 97,
        });
        look(&Scene {
            sample: &self.sample,
            deployment: &deployment,
            sizes: &sizes,
        })
    }

    fn recommendations(&self) -> Vec<Recommendation> {
        self.look(recommend)
    }

    fn first(&self) -> Recommendation {
        let found = self.recommendations();
        found.into_iter().next().expect("a recommendation")
    }
}

fn command(text: &str) -> Change {
    Change::Command(format!("synapse-workers {text}"))
}

#[test]
fn a_calm_server_gets_no_recommendation_and_an_outlook() {
    for workers in ["", "small", "large"] {
        let server = calm(workers);
        assert_eq!(server.recommendations(), [], "{workers}");
        let outlook = server.look(Outlook::of).unwrap();
        assert_eq!(outlook.demand, 0.3);
        let growth = outlook.growth.unwrap();
        assert!((1.5..3.0).contains(&growth), "{workers}: {growth}");
    }
}

#[test]
fn the_role_with_most_of_the_work_of_main_gets_a_worker() {
    let work = [
        ("SyncRestServlet", 0.5),
        ("RoomSendEventRestServlet", 0.2),
        ("persist_events", 0.15),
        ("WhoisRestServlet", 0.1),
    ];
    let server = calm("pusher").busy("main", 0.95, &work);
    let found = server.recommendations();
    let changes: Vec<&Change> = found.iter().map(|one| &one.change).collect();
    assert_eq!(
        changes,
        [
            &command("add synchrotron"),
            &command("add event_creator"),
            &command("add event_persister")
        ]
    );
    assert!((1.8..2.2).contains(&found[0].gain), "{}", found[0].gain);
    assert!(found[0].evidence.iter().any(|line| line.contains("53 %")));
}

#[test]
fn a_saturated_main_process_without_workers_or_metrics_gets_a_preset() {
    let without = |process: &mut ProcessLoad| process.synapse = None;
    let server = calm("").busy("main", 0.97, &[]).with("main", without);
    assert_eq!(server.first().change, command("install --preset large"));
    let server = calm("pusher").busy("main", 0.97, &[]).with("", without);
    let setting = Change::Setting {
        key: "metrics.enabled",
        value: "true".to_owned(),
    };
    assert_eq!(server.first().change, setting);
}

#[test]
fn saturated_workers_get_another_one() {
    let server = calm("synchrotron:2").busy("synchrotron", 0.9, &[("SyncRestServlet", 0.8)]);
    let found = server.first();
    assert_eq!(found.change, command("scale synchrotron=3"));
    assert!((1.45..1.55).contains(&found.gain), "{}", found.gain);
    let server = calm("event_persister").busy("event_persister", 0.9, &[("persist_events", 0.8)]);
    let found = server.first();
    assert_eq!(found.change, command("scale event_persister=2"));
    assert_eq!(found.gain, 2.0);
    // One entry has roles that only one worker can have, and one that several can.
    let work = [("persist_events", 0.7), ("RoomTypingRestServlet", 0.1)];
    let server = calm("small").busy("streams", 0.9, &work);
    assert_eq!(server.first().change, command("add event_persister"));
    let server = calm("typing").busy("typing", 0.9, &[("RoomTypingRestServlet", 0.8)]);
    assert_eq!(server.recommendations(), []);
}

#[test]
fn a_host_without_a_free_processor_does_not_get_workers() {
    let mut server = calm("synchrotron:2").busy("synchrotron", 0.95, &[]);
    server.sample.machine.processors = 2.0;
    server.sample.machine.busy = 2.0;
    let found = server.recommendations();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].rule, "host-processors");
    assert!(matches!(&found[0].change, Change::Outside(text) if text.contains("more processors")));
    // Most of the load is not from this server.
    server.sample.machine.processors = 8.0;
    server.sample.machine.busy = 8.0;
    let found = server.first();
    assert!(matches!(&found.change, Change::Outside(text) if text.contains("other programs")));
}

#[test]
fn an_exhausted_pool_gets_more_connections() {
    let server = calm("synchrotron").with("synchrotron", |process| {
        let synapse = process.synapse.as_mut().unwrap();
        synapse.pool_wait = 0.08;
        synapse.transaction_time = 0.02;
    });
    let found = server.first();
    let setting = Change::Setting {
        key: "database.cp_max",
        value: "8".to_owned(),
    };
    assert_eq!(found.change, setting);
    // 100 ms become 77: 20 ms of work, and 80 ms of waiting divided by the root of 2.
    assert!((1.25..=1.35).contains(&found.gain), "{}", found.gain);
    // PostgreSQL has no connections for it.
    let mut server = server;
    server.sample.postgres.as_mut().unwrap().limit = 10;
    server.sample.postgres.as_mut().unwrap().used = 5;
    assert_eq!(server.recommendations(), []);
}

#[test]
fn a_postgresql_that_waits_for_the_disk_is_tuned() {
    let mut server = calm("small");
    let postgres = server.sample.postgres.as_mut().unwrap();
    postgres.hits = Some(0.8);
    postgres.reads = 5000.0;
    postgres.active = [("IO".to_owned(), 3.0), ("CPU".to_owned(), 1.0)].into();
    let postgres = postgres.clone();
    // The default of a server with workers is the PostgreSQL of this host.
    let found = server.first();
    assert_eq!(found.rule, "database-cache");
    assert!(matches!(&found.change, Change::Command(text) if text.contains("--tune-database")));
    assert_eq!(found.gain.round(), 4.0);
    let mut tuned = calm("small");
    tuned.setup = tuned.setup.settings("database: {tune: true}");
    tuned.sample.postgres = Some(postgres);
    assert!(matches!(tuned.first().change, Change::Outside(_)));
    let mut full = calm("small");
    full.sample.postgres.as_mut().unwrap().used = 95;
    assert_eq!(full.first().rule, "database-limit");
}

#[test]
fn full_caches_get_a_larger_factor_while_memory_is_left() {
    let mut server = calm("synchrotron").with("synchrotron", |process| {
        let synapse = process.synapse.as_mut().unwrap();
        synapse.misses = 0.4;
        synapse.evicted = 300.0;
        synapse.transactions = 100.0;
    });
    let found = server.first();
    let setting = |change: &Change| match change {
        Change::Setting { key, .. } => *key,
        _ => "",
    };
    assert_eq!(setting(&found.change), "caches.global_factor");
    assert!(found.effect.contains("75 %"), "{}", found.effect);
    server.sample.machine.available = GIB / 2;
    assert!(
        server
            .recommendations()
            .iter()
            .all(|one| one.rule != "caches")
    );
}

#[test]
fn idle_workers_are_merged_only_while_memory_is_short() {
    let idle = |process: &mut ProcessLoad| process.demand = Some(0.01);
    let mut server = calm("typing, receipts, to_device, synchrotron:3")
        .with("typing", idle)
        .with("receipts", idle)
        .with("to_device", idle)
        .with("synchrotron", idle);
    assert_eq!(server.recommendations(), []);
    server.sample.machine.available = GIB / 2;
    let found = server.recommendations();
    let changes: BTreeSet<String> = found.iter().flat_map(|one| one.change.lines()).collect();
    assert!(
        changes.contains("run: synapse-workers scale synchrotron=2"),
        "{changes:?}"
    );
    let merged =
        "run: synapse-workers install --workers 'synchrotron:3, merged=receipts+to_device+typing'";
    assert!(changes.contains(merged), "{changes:?}");
    assert!(
        found.iter().any(|one| one.effect.contains("200 MiB")),
        "{found:#?}"
    );
}

#[test]
fn every_rule_has_a_name_of_its_own_and_a_row_in_the_documentation() {
    let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len());
    let documentation = include_str!("../../docs/advice.md");
    for rule in &RULES {
        let (first, rest) = rule.bottleneck.split_at(1);
        let row = format!("| `{}` | {}{rest} |", rule.name, first.to_uppercase());
        assert!(documentation.contains(&row), "{row}");
    }
}

#[test]
fn a_saturated_nginx_gets_another_process() {
    let mut server = calm("small");
    server.setup = server.setup.settings("nginx: {worker_processes: 1}");
    server.sample.processes.push(ProcessLoad {
        name: "nginx".to_owned(),
        unit: units::NGINX.to_owned(),
        cpu: Some(0.95),
        ..ProcessLoad::default()
    });
    let setting = Change::Setting {
        key: "nginx.worker_processes",
        value: "2".to_owned(),
    };
    assert_eq!(server.first().change, setting);
}
