//! The reference page of the settings (docs/settings.md), generated from the table that also reads them.

use super::retired::RETIRED;
use super::row::Row;
use super::table::{ROWS, SECTIONS};

const HEAD: &str = "\
# Settings

<!-- Made by `make docs` from src/settings: change it there. -->

The settings file is `/etc/synapse-workers/settings.yaml`. The first `synapse-workers install` writes it with everything
that is on this page; after a change, `sudo synapse-workers install` puts it into use. A key with nothing after its
colon has its default.

`nginx.page_size` below is the key `page_size` in the section `nginx:`. A setting with an environment name can also be
given in the environment or with `--env-file FILE`, a Docker env-file. Precedence: flag, environment, env-file, settings
file, default. What came by one of the first three is written to the settings file. Secrets are not: they are kept in
`/etc/synapse-workers/secrets`.
";

const RETIRED_HEAD: &str = "
## Names that are no longer used

These environment names of the Docker image are accepted, and answered with a note on what took their place.
";

/// Generates the page in Markdown.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    let mut section = None;
    page.push_str("\n## The server as a whole\n\n");
    for row in ROWS {
        let (own, _) = row.path();
        if own != section {
            page.push_str(&own.map(section_head).unwrap_or_default());
            section = own;
        }
        page.push_str(&entry(row));
    }
    page.push_str(RETIRED_HEAD);
    page.push('\n');
    for (name, note) in RETIRED {
        page.push_str(&format!("* `{name}`: {}\n", plain(note)));
    }
    page
}

fn section_head(section: &str) -> String {
    let about = SECTIONS.iter().find(|(name, _)| *name == section);
    let about = about.map_or(&[][..], |(_, about)| about);
    format!("\n## `{section}`\n\n{}\n\n", sentence(about))
}

/// One setting: its purpose, then its valid values.
fn entry(row: &Row) -> String {
    let mut facts = vec![plain(&row.kind())];
    match row.default_raw() {
        Some(raw) => facts.push(format!("default: `{}`", row.yaml(Some(&raw)))),
        None if row.is_required() => facts.push("required".to_owned()),
        None => facts.push("default: empty".to_owned()),
    }
    if !row.env.is_empty() {
        let names: Vec<String> = row.env.iter().map(|name| format!("`{name}`")).collect();
        facts.push(format!("environment: {}", names.join(", ")));
    }
    if row.secret {
        facts.push("not in the settings file".to_owned());
    }
    let (key, facts) = (row.key, facts.join("; "));
    format!("* `{key}`: {}\n  ({facts})\n", sentence(row.explanation))
}

/// Joins the lines of an explanation.
fn sentence(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    plain(&lines.join(" "))
}

/// Escapes text for Markdown, except for words in backquotes.
fn plain(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts: Vec<String> = parts
        .map(|(number, part)| match number % 2 {
            0 => part.replace('<', "\\<").replace('*', "\\*"),
            _ => part.to_owned(),
        })
        .collect();
    parts.join("`")
}
