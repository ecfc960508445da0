//! Converts the Markdown of docs/ to the macros of a manual page: headings, paragraphs, lists, tables and code blocks.
//!
//! Only the subset that docs/ uses is supported. A table becomes a list of terms, because terminals have no room for
//! four columns.

use super::inline::{inlines, plain};
use clap_mangen::roff::{Roff, roman};

/// The title of a page in docs/.
pub(super) fn title(text: &str) -> &str {
    let title = text.lines().find_map(|line| line.strip_prefix("# "));
    title.unwrap_or_default()
}

/// The text between a heading of the second level and the next one.
pub(super) fn section<'a>(text: &'a str, heading: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("\n## {heading}\n"))?;
    Some(rest.split("\n## ").next().unwrap_or(rest))
}

/// The text between the title and the first heading of the second level.
pub(super) fn introduction(text: &str) -> &str {
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    rest.split("\n## ").next().unwrap_or(rest)
}

/// Appends the text of a section. `reference` maps a linked file to its manual page.
pub(super) fn append(roff: &mut Roff, text: &str, reference: &dyn Fn(&str) -> Option<String>) {
    let mut writer = Writer {
        roff,
        reference,
        header: Vec::new(),
        follows_heading: true,
    };
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let code = lines.by_ref().take_while(|line| !line.starts_with("```"));
            writer.code(code);
        } else if line.starts_with('|') {
            writer.row(line);
        } else if !line.trim().is_empty() && !line.starts_with("<!--") && !line.starts_with("# ") {
            // Joins the lines that continue a paragraph or an item.
            let mut block = line.to_owned();
            while let Some(next) = lines.next_if(|next| !line.starts_with('#') && continues(next)) {
                block.push('\n');
                block.push_str(next.trim_start());
            }
            writer.block(&block);
        }
        if !line.starts_with('|') {
            writer.header.clear();
        }
    }
}

fn continues(line: &str) -> bool {
    !line.trim().is_empty()
        && !["#", "|", "```", "* "]
            .iter()
            .any(|start| line.starts_with(start))
        && number(line).is_none()
}

/// The number and the text of an item in an ordered list.
fn number(line: &str) -> Option<(&str, &str)> {
    let (number, text) = line.split_once(". ")?;
    let digits = !number.is_empty() && number.chars().all(|char| char.is_ascii_digit());
    digits.then_some((number, text))
}

struct Writer<'a> {
    roff: &'a mut Roff,
    reference: &'a dyn Fn(&str) -> Option<String>,
    /// The header of the current table.
    header: Vec<String>,
    /// Whether the next paragraph directly follows a heading and needs no space above it.
    follows_heading: bool,
}

