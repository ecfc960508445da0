//! Writes the commented settings file.

use super::row::{Row, quoted};
use super::table::{ROWS, SECTIONS, Settings};
use super::value::Raw;

const HEAD: &str = "\
# Settings of synapse-workers. Apply a change with: sudo synapse-workers install
# A key without a value has its default.
";

/// The whole settings file: every key with its explanation, default and value. Loading it gives the same settings,
/// except for secrets, which are not written.
pub fn new_file(settings: &Settings) -> String {
    let mut lines: Vec<String> = HEAD.lines().map(str::to_owned).collect();
    let mut section = None;
    for (row, raw) in ROWS.iter().zip(settings.raws()) {
        if row.secret {
            continue;
        }
        lines.push(String::new());
        let (own, _) = row.path();
        if own != section {
            lines.extend(own.map(section_head).unwrap_or_default());
            section = own;
        }
        let indent = if own.is_some() { "  " } else { "" };
        lines.extend(comment(row, indent));
        lines.extend(entry(row, raw.as_ref(), indent));
    }
    lines.join("\n") + "\n"
}

/// The key of a section with the comment before it.
pub(super) fn section_head(section: &str) -> Vec<String> {
    let about = SECTIONS.iter().find(|(name, _)| *name == section);
    let about = about.map_or(&[][..], |(_, about)| about);
    let mut lines: Vec<String> = about.iter().map(|line| format!("#{line}")).collect();
    lines.push(format!("{section}:"));
    lines
}

/// The explanation, the kind and the default of a key.
pub(super) fn comment(row: &Row, indent: &str) -> Vec<String> {
    let kind = row.kind();
    let facts = match row.default_raw() {
        Some(raw) => format!("({kind}; default: {})", row.yaml(Some(&raw))),
        None if row.is_required() => format!("({kind})"),
        None => format!("({kind}; default: empty)"),
    };
    let explanation = row.explanation.iter().map(|line| line.trim());
    explanation
        .chain([facts.as_str()])
        .map(|line| format!("{indent}# {line}"))
        .collect()
}

/// A key with its value; a list has one line for each item.
pub(super) fn entry(row: &Row, raw: Option<&Raw>, indent: &str) -> Vec<String> {
    let (_, name) = row.path();
    match raw {
        Some(Raw::List(items)) if !items.is_empty() => {
            let mut lines = vec![format!("{indent}{name}:")];
            let items = items
                .iter()
                .map(|item| format!("{indent}  - {}", quoted(item)));
            lines.extend(items);
            lines
        }
        raw => vec![
            format!("{indent}{name}: {}", row.yaml(raw))
                .trim_end()
                .to_owned(),
        ],
    }
}
