//! Changes of single keys in a settings file; every other byte stays as it is.
//!
//! Each way of making a change is a guess about the text. What makes it safe is the test
//! afterwards: the new text is read, and must mean exactly the old one with that change.
//! Otherwise the next guess is tried, and after the last one the change is refused.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::file::{Document, Entry, Place, read};
use super::origin::{Origin, SettingsError};
use super::row::{Row, quoted};
use super::splice::{after_colon, line_start, next_line, offset, skip_blank, value_at};
use super::value::Raw;
use super::write::{comment, entry, section_head};

/// Replaces `range` of a text.
type Splice = (Range<usize>, String);

/// Sets keys in the text of the settings file at `path`; values are one line of YAML, an
/// empty one unsets the key.
pub fn edit_file(
    path: &Path,
    text: &str,
    changes: &[(&str, String)],
) -> Result<String, SettingsError> {
    changes
        .iter()
        .try_fold(text.to_owned(), |text, (key, yaml)| {
            Edit::new(path, &text, key, yaml)?.apply()
        })
}

/// One change of one key.
struct Edit<'t> {
    path: &'t Path,
    text: &'t str,
    before: Document,
    row: &'static Row,
    yaml: &'t str,
    wanted: Option<Raw>,
    newline: &'static str,
}

impl<'t> Edit<'t> {
    fn new(path: &'t Path, text: &'t str, key: &str, yaml: &'t str) -> Result<Self, SettingsError> {
        let unknown = || SettingsError::new(format!("there is no setting `{key}`"));
        let row = Row::of(key).filter(|row| !row.secret).ok_or_else(unknown)?;
        Ok(Self {
            path,
            text,
            before: read(path, text)?,
            row,
            yaml,
            wanted: wanted(row, yaml)?,
            newline: if text.contains("\r\n") { "\r\n" } else { "\n" },
        })
    }

    fn apply(&self) -> Result<String, SettingsError> {
        let guesses = match self.before.entry(self.row) {
            None if self.wanted.is_none() => return Ok(self.text.to_owned()),
            None => self.additions(),
            Some(entry) => self.replacement(entry).into_iter().collect(),
        };
        let mut results = guesses
            .into_iter()
            .filter_map(|splices| self.spliced(splices));
        results
            .find(|text| self.is_change(text))
            .ok_or_else(|| self.refusal())
    }

    fn refusal(&self) -> SettingsError {
        let lines = self.text.lines().count();
        let line = self
            .before
            .entry(self.row)
            .map_or(lines, |entry| entry.key.line);
        let (key, path, yaml) = (self.row.key, self.path.display(), self.yaml);
        SettingsError::new(format!(
            "`{key}` cannot be changed without risk to the rest of the file; \
             set it to {yaml} by hand in {path} line {line}"
        ))
    }

    /// Whether `text` means the old settings with the wanted change.
    fn is_change(&self, text: &str) -> bool {
        let Ok(after) = read(self.path, text) else {
            return false;
        };
        let mut expected = meaning(&self.before);
        expected.remove(self.row.key);
        let wanted = self.wanted.clone();
        expected.extend(wanted.map(|wanted| (self.row.key, wanted)));
        meaning(&after) == expected
    }

    /// The text with all splices made, which must not overlap.
    fn spliced(&self, mut splices: Vec<Splice>) -> Option<String> {
        let mut text = self.text.to_owned();
        splices.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
        for (range, replacement) in splices {
            text.get(range.clone())?;
            text.replace_range(range, &replacement);
        }
        Some(text)
    }

    /// A key that stands in the file.
    fn replacement(&self, entry: &Entry) -> Option<Vec<Splice>> {
        let (section, name) = self.row.path();
        let colon = after_colon(self.text, offset(self.text, entry.key)?, name)?;
        let start = skip_blank(self.text, colon);
        let in_flow = self.is_flow(section)?;
        let old = match &entry.raw {
            Some(Raw::List(items)) if self.text[start..].starts_with("- ") => {
                return self.items(colon, &entry.items, items);
            }
            None if start >= self.line_end(colon) => colon..colon,
            _ => value_at(self.text, start, in_flow)?,
        };
        let filled_flow = matches!(&entry.raw, Some(Raw::List(items)) if !items.is_empty());
        match &self.wanted {
            Some(Raw::List(items)) if !items.is_empty() && !in_flow && !filled_flow => {
                let indent = " ".repeat(entry.key.column + 1);
                let block = self.item_lines(&format!("{indent}- "), items);
                let below = next_line(self.text, old.end);
                Some(vec![self.cut(old), self.lines_at(below, &block)])
            }
            None => Some(vec![self.cut(old)]),
            wanted => {
                let blank_before = self.text[..old.start].ends_with([' ', '\t']);
                let blank = if blank_before { "" } else { " " };
                let value = self.row.yaml(wanted.as_ref());
                Some(vec![(old, format!("{blank}{value}"))])
            }
        }
    }

