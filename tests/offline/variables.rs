//! Sets every environment variable of the Docker image to a value that is not its default. Each value must be rendered
//! in its place, and the programs that read the files must accept them.
//!
//! Columns of `tests/data/carried.tsv`: number of the env-file, variable, value, file of a generation, the part of the
//! file to check, and its expected value. The part is a path of YAML keys (with the value as JSON), `text`, `without`
//! or `missing` (the file itself). The file `secret` stands for the value of a secret. Values and places come from the
//! README and the code of the Docker image, and the documentation of the programs that read the files. The booted case
//! `variables` checks a running Synapse.

use super::nginx::{accepted, on_this_machine};
use super::setup::{Setup, text};
use super::turn::start;
use super::validators::{program, run, shown, units, verify};
use serde_yaml::Value;
use std::collections::{BTreeMap, BTreeSet};
use synapse_workers::settings::retired::RETIRED;
use synapse_workers::settings::value::Scalar;
use synapse_workers::state::{Resource, State};

const CARRIED: &str = include_str!("../data/carried.tsv");
const VARIABLES: &str = include_str!("../data/variables.tsv");

struct Row {
    env_file: &'static str,
    variable: &'static str,
    value: &'static str,
    file: &'static str,
    part: &'static str,
    expected: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    CARRIED.lines().map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [env_file, variable, value, file, part, expected] = columns[..] else {
            panic!("{line}: six columns");
        };
        Row {
            env_file,
            variable,
            value,
            file,
            part,
            expected,
        }
    })
}

/// The env-file of that number in all notations that Docker accepts, including every retired variable.
fn env_file(number: &str) -> String {
    let mut values: BTreeMap<&str, &str> = RETIRED.iter().map(|(name, _)| (*name, "1")).collect();
    values.extend(
        rows()
            .filter(|row| row.env_file == number)
            .map(|row| (row.variable, row.value)),
    );
    let mut lines = "# Docker\r\n\r\n".to_owned();
    for (place, (name, value)) in values.iter().enumerate() {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        lines += &match place % 3 {
            0 => format!("{name}=\"{quoted}\" # said of it\r\n"),
            1 => format!("export {name}='{value}'\r\n"),
            _ => format!("{name} = \"{quoted}\"\r\n"),
        };
    }
    lines
}

fn setup(number: &str) -> Setup {
    let registration =
        "id: a\nurl: null\nas_token: a\nhs_token: b\nsender_localpart: c\nnamespaces: {}\n";
    let mut setup = Setup::new("").env_file(&env_file(number));
    let settings = setup.try_settings().unwrap();
    if let Some(directory) = &settings.app_services.directory {
        let path = format!("{directory}/telegram.yaml");
        setup = setup.app_service(&path, registration);
    }
    for path in &settings.app_services.files {
        setup = setup.app_service(path.as_str(), registration);
    }
    if settings.log_config.is_some() {
        setup = setup.log_config("version: 1\nroot: {level: ERROR}\n");
    }
    let mut setup = setup.python("/bin/true");
    // Debian's coturn has no metrics; this coturn has them.
    setup.facts.coturn.metrics = number == "2";
    on_this_machine(setup)
}

/// The problem with a row, or `None`.
fn wrong(row: &Row, state: &State) -> Option<String> {
    let file = || text(state, row.file);
    let ok = match (row.file, row.part) {
        ("secret", name) => {
            let exists = state.resources.contains(&Resource::Secret(name.to_owned()));
            let found = state.files.iter().find(|(_, file)| {
                let contents = String::from_utf8_lossy(&file.contents);
                contents.contains(row.expected)
            });
            if let Some((path, _)) = found {
                return Some(format!("{path} contains the secret"));
            }
            exists
        }
        (path, "missing") => !state.files.contains_key(path),
        (path, _) if !state.files.contains_key(path) => return Some(format!("no file {path}")),
        (_, "text") => file().contains(row.expected),
        (_, "without") => !file().contains(row.expected),
        (_, path) => {
            let document: Value = serde_yaml::from_str(file()).unwrap();
            let found = path.split('.').try_fold(&document, |at, key| {
                let number = key.parse::<usize>();
                at.get(key).or_else(|| at.get(number.ok()?))
            });
            let expected: Value = serde_yaml::from_str(row.expected).unwrap();
            found == Some(&expected)
        }
    };
    (!ok).then(|| format!("{}: {} is not {}", row.file, row.part, row.expected))
}

#[test]
fn every_variable_is_rendered_in_its_place() {
    let carried: BTreeSet<&str> = rows().map(|row| row.variable).collect();
    let known = VARIABLES.lines().filter_map(|line| line.split_once('\t'));
    let meaning: BTreeSet<&str> = known
        .filter(|(_, key)| *key != "retired")
        .map(|(name, _)| name)
        .collect();
    assert_eq!(carried, meaning, "a row for every variable");
    let mut all = Vec::new();
    for number in ["1", "2"] {
        let state = setup(number).state();
        let here = rows().filter(|row| row.env_file == number);
        all.extend(here.filter_map(|row| {
            let wrong = wrong(&row, &state)?;
            Some(format!("{}={}: {wrong}", row.variable, row.value))
        }));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// No expected value is present by default.
#[test]
fn no_expected_value_is_a_default() {
    let state = on_this_machine(Setup::new("synchrotron")).state();
    let common = ["SYNAPSE_WORKER_TYPES"];
    for row in rows().filter(|row| row.file != "secret" && !common.contains(&row.variable)) {
        // Rows of the second env-file that expect something to be absent also hold without the variables.
        let absent = ["without", "missing"].contains(&row.part);
        let default = row.variable == "SYNAPSE_SERVER_NAME" && row.env_file == "2";
        assert!(
            absent || default || wrong(&row, &state).is_some(),
            "{}={}: {} {} is the default",
            row.variable,
            row.value,
            row.file,
            row.expected
        );
    }
}

#[test]
fn real_programs_accept_the_rendered_files() {
    for number in ["1", "2"] {
        let setup = setup(number);
        let state = setup.state();
        accepted(&state, number);
        verify(&units(setup.clone()));
        // The coturn of this machine may have no metrics.
        if number == "1" {
            let port = setup.try_settings().unwrap().coturn.port.show();
            let log = start(&state, port.parse().unwrap());
            assert!(!log.contains("Bad configuration format"), "{log}");
        }
        let directory = tempfile::tempdir().unwrap();
        let prometheus = state
            .files
            .iter()
            .filter_map(|(path, file)| Some((path.strip_prefix("prometheus/")?, &file.contents)));
        for (name, contents) in prometheus {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, contents).unwrap();
        }
        let output = run(program("promtool")
            .args(["check", "config"])
            .arg(directory.path().join("prometheus.yml")));
        assert!(output.status.success(), "{}", shown(&output));
    }
}