impl Writer<'_> {
    fn code<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        self.paragraph();
        self.roff.control("RS", ["4"]).control("EX", []);
        for line in lines {
            self.roff.text([roman(line)]);
        }
        self.roff.control("EE", []).control("RE", []);
    }

    /// Appends a heading, an item of a list, or a paragraph.
    fn block(&mut self, text: &str) {
        if let Some(heading) = text.strip_prefix("### ") {
            self.roff.control("SS", [plain(heading).as_str()]);
        } else if let Some(heading) = text.strip_prefix("## ") {
            let heading = plain(heading).to_uppercase();
            self.roff.control("SH", [heading.as_str()]);
        } else if let Some(item) = text.strip_prefix("* ") {
            match item
                .strip_prefix('`')
                .and_then(|item| item.split_once("`: "))
            {
                Some((term, text)) => {
                    // The properties of a setting, in parentheses on a line of their own.
                    let bodies = match text.split_once("\n(") {
                        Some((about, facts)) => vec![about.to_owned(), format!("({facts}")],
                        None => vec![text.to_owned()],
                    };
                    self.term(&format!("`{term}`"), &bodies);
                }
                None => {
                    self.roff.control("IP", ["\\(bu", "2"]);
                    self.text(item);
                }
            }
        } else if let Some((number, item)) = number(text) {
            self.roff
                .control("IP", [format!("{number}.").as_str(), "4"]);
            self.text(item);
        } else {
            self.paragraph();
            self.text(text);
        }
        self.follows_heading = text.starts_with('#');
    }

    fn paragraph(&mut self) {
        if !std::mem::take(&mut self.follows_heading) {
            self.roff.control("PP", []);
        }
    }

    /// Appends a row of a table: the first column is the term; from the third column on, cells are prefixed with their
    /// header.
    fn row(&mut self, line: &str) {
        let cells = line.trim_matches('|').split('|');
        let cells: Vec<String> = cells.map(|cell| cell.trim().to_owned()).collect();
        if self.header.is_empty() {
            self.header = cells;
            return;
        }
        let Some((term, rest)) = cells
            .split_first()
            .filter(|(term, _)| !term.starts_with("---"))
        else {
            return;
        };
        let labels = self.header.iter().skip(1).enumerate();
        let labelled = labels
            .zip(rest)
            .map(|((column, label), cell)| match column {
                0 => cell.clone(),
                _ => format!("{label}: {cell}"),
            });
        let bodies: Vec<String> = labelled.collect();
        self.term(term, &bodies);
    }

    fn term(&mut self, term: &str, bodies: &[String]) {
        self.follows_heading = false;
        self.roff.control("TP", []);
        self.text(term);
        for (number, body) in bodies.iter().enumerate() {
            if number > 0 {
                self.roff.control("br", []);
            }
            self.text(body);
        }
    }

    fn text(&mut self, text: &str) {
        let inlines = inlines(text, self.reference);
        self.roff.text(inlines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> String {
        let mut roff = Roff::new();
        let page = |file: &str| (file == "tls.md").then(|| "synapse-workers-tls(7)".to_owned());
        append(&mut roff, text, &page);
        roff.to_roff()
    }

    #[test]
    fn blocks_become_macros() {
        assert_eq!(
            rendered("## Two words\n\nOne\nline.\n"),
            ".SH \"TWO WORDS\"\nOne\nline.\n"
        );
        assert_eq!(
            rendered("* a\n  b\n* c\n"),
            ".IP \\(bu 2\na\nb\n.IP \\(bu 2\nc\n"
        );
        assert_eq!(rendered("1. a\n2. b\n"), ".IP 1. 4\na\n.IP 2. 4\nb\n");
        assert_eq!(
            rendered("```sh\n.a\n\nb\n```\n"),
            ".RS 4\n.EX\n\\&.a\n\nb\n.EE\n.RE\n"
        );
        assert_eq!(
            rendered("* `key`: Text.\n  (more)\n"),
            ".TP\n\\fBkey\\fR\nText.\n.br\n(more)\n"
        );
        assert_eq!(rendered("# Title\n\n<!-- note -->\n"), "");
    }

    #[test]
    fn a_table_becomes_terms_with_the_header_of_further_columns() {
        let table = "| A | B | C |\n|---|---|---|\n| `x` | y | z |\n\nAfter.\n";
        assert_eq!(
            rendered(table),
            ".TP\n\\fBx\\fR\ny\n.br\nC: z\n.PP\nAfter.\n"
        );
    }

    #[test]
    fn marks_within_text_become_fonts_and_links_name_pages() {
        assert_eq!(
            rendered("a `b` **c** *d* \\<e"),
            "a \\fBb\\fR \\fBc\\fR \\fId\\fR <e\n"
        );
        assert_eq!(rendered("2 * 3 [x](other)"), "2 * 3 x (other)\n");
        assert_eq!(
            rendered("[the key](tls.md#key)."),
            "the key, see synapse\\-workers\\-tls(7).\n"
        );
    }

    #[test]
    fn parts_of_a_page_are_found() {
        let page = "# T\n\nIntro.\n\n## A\n\na\n\n## B\n\nb\n";
        assert_eq!((title(page), introduction(page).trim()), ("T", "Intro."));
        assert_eq!(section(page, "A").map(str::trim), Some("a"));
        assert_eq!(section(page, "B").map(str::trim), Some("b"));
        assert_eq!(section(page, "C"), None);
    }
}
