//! Completeness of the documentation: it explains every unit, and its links lead to existing pages.

use synapse_workers::failure::STATUSES;
use synapse_workers::state::services::unit_patterns;
use synapse_workers::state::units::{TRIAL, TRIAL_TIMER};

#[test]
fn every_exit_status_is_explained() {
    let page = include_str!("../../docs/command-line.md");
    let (_, rest) = page.split_once("## Exit status\n").unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let expected = STATUSES.iter();
    let expected = expected.map(|(status, meaning)| format!("| {status} | {meaning} |"));
    let expected: Vec<String> = expected.collect();
    assert_eq!(rows.skip(1).collect::<Vec<_>>(), expected);
}

#[test]
fn every_unit_is_explained() {
    let page = include_str!("../../docs/units.md");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let explained = |unit: &str| {
        let name = format!("`{unit}`");
        let first = |row: &&str| row.split('|').nth(1).unwrap_or_default().contains(&name);
        assert_eq!(rows.iter().filter(|row| first(row)).count(), 1, "{unit}");
    };
    for pattern in unit_patterns() {
        explained(&pattern.replace("@*", "@NAME"));
        // The service that the timer or path unit starts must be explained too.
        if let Some((name, "timer" | "path")) = pattern.rsplit_once('.') {
            explained(&format!("{name}.service"));
        }
    }
    for unit in [TRIAL, TRIAL_TIMER] {
        explained(unit);
    }
}

#[test]
fn links_between_documents_have_targets() {
    let top = env!("CARGO_MANIFEST_DIR");
    let docs = std::fs::read_dir(format!("{top}/docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    for document in docs.chain([format!("{top}/README.md").into()]) {
        let text = std::fs::read_to_string(&document).unwrap();
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'));
        for (link, _) in links.filter(|(link, _)| !link.contains("://")) {
            let target = document.with_file_name(link.split('#').next().unwrap_or_default());
            assert!(target.exists(), "{}: {link}", document.display());
        }
    }
    // The README links to every document.
    let readme = std::fs::read_to_string(format!("{top}/README.md")).unwrap();
    for document in std::fs::read_dir(format!("{top}/docs")).unwrap() {
        let link = format!("](docs/{})", document.unwrap().file_name().display());
        assert!(readme.contains(&link), "README.md lacks {link}");
    }
}
