//! Tests of the reference page. Every environment variable of the Docker image must have a setting or be retired.

use std::collections::BTreeSet;
use synapse_workers::settings::reference;
use synapse_workers::settings::retired::RETIRED;
use synapse_workers::settings::table::ROWS;

/// Each line has a variable and its setting, or `retired`. The lines come from the README and the code of the Docker
/// image, read by hand.
const VARIABLES: &str = include_str!("../data/variables.tsv");

fn variables() -> impl Iterator<Item = (&'static str, &'static str)> {
    VARIABLES.lines().map(|line| {
        let columns = line.split_once('\t');
        columns.unwrap_or_else(|| panic!("{line}: expected name, tab, key"))
    })
}

#[test]
fn the_committed_page_is_up_to_date() {
    let committed = include_str!("../../docs/settings.md");
    let made = reference();
    let differs = committed.lines().zip(made.lines()).find(|(a, b)| a != b);
    assert!(
        committed == made,
        "docs/settings.md is not what src/settings makes of it; renew it: make docs\n\
         first difference: {differs:?}"
    );
}

#[test]
fn every_variable_of_the_docker_image_has_a_setting_or_is_retired() {
    for (name, expected) in variables() {
        let keys: Vec<&str> = ROWS
            .iter()
            .filter(|row| row.env.contains(&name))
            .map(|row| row.key)
            .collect();
        let retired = RETIRED.iter().any(|(retired, _)| *retired == name);
        match expected {
            "retired" => assert!(retired && keys.is_empty(), "{name}: {keys:?}"),
            key => assert!(!retired && keys == [key], "{name}: {keys:?}"),
        }
    }
}

#[test]
fn every_variable_of_a_setting_is_one_of_the_docker_image() {
    let known: BTreeSet<&str> = variables().map(|(name, _)| name).collect();
    let taken = ROWS.iter().flat_map(|row| row.env.iter().copied());
    let taken: BTreeSet<&str> = taken.chain(RETIRED.iter().map(|(name, _)| *name)).collect();
    assert_eq!(taken, known);
    assert_eq!(known.len(), variables().count(), "a name is listed twice");
}

#[test]
fn the_page_has_every_setting_with_its_name() {
    let page = reference();
    for row in ROWS {
        let key = format!("* `{}`: ", row.key);
        for part in row.env.iter().map(|name| format!("`{name}`")).chain([key]) {
            assert!(page.contains(&part), "{part} is not on the page");
        }
    }
}