    /// Whether the keys of `section`, or of the file, stand in a flow mapping `{…}`.
    fn is_flow(&self, section: Option<&str>) -> Option<bool> {
        if self.text[skip_blank(self.text, 0)..].starts_with('{') {
            return Some(true);
        }
        let Some(section) = section else {
            return Some(false);
        };
        let key = offset(self.text, self.section(section)?)?;
        let start = skip_blank(self.text, after_colon(self.text, key, section)?);
        Some(self.text[start..].starts_with('{'))
    }

    /// Takes a value away with the blanks before it.
    fn cut(&self, value: Range<usize>) -> Splice {
        let before = self.text[..value.start].trim_end_matches([' ', '\t']);
        (before.len()..value.end, String::new())
    }

    /// A block list: items that stay keep their lines and comments.
    fn items(&self, colon: usize, places: &[Place], old: &[String]) -> Option<Vec<Splice>> {
        let new = match &self.wanted {
            Some(Raw::List(new)) => new.as_slice(),
            _ => &[],
        };
        let starts: Vec<usize> = places
            .iter()
            .map(|at| offset(self.text, *at))
            .collect::<Option<_>>()?;
        let same = |(a, b): &(&String, &String)| a == b;
        let head = old.iter().zip(new).take_while(same).count();
        let most = old.len().min(new.len()) - head;
        let tail = old
            .iter()
            .rev()
            .zip(new.iter().rev())
            .take(most)
            .take_while(same)
            .count();
        let (old_end, new_end) = (old.len() - tail, new.len() - tail);
        let shared = (old_end - head).min(new_end - head);

        let mut splices = Vec::new();
        for index in head..head + shared {
            splices.push((
                value_at(self.text, starts[index], false)?,
                quoted(&new[index]),
            ));
        }
        for start in &starts[head + shared..old_end] {
            splices.push((
                line_start(self.text, *start)..next_line(self.text, *start),
                String::new(),
            ));
        }
        let first = starts[0];
        let dash = &self.text[line_start(self.text, first)..first];
        let added = self.item_lines(dash, &new[head + shared..new_end]);
        if !added.is_empty() {
            let below = match (head + shared).checked_sub(1) {
                Some(last) => next_line(self.text, starts[last]),
                None => line_start(self.text, first),
            };
            splices.push(self.lines_at(below, &added));
        }
        if new.is_empty() {
            let value = if self.wanted.is_some() { " []" } else { "" };
            splices.push((colon..colon, value.to_owned()));
        }
        Some(splices)
    }

    fn item_lines(&self, dash: &str, items: &[String]) -> Vec<String> {
        items
            .iter()
            .map(|item| format!("{dash}{}", quoted(item)))
            .collect()
    }

    /// The places where a key that is missing could be added, the best first.
    fn additions(&self) -> Vec<Vec<Splice>> {
        let (section, name) = self.row.path();
        let column = |place: Option<Place>| place.map_or(0, |place| place.column - 1);
        let top = self
            .before
            .entries
            .iter()
            .map(|entry| (entry.row.path().0, entry.key));
        let sections = self.before.sections.iter().map(|(_, place)| (None, *place));
        let keys: Vec<(Option<&str>, Place)> = top.chain(sections).collect();
        let root = column(
            keys.iter()
                .find(|(own, _)| own.is_none())
                .map(|(_, place)| *place),
        );
        let first_inside = keys
            .iter()
            .find(|(own, _)| *own == section)
            .map(|(_, place)| *place);

        let end = self.text.len();
        let Some(section) = section else {
            let indent = " ".repeat(root);
            let documented = self.documented(&indent);
            let bare = entry(self.row, self.wanted.as_ref(), &indent);
            let mut guesses = self.below_comments(name, 0..end, &bare);
            guesses.push(vec![self.paragraph_at(end, &documented)]);
            return guesses;
        };
        let Some(place) = self.section(section) else {
            let mut lines = section_head(section);
            lines.extend(self.documented("  "));
            for line in &mut lines {
                line.insert_str(0, &" ".repeat(root));
            }
            return vec![vec![self.paragraph_at(end, &lines)]];
        };
        let Some(start) = offset(self.text, place).map(|start| next_line(self.text, start)) else {
            return Vec::new();
        };
        let indent = " ".repeat(first_inside.map_or(root + 2, |place| column(Some(place))));
        let later = keys
            .iter()
            .filter(|(own, at)| own.is_none() && at.line > place.line);
        let next_root = later.map(|(_, at)| *at).min_by_key(|at| at.line);
        let stop = next_root
            .and_then(|at| offset(self.text, at))
            .map_or(end, |at| line_start(self.text, at));
        let bare = entry(self.row, self.wanted.as_ref(), &indent);
        let mut guesses = self.below_comments(name, start..stop, &bare);
        let last = self.last_line(start..stop);
        guesses.push(vec![self.paragraph_at(last, &self.documented(&indent))]);
        guesses.push(vec![self.lines_at(start, &bare)]);
        guesses
    }

