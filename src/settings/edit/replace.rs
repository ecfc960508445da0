//! The change of a key that the file contains.

use std::ops::Range;

use super::place::{after_colon, line_start, next_line, offset, skip_blank, value_at};
use super::{Edit, Splice};
use crate::settings::file::{Entry, Place};
use crate::settings::row::quoted;
use crate::settings::value::Raw;

impl Edit<'_> {
    /// Changes lists within the value of a key, if it has such.
    pub(super) fn within(&self, entry: &Entry) -> Option<Vec<Splice>> {
        let (_, name) = self.row.path();
        let colon = after_colon(self.text, offset(self.text, entry.key)?, name)?;
        self.lists(entry.raw.as_ref()?, skip_blank(self.text, colon))
    }

    /// Changes a key that the file contains.
    pub(super) fn replacement(&self, entry: &Entry) -> Option<Vec<Splice>> {
        let (section, name) = self.row.path();
        let colon = after_colon(self.text, offset(self.text, entry.key)?, name)?;
        let start = skip_blank(self.text, colon);
        let in_flow = self.is_flow(section)?;
        let old = match &entry.raw {
            Some(Raw::List(items)) if self.text[start..].starts_with("- ") => {
                return self.items(colon, &entry.items, items);
            }
            None if start >= next_line(self.text, colon) => colon..colon,
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

    /// Removes a value and the blanks before it.
    fn cut(&self, value: Range<usize>) -> Splice {
        let before = self.text[..value.start].trim_end_matches([' ', '\t']);
        (before.len()..value.end, String::new())
    }

    /// Changes a block list; items that stay keep their lines and comments.
    fn items(&self, colon: usize, places: &[Place], old: &[String]) -> Option<Vec<Splice>> {
        let new = match &self.wanted {
            Some(Raw::List(new)) => new.as_slice(),
            _ => &[],
        };
        let starts = places.iter().map(|at| offset(self.text, *at));
        let starts: Vec<usize> = starts.collect::<Option<_>>()?;
        let first = *starts.first()?;
        let same = |(a, b): &(&String, &String)| a == b;
        let head = old.iter().zip(new).take_while(same).count();
        let most = old.len().min(new.len()) - head;
        let from_end = old.iter().rev().zip(new.iter().rev());
        let tail = from_end.take(most).take_while(same).count();
        let (old_end, new_end) = (old.len() - tail, new.len() - tail);
        let shared = (old_end - head).min(new_end - head);

        let mut splices = Vec::new();
        for index in head..head + shared {
            let item = value_at(self.text, starts[index], false)?;
            splices.push((item, quoted(&new[index])));
        }
        for start in &starts[head + shared..old_end] {
            let line = line_start(self.text, *start)..next_line(self.text, *start);
            splices.push((line, String::new()));
        }
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
        let lines = items.iter().map(|item| format!("{dash}{}", quoted(item)));
        lines.collect()
    }
}
