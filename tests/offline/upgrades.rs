//! Another release of Synapse: its location, when the previous release is removed, and whether the database supports
//! it.

use super::adoption;
use super::model::{End, Model};
use super::setup::{Setup, text};
use super::validators::{program, run, shown};
use serde_json::{Value, json};
use std::fs;
use synapse_workers::plan::schema::{Code, Database};
use synapse_workers::plan::step::{Step, Validator};
use synapse_workers::plan::{Plan, Removal, Target};
use synapse_workers::state::restart_rules::VERSION;
use synapse_workers::state::units;
use synapse_workers::state::{Resource, State, SynapseVenv};

const SCRIPT: &str = include_str!("../../src/host/schema.py");

fn of_release(release: &str) -> Setup {
    Setup::new("synchrotron").settings(&format!("synapse: {{version: {release}}}"))
}

fn venv(release: &str) -> Resource {
    Resource::Venv(SynapseVenv::base(release))
}

/// The position of a step in a plan.
fn place(plan: &Plan, of: impl Fn(&Step) -> bool) -> Option<usize> {
    plan.steps.iter().position(of)
}

fn schema(step: &Step) -> bool {
    matches!(step, Step::Validate { validator, .. } if *validator == Validator::Schema)
}

#[test]
fn each_release_has_a_directory_of_its_own() {
    for (setup, python, release) in [
        (
            of_release("1.162.0"),
            "/opt/synapse-workers/venv-1.162.0/bin/python",
            "1.162.0\n",
        ),
        // A Synapse of the host takes precedence over the release in the settings.
        (
            of_release("1.162.0").python("/opt/x/py"),
            "/opt/x/py",
            "1.163.2\n",
        ),
    ] {
        let state = setup.state();
        for unit in ["synapse-main.service", "synapse-worker@.service"] {
            let unit = text(&state, &format!("host/etc/systemd/system/{unit}"));
            assert!(unit.contains(&format!("=:{python} ")), "{unit}");
        }
        assert_eq!(text(&state, VERSION), release);
    }
}

#[test]
fn the_next_change_removes_the_previous_release() {
    let (old, new) = (of_release("1.162.0").state(), of_release("1.163.2").state());
    let next = of_release("1.163.2").settings("log_level: DEBUG").state();
    let mut model = Model::running(&old);
    let plan = model.run(&new, End::Done);
    let made = place(&plan, |step| *step == Step::Create(venv("1.163.2")));
    let job = place(&plan, |step| matches!(step, Step::Jobs { .. }));
    assert!(made.is_some() && made < place(&plan, schema), "{plan}");
    assert!(place(&plan, schema) < job, "{plan}");
    // The plan prints the reason below each job of a Synapse process.
    let without_reason = |step: &&Step| {
        let synapse = |unit: &String| units::is_synapse(unit);
        matches!(step, Step::Jobs { units, .. } if units.iter().any(synapse))
            && !step
                .to_string()
                .contains("processes of two releases may be incompatible")
    };
    assert_eq!(plan.steps.iter().find(without_reason), None, "{plan}");
    assert!(model.run(&new, End::Done).is_empty());

    // A rollback and its reversal create nothing again.
    for (generation, state) in [(1, &old), (2, &new)] {
        let plan = model.towards(
            state,
            Target::Generation(generation),
            Removal::Keep,
            End::Done,
        );
        let touched = |step: &Step| matches!(step, Step::Create(_) | Step::Remove(_));
        assert_eq!(place(&plan, touched), None, "{plan}");
        assert!(place(&plan, schema) < place(&plan, |step| matches!(step, Step::Switch { .. })));
        assert!(place(&plan, schema).is_some(), "{plan}");
    }

    let plan = model.run(&next, End::Done);
    assert!(
        plan.steps.contains(&Step::Remove(venv("1.162.0"))),
        "{plan}"
    );
    assert!(model.run(&next, End::Done).is_empty());
    assert!(model.resources.contains(&venv("1.163.2")));
}

