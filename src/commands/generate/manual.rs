//! The manual pages: section 8 from the declarations of the command line, section 5 from the table of settings, and section 7
//! from the pages of docs/.

use super::markdown;
use crate::settings;
use anyhow::{Context, Result};
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

const NAME: &str = "synapse-workers";
/// The title of the manual, in the middle of the head of each page.
const MANUAL: &str = "Synapse with workers";

/// The pages of docs/ but for the settings, which are generated.
static DOCUMENTS: &[(&str, &str)] = &[
    ("adopting", include_str!("../../../docs/adopting.md")),
    ("backup", include_str!("../../../docs/backup.md")),
    ("command-line", COMMAND_LINE),
    (
        "database-size",
        include_str!("../../../docs/database-size.md"),
    ),
    ("failures", include_str!("../../../docs/failures.md")),
    ("files", FILES),
    ("from-docker", include_str!("../../../docs/from-docker.md")),
    ("health", include_str!("../../../docs/health.md")),
    ("limits", include_str!("../../../docs/limits.md")),
    ("logs", include_str!("../../../docs/logs.md")),
    ("metrics", include_str!("../../../docs/metrics.md")),
    ("postgresql", include_str!("../../../docs/postgresql.md")),
    ("removing", include_str!("../../../docs/removing.md")),
    ("restarts", include_str!("../../../docs/restarts.md")),
    (
        "reverse-proxy",
        include_str!("../../../docs/reverse-proxy.md"),
    ),
    (
        "rolling-back",
        include_str!("../../../docs/rolling-back.md"),
    ),
    ("security", include_str!("../../../docs/security.md")),
    ("tls", include_str!("../../../docs/tls.md")),
    ("trials", include_str!("../../../docs/trials.md")),
    ("turn", include_str!("../../../docs/turn.md")),
    ("units", UNITS),
    ("upgrades", include_str!("../../../docs/upgrades.md")),
    ("workers", include_str!("../../../docs/workers.md")),
];
/// Its last line has the date of the release, which is that of the manual.
const CHANGELOG: &str = include_str!("../../../packaging/changelog");
const README: &str = include_str!("../../../README.md");
const COMMAND_LINE: &str = include_str!("../../../docs/command-line.md");
const FILES: &str = include_str!("../../../docs/files.md");
const UNITS: &str = include_str!("../../../docs/units.md");

/// The page of settings, without the `.md` of docs/.
const SETTINGS: &str = "settings";

/// Every page: its file name and its text.
///
/// # Errors
/// When a page lacks a section that it takes from docs/.
pub(super) fn pages(command: &Command) -> Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    let mut command = command
        .clone()
        .disable_help_subcommand(true)
        .subcommand_help_heading("COMMANDS");
    command.build();
    for subcommand in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        let page = man(subcommand);
        let mut text = Vec::new();
        head(&page, &mut text)?;
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
        see_also(&[format!("{NAME}(8)"), reference_to(SETTINGS)]).to_writer(&mut text)?;
        pages.push((page.get_filename(), text));
    }
    pages.push((format!("{NAME}.8"), program(&command)?));
    let settings = settings::reference();
    // The first line is the title, which says little as the description of a manual page.
    let settings = format!(
        "# The settings file\n{}",
        settings.split_once('\n').map_or("", |(_, rest)| rest)
    );
    pages.push((file(SETTINGS), document(SETTINGS, &settings)?));
    for (name, text) in DOCUMENTS {
        pages.push((file(name), document(name, text)?));
    }
    Ok(pages)
}

fn man(command: &Command) -> Man {
    // Subcommands have no version of their own.
    Man::new(command.clone())
        .section("8")
        .date(date().unwrap_or_default())
        .source(source())
        .manual(MANUAL)
}

/// The date of the newest entry of Debian's changelog, as in 2026-11-23.
fn date() -> Option<String> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let line = CHANGELOG.lines().find(|line| line.starts_with(" -- "))?;
    let mut words = line.rsplit_once(", ")?.1.split(' ');
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let month = MONTHS.find(month)? / 3 + 1;
    Some(format!("{year}-{month:02}-{day:0>2}"))
}

fn source() -> String {
    format!("{NAME} {}", env!("CARGO_PKG_VERSION"))
}

fn head(page: &Man, text: &mut Vec<u8>) -> Result<()> {
    page.render_title(text)?;
    unhyphenated(&mut Roff::new()).to_writer(text)?;
    page.render_name_section(text)?;
    page.render_synopsis_section(text)?;
    Ok(())
}

/// Commands in the text are to be copied: no hyphens are added, nor blanks.
fn unhyphenated(roff: &mut Roff) -> &mut Roff {
    roff.control("nh", []).control("ad", ["l"])
}