    fn section(&self, section: &str) -> Option<Place> {
        let found = self
            .before
            .sections
            .iter()
            .find(|(name, _)| *name == section);
        found.map(|(_, place)| *place)
    }

    /// The key with its explanation.
    fn documented(&self, indent: &str) -> Vec<String> {
        let mut lines = comment(self.row, indent);
        lines.extend(entry(self.row, self.wanted.as_ref(), indent));
        lines
    }

    /// Right below each line that has the key commented out.
    fn below_comments(
        &self,
        name: &str,
        range: Range<usize>,
        lines: &[String],
    ) -> Vec<Vec<Splice>> {
        let mut guesses = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let next = next_line(self.text, start);
            let line = self.text[start..next].trim_start();
            let inside = line.trim_start_matches('#').trim_start();
            let is_key = inside
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(':'));
            if line.starts_with('#') && is_key {
                guesses.push(vec![self.lines_at(next, lines)]);
            }
            start = next;
        }
        guesses
    }

    /// The end of the last line of `range` that is neither blank nor a comment.
    fn last_line(&self, range: Range<usize>) -> usize {
        let mut end = range.start;
        let mut start = range.start;
        while start < range.end {
            let next = next_line(self.text, start);
            let line = self.text[start..next].trim();
            if !line.is_empty() && !line.starts_with('#') {
                end = next;
            }
            start = next;
        }
        end
    }

    /// Lines put in at the start of a line.
    fn lines_at(&self, at: usize, lines: &[String]) -> Splice {
        let mut added: String = lines
            .iter()
            .flat_map(|line| [line.as_str(), self.newline])
            .collect();
        if !self.text[..at].is_empty() && !self.text[..at].ends_with('\n') {
            added.insert_str(0, self.newline);
        }
        (at..at, added)
    }

    /// Lines with a blank line before them.
    fn paragraph_at(&self, at: usize, lines: &[String]) -> Splice {
        let blank = if self.text[..at].trim().is_empty() {
            None
        } else {
            Some(String::new())
        };
        let lines: Vec<String> = blank.into_iter().chain(lines.iter().cloned()).collect();
        self.lines_at(at, &lines)
    }

    fn line_end(&self, offset: usize) -> usize {
        next_line(self.text, offset)
    }
}

/// Every key that has a value. What a list of texts means does not depend on how it is written.
fn meaning(document: &Document) -> BTreeMap<&'static str, Raw> {
    let with_value = |entry: &Entry| {
        let raw = entry.raw.clone()?;
        let normal = entry.row.normal(&raw).unwrap_or_else(|_| Some(raw));
        Some((entry.row.key, normal?))
    };
    document.entries.iter().filter_map(with_value).collect()
}

/// The value that `yaml` stands for, in its usual form.
fn wanted(row: &'static Row, yaml: &str) -> Result<Option<Raw>, SettingsError> {
    let line = match row.path() {
        (Some(section), name) => format!("{section}: {{{name}: {yaml}}}"),
        (None, name) => format!("{name}: {yaml}"),
    };
    let place = Path::new("the new value");
    let document = read(place, &line)?;
    let [entry] = document.entries.as_slice() else {
        return Err(SettingsError::at(
            place.display(),
            format!("{yaml} is not one value"),
        ));
    };
    let Some(raw) = &entry.raw else {
        return Ok(None);
    };
    let origin = Origin::Flag {
        name: "the new value",
    };
    row.normal(raw)
        .map_err(|refused| row.refusal(raw, &refused, &origin))
}