#[test]
fn the_next_change_removes_a_release_that_the_hosts_own_replaced() {
    let own = || Setup::new("synchrotron").python("/usr/bin/python3");
    let (old, new) = (of_release("1.162.0").state(), own().state());
    let mut model = Model::running(&old);
    let plan = model.run(&new, End::Done);
    assert!(
        !plan
            .steps
            .iter()
            .any(|step| matches!(step, Step::Remove(_))),
        "{plan}"
    );
    let plan = model.run(&own().settings("log_level: DEBUG").state(), End::Done);
    let opt = Resource::Directory("/opt/synapse-workers".to_owned());
    for gone in [venv("1.162.0"), opt] {
        assert!(plan.steps.contains(&Step::Remove(gone)), "{plan}");
    }
}

#[test]
fn the_schema_is_checked_when_another_release_uses_the_database() {
    let base = || of_release("1.163.2");
    let state = base().state();
    let checks = |from: &State, to: &State, target, removal| {
        let plan = Plan::between(to, &Model::running(from).observe(to), target, removal);
        place(&plan, schema).is_some()
    };
    let (rendered, keep) = (Target::Rendered, Removal::Keep);
    let older = of_release("1.162.0").state();
    let options = base().settings("log_level: DEBUG").state();
    assert!(!checks(&state, &state, rendered, keep), "nothing changes");
    assert!(
        !checks(&state, &options, rendered, keep),
        "the same release"
    );
    assert!(checks(&state, &older, rendered, keep), "another release");
    assert!(
        checks(&state, &older, Target::Generation(1), keep),
        "rollback"
    );
    // The earlier release has run with this database and must run again.
    assert!(!checks(
        &state,
        &older,
        Target::Generation(1),
        Removal::Undo
    ));
    // A first installation with an external database, which may contain data, and with a database that the run creates.
    let first = |setup: Setup| Model::default().run(&setup.state(), End::Done);
    let external = "database: {kind: external, host: 127.0.0.1}";
    assert!(place(&first(base().settings(external)), schema).is_some());
    assert_eq!(place(&first(base()), schema), None);
}

