//! The addition of a key that the file lacks.

use std::ops::Range;

use super::place::{line_start, next_line, offset};
use super::{Edit, Splice};
use crate::settings::file::Place;
use crate::settings::write::{comment, entry, section_head};

impl Edit<'_> {
    /// The possible additions of the key, the best first.
    pub(super) fn additions(&self) -> Vec<Vec<Splice>> {
        let (section, _) = self.row.path();
        let place = section.and_then(|section| self.section(section));
        let first = self
            .keys_of(section)
            .min_by_key(|key| (key.line, key.column));
        match (section, place) {
            _ if self.is_flow(section) == Some(true) => self.in_flow(first).into_iter().collect(),
            (None, _) => self.in_section(0..self.text.len(), self.root_indent()),
            (Some(section), None) => vec![vec![self.new_section(section)]],
            (Some(_), Some(place)) => {
                let indent = first.map_or(self.root_indent() + 2, |key| key.column - 1);
                let body = self.body(place);
                body.map_or_else(Vec::new, |body| self.in_section(body, indent))
            }
        }
    }

    /// The places of the keys in `section`, or of all top-level keys, both settings and sections.
    fn keys_of(&self, section: Option<&'static str>) -> impl Iterator<Item = Place> {
        let entries = self.before.entries.iter();
        let entries = entries.filter(move |entry| entry.row.path().0 == section);
        let sections = self
            .before
            .sections
            .iter()
            .filter(move |_| section.is_none());
        let sections = sections.map(|(_, place)| *place);
        entries.map(|entry| entry.key).chain(sections)
    }

    fn root_indent(&self) -> usize {
        self.keys_of(None).next().map_or(0, |key| key.column - 1)
    }

    /// The lines below the key of a section, up to the next top-level key.
    fn body(&self, section: Place) -> Option<Range<usize>> {
        let later = self.keys_of(None).filter(|key| key.line > section.line);
        let end = match later.min_by_key(|key| key.line) {
            Some(next) => line_start(self.text, offset(self.text, next)?),
            None => self.text.len(),
        };
        Some(next_line(self.text, offset(self.text, section)?)..end)
    }

    /// Adds the key before the first key of a flow mapping.
    fn in_flow(&self, first: Option<Place>) -> Option<Vec<Splice>> {
        let at = offset(self.text, first?)?;
        let (_, name) = self.row.path();
        Some(vec![(at..at, format!("{name}: {}, ", self.yaml))])
    }

    /// Adds the key below a line in which it is commented out, after the last key, or before the first.
    fn in_section(&self, body: Range<usize>, indent: usize) -> Vec<Vec<Splice>> {
        let indent = " ".repeat(indent);
        let bare = entry(self.row, self.wanted.as_ref(), &indent);
        let end = match self.row.path() {
            (None, _) => body.end,
            (Some(_), _) => self.last_key_line(body.clone()),
        };
        let mut guesses = self.below_comments(body.clone(), &bare);
        guesses.push(vec![self.paragraph_at(end, &self.documented(&indent))]);
        guesses.push(vec![self.lines_at(body.start, &bare)]);
        guesses
    }

    /// Adds the section with only this key, at the end of the file.
    fn new_section(&self, section: &str) -> Splice {
        let indent = " ".repeat(self.root_indent());
        let lines = section_head(section)
            .into_iter()
            .chain(self.documented("  "));
        let lines: Vec<String> = lines.map(|line| format!("{indent}{line}")).collect();
        self.paragraph_at(self.text.len(), &lines)
    }

    /// The key with its explanation.
    fn documented(&self, indent: &str) -> Vec<String> {
        let mut lines = comment(self.row, indent);
        lines.extend(entry(self.row, self.wanted.as_ref(), indent));
        lines
    }

    /// Adds the key below each line of `body` in which it is commented out.
    fn below_comments(&self, body: Range<usize>, lines: &[String]) -> Vec<Vec<Splice>> {
        let (_, name) = self.row.path();
        let is_commented_out = |line: &str| {
            let comment = line.trim_start().strip_prefix('#');
            let inside = comment.map(|comment| comment.trim_start_matches(['#', ' ']));
            let behind = inside.and_then(|inside| inside.strip_prefix(name));
            behind.is_some_and(|behind| behind.starts_with(':'))
        };
        let found = self
            .lines_of(body)
            .filter(|line| is_commented_out(&self.text[line.clone()]));
        found
            .map(|line| vec![self.lines_at(line.end, lines)])
            .collect()
    }

    /// The end of the last line of `body` that is neither blank nor a comment.
    fn last_key_line(&self, body: Range<usize>) -> usize {
        let start = body.start;
        let is_key = |line: &Range<usize>| {
            let line = self.text[line.clone()].trim();
            !line.is_empty() && !line.starts_with('#')
        };
        self.lines_of(body)
            .filter(is_key)
            .last()
            .map_or(start, |line| line.end)
    }

    /// The lines of a range that begins at the start of a line.
    fn lines_of(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let mut start = range.start;
        std::iter::from_fn(move || {
            let line = start..next_line(self.text, start).min(range.end);
            start = line.end;
            (!line.is_empty()).then_some(line)
        })
    }

    /// Inserts lines with a blank line before them.
    fn paragraph_at(&self, at: usize, lines: &[String]) -> Splice {
        let is_first = self.text[..at].trim().is_empty();
        let blank = (!is_first).then(String::new);
        let lines: Vec<String> = blank.into_iter().chain(lines.iter().cloned()).collect();
        self.lines_at(at, &lines)
    }
}