/// The page of the program itself.
fn program(command: &Command) -> Result<Vec<u8>> {
    let page = man(command);
    let mut text = Vec::new();
    head(&page, &mut text)?;
    let mut roff = Roff::new();
    roff.control("SH", ["DESCRIPTION"]);
    append(&mut roff, markdown::introduction(README));
    roff.to_writer(&mut text)?;
    page.render_subcommands_section(&mut text)?;
    page.render_options_section(&mut text)?;
    let mut roff = Roff::new();
    for (document, heading) in [
        (COMMAND_LINE, "Exit status"),
        (COMMAND_LINE, "Environment"),
        (FILES, "Files"),
        (UNITS, "Units"),
        (COMMAND_LINE, "Examples"),
    ] {
        let body = markdown::section(document, heading);
        let body = body.with_context(|| format!("docs/ has no section {heading:?}"))?;
        let heading = heading.to_uppercase();
        roff.control("SH", [heading.as_str()]);
        append(&mut roff, body);
    }
    roff.to_writer(&mut text)?;
    let documents = DOCUMENTS.iter().map(|(name, _)| *name);
    let pages: Vec<String> = [SETTINGS]
        .into_iter()
        .chain(documents)
        .map(reference_to)
        .collect();
    see_also(&pages).to_writer(&mut text)?;
    Ok(text)
}

/// A page of docs/ as a page of the manual.
fn document(name: &str, text: &str) -> Result<Vec<u8>> {
    let title = markdown::title(text);
    let mut letters = title.chars();
    let first = letters
        .next()
        .with_context(|| format!("docs/{name}.md has no title"))?;
    let about = format!("{}{}", first.to_lowercase(), letters.as_str());
    let page = format!("{NAME}-{name}");
    let section = section(name).to_string();
    let mut roff = Roff::new();
    let (source, date) = (source(), date().unwrap_or_default());
    roff.control("TH", [page.as_str(), &section, &date, &source, MANUAL]);
    unhyphenated(&mut roff);
    roff.control("SH", ["NAME"])
        .text([roman(format!("{page} - {about}"))]);
    roff.control("SH", ["DESCRIPTION"]);
    append(&mut roff, text);
    let mut written = Vec::new();
    roff.to_writer(&mut written)?;
    see_also(&[format!("{NAME}(8)")]).to_writer(&mut written)?;
    Ok(written)
}

fn see_also(pages: &[String]) -> Roff {
    let mut roff = Roff::new();
    // Names are not hyphenated: they are to be copied.
    roff.control("SH", ["SEE ALSO"])
        .control("nh", [])
        .control("ad", ["l"]);
    roff.text([roman(pages.join(",\n"))]);
    roff
}

fn append(roff: &mut Roff, text: &str) {
    markdown::append(roff, text, &|file| {
        let name = file.rsplit('/').next()?.strip_suffix(".md")?;
        is_page(name).then(|| reference_to(name))
    });
}

fn is_page(name: &str) -> bool {
    name == SETTINGS || DOCUMENTS.iter().any(|(known, _)| *known == name)
}

fn section(name: &str) -> u8 {
    if name == SETTINGS { 5 } else { 7 }
}

fn file(name: &str) -> String {
    format!("{NAME}-{name}.{}", section(name))
}

fn reference_to(name: &str) -> String {
    format!("{NAME}-{name}({})", section(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::settings::table::ROWS;
    use clap::CommandFactory;
    use std::collections::BTreeMap;

    fn manual() -> BTreeMap<String, String> {
        let pages = pages(&Cli::command()).unwrap().into_iter();
        pages
            .map(|(name, text)| (name, String::from_utf8(text).unwrap()))
            .collect()
    }

    #[test]
    fn every_document_is_a_page() {
        let manual = manual();
        let documents = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
        for document in documents {
            let name = document.unwrap().file_name().into_string().unwrap();
            let name = name.strip_suffix(".md").unwrap();
            assert!(manual.contains_key(&file(name)), "docs/{name}.md");
        }
    }

    #[test]
    fn the_page_of_the_program_answers_an_administrator() {
        let page = &manual()["synapse-workers.8"];
        for heading in [
            "COMMANDS",
            "EXIT STATUS",
            "ENVIRONMENT",
            "FILES",
            "UNITS",
            "EXAMPLES",
        ] {
            let line = match heading.contains(' ') {
                true => format!(".SH \"{heading}\"\n"),
                false => format!(".SH {heading}\n"),
            };
            let body = page.split_once(&line).map(|(_, body)| body);
            let body = body.unwrap_or_else(|| panic!("{heading} is missing"));
            let body = body.split(".SH").next().unwrap();
            assert!(body.lines().count() > 3, "{heading} is empty");
        }
        assert!(page.contains("synapse\\-workers\\-settings(5)"));
    }

    #[test]
    fn the_page_of_settings_has_every_setting() {
        let page = &manual()["synapse-workers-settings.5"];
        for row in ROWS {
            let term = format!(".TP\n\\fB{}\\fR\n", row.key.replace('-', "\\-"));
            assert!(page.contains(&term), "{}", row.key);
        }
    }

    #[test]
    fn pages_have_the_date_of_the_release() {
        let date = date().unwrap();
        assert!(date.starts_with("20") && date.len() == 10, "{date}");
        for (name, page) in manual() {
            let head = page.lines().find(|line| line.starts_with(".TH"));
            assert!(head.is_some_and(|head| head.contains(&date)), "{name}");
        }
    }

    #[test]
    fn links_between_documents_name_pages() {
        for (name, page) in manual() {
            assert!(!page.contains(".md)"), "{name} links to a file");
        }
    }
}