#[test]
fn a_database_accepts_code_from_its_compat_version() {
    let code = |version, compat| Code {
        release: "1.2.3".to_owned(),
        version,
        compat,
    };
    let database = |version: u32, compat: u32| Database {
        version: Some(version),
        compat: Some(compat),
    };
    let unused = Database {
        version: None,
        compat: None,
    };
    let (silent, refused) = ("", "cannot use the database");
    for (code, database, expected) in [
        (code(94, 84), database(94, 84), silent),
        (code(95, 84), database(94, 84), silent),
        (code(94, 84), unused, silent),
        (
            code(93, 84),
            database(94, 84),
            "has schema 94, which is newer than schema 93 of Synapse 1.2.3",
        ),
        (code(93, 84), database(94, 93), "newer than schema 93"),
        (code(93, 84), database(95, 94), refused),
        // The same applies if no process has migrated the database yet.
        (code(93, 84), database(93, 94), refused),
        (
            code(96, 95),
            database(94, 84),
            "to schema 96, which a Synapse for schema 94 cannot use",
        ),
        (code(96, 94), database(94, 84), silent),
        // This database predates compatibility versions.
        (
            code(94, 84),
            Database {
                version: Some(60),
                compat: None,
            },
            "restore a backup",
        ),
    ] {
        let answer = match code.accepts(&database) {
            Ok(note) => note.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        let fits = match expected {
            "" => answer.is_empty(),
            part => answer.contains(part),
        };
        assert!(fits, "{code:?}, {database:?}: {answer:?}");
        if expected == refused {
            for part in ["schema_compat_version 94", "for schema 93", "\n  help: "] {
                assert!(answer.contains(part), "{answer}");
            }
        }
    }
}

#[test]
fn the_database_is_that_of_synapses_configuration() {
    let configured = |setup: &Setup| serde_json::to_value(setup.state().database()).unwrap();
    let sqlite = configured(&Setup::new(""));
    assert_eq!(sqlite["name"], "sqlite3");
    assert_eq!(sqlite["args"]["database"], "/var/lib/synapse/homeserver.db");
    let local = configured(&Setup::new("synchrotron"));
    assert_eq!(local["args"]["host"], "/run/postgresql");
    let external = Setup::new("").settings("database: {host: db.test, port: 5433}");
    let external = configured(&external.secret("postgres_password"));
    assert_eq!(external["args"]["port"], 5433);
    assert_eq!(
        external["args"]["passfile"],
        "/etc/synapse-workers/secrets/pgpass"
    );
    let adopted = Setup::new("").settings("database: {kind: external, host: 127.0.0.1}");
    let adopted = configured(&adopted.adopting(adoption::OLD));
    assert_eq!(adopted["args"]["password"], "hidden");
}

/// A fake PostgreSQL driver that prints its arguments and uses SQLite in place of PostgreSQL.
const PSYCOPG2: &str = "
import json, sqlite3, sys
def connect(**arguments):
    print(json.dumps(arguments), file=sys.stderr)
    connection = sqlite3.connect('there.db')
    names = {name for name, in connection.execute('select name from sqlite_master')}
    connection.create_function('to_regclass', 1, lambda name: name if name in names else None)
    return connection
";

#[test]
fn the_script_reads_the_versions_of_code_and_database() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("synapse/storage/schema")).unwrap();
    // The script must not import the package that contains the file.
    fs::write(at("synapse/__init__.py"), "raise SystemExit(1)\n").unwrap();
    let constants =
        "SCHEMA_VERSION = 94  # of these\nSCHEMA_COMPAT_VERSION = (\n    # why\n    84\n)\n";
    fs::write(at("synapse/storage/schema/__init__.py"), constants).unwrap();
    fs::create_dir(at("matrix_synapse-1.2.3.dist-info")).unwrap();
    let metadata = "Metadata-Version: 2.1\nName: matrix-synapse\nVersion: 1.2.3\n";
    fs::write(at("matrix_synapse-1.2.3.dist-info/METADATA"), metadata).unwrap();
    fs::write(at("psycopg2.py"), PSYCOPG2).unwrap();
    let make = "import sqlite3\nwith sqlite3.connect('there.db') as c:\n  \
                c.execute('create table schema_version (version)')\n  c.execute('insert into schema_version values (93)')\n  \
                c.execute('create table schema_compat_version (compat_version)')\n  \
                c.execute('insert into schema_compat_version values (73)')";
    let python = || {
        let mut python = program("python3");
        python.current_dir(directory.path());
        python
    };
    assert!(run(python().args(["-c", make])).status.success());

    let read = |database: Value| {
        fs::write(at("input"), database.to_string()).unwrap();
        let input = fs::File::open(at("input")).unwrap();
        let output = run(python().args(["-c", SCRIPT]).stdin(input));
        assert!(output.status.success(), "{}", shown(&output));
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        let code = json!({"release": "1.2.3", "version": 94, "compat": 84});
        assert_eq!(printed["code"], code);
        (printed["database"].clone(), output.stderr)
    };
    let sqlite = |file: &str| json!({"name": "sqlite3", "args": {"database": file, "cp_max": 1}});
    let there = json!({"version": 93, "compat": 73});
    assert_eq!(read(sqlite("there.db")).0, there);
    let missing = json!({"version": null, "compat": null});
    assert_eq!(read(sqlite("missing.db")).0, missing);
    assert!(!at("missing.db").exists());
    let args = json!({"user": "old", "password": "x", "cp_min": 1});
    let (printed, called) = read(json!({"name": "psycopg2", "args": args}));
    assert_eq!(printed, there);
    let called: Value = serde_json::from_slice(&called).unwrap();
    assert_eq!(
        called,
        json!({"user": "old", "password": "x", "connect_timeout": 5})
    );
}
