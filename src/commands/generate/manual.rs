//! The manual pages: section 8 from the declarations of the command line, section 5 from the table of settings, and
//! section 7 from the pages of docs/.

use super::documents::{DOCUMENTS, NAME, SETTINGS, file, is_page, reference_to, section};
use super::{documents, markdown};
use crate::settings;
use anyhow::{Context, Result};
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

/// The title of the manual, in the middle of the header of each page.
const MANUAL: &str = "Synapse with workers";
const README: &str = include_str!("../../../README.md");
/// The last line of its newest entry has the date of the release, which is also the date of the manual.
const CHANGELOG: &str = include_str!("../../../packaging/changelog");

/// All pages, by file name.
///
/// # Errors
/// When docs/ lacks a section that a page contains.
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
    // The first line is the title, which is no useful description of a manual page.
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
    // Subcommands have no version.
    Man::new(command.clone())
        .section("8")
        .date(date().unwrap_or_default())
        .source(source())
        .manual(MANUAL)
}

/// The date of the newest entry of Debian's changelog, such as 2026-11-23.
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

/// Turns off hyphenation and justification, because readers copy commands from the text.
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
        ("command-line", "Exit status"),
        ("command-line", "Environment"),
        ("files", "Files"),
        ("units", "Units"),
        ("command-line", "Examples"),
    ] {
        let body = markdown::section(documents::text(document), heading);
        let body =
            body.with_context(|| format!("docs/{document}.md has no section {heading:?}"))?;
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

/// The manual page of a page of docs/.
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
    // Names are not hyphenated, because readers copy them.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::failure::Code;
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
    fn the_page_of_the_program_has_every_exit_status() {
        let page = &manual()["synapse-workers.8"];
        let codes = [
            Code::Failed,
            Code::Pending,
            Code::Usage,
            Code::Preflight,
            Code::Incomplete,
            Code::RolledBack,
        ];
        for code in codes {
            assert!(page.contains(&format!(".TP\n{}\n", code as u8)), "{code:?}");
        }
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
