//! The change of lists of workers in `hosts`, the only setting with values of values that a command changes.

use std::ops::Range;

use serde_json::Value as Json;

use super::place::{after_colon, line_start, next_line, skip_blank, value_at};
use super::{Edit, Splice};
use crate::settings::row::quoted;
use crate::settings::value::Raw;

/// The key with the list.
const LIST: &str = "workers";

impl Edit<'_> {
    /// Changes the lists of the hosts whose lists differ, in a value that starts at `start`.
    pub(super) fn lists(&self, old: &Raw, start: usize) -> Option<Vec<Splice>> {
        let old = self.row.normal(old).ok()??;
        let (Raw::Text(old), Some(Raw::Text(new))) = (&old, &self.wanted) else {
            return None;
        };
        let (old, new): (Json, Json) = (
            serde_json::from_str(old).ok()?,
            serde_json::from_str(new).ok()?,
        );
        let mut splices = Vec::new();
        for (host, keys) in new.as_object()? {
            let list = &keys[LIST];
            if old[host][LIST] == *list {
                continue;
            }
            let items = list.as_array()?.iter().map(Json::as_str);
            let items: Vec<&str> = items.collect::<Option<_>>()?;
            let host = self.key_from(start, host)?;
            let list = self.key_from(host, LIST)?;
            splices.push(self.list_at(list, &items)?);
        }
        Some(splices)
    }

    /// The offset after the colon of the first key of this name at or after `from`.
    fn key_from(&self, from: usize, name: &str) -> Option<usize> {
        let places = self.text[from..].match_indices(name);
        let is_key = |(at, _): (usize, &str)| {
            let at = from + at;
            let before = self.text[..at].trim_end_matches(['"', '\'']);
            let begins = before.is_empty() || before.ends_with([' ', '\n', '{', ',']);
            let at = before.len();
            begins.then(|| after_colon(self.text, at, name)).flatten()
        };
        places.into_iter().find_map(is_key)
    }

    /// Replaces the list after this offset, in the notation that it has.
    fn list_at(&self, colon: usize, items: &[&str]) -> Option<Splice> {
        let start = skip_blank(self.text, colon);
        if !self.text[start..].starts_with("- ") {
            let value: Range<usize> = value_at(self.text, start, true)?;
            let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
            return Some((value, format!("[{}]", items.join(", "))));
        }
        let dash = &self.text[line_start(self.text, start)..start];
        let mut end = start;
        while self.text[end..].starts_with("- ") {
            let below = next_line(self.text, end);
            let indented = self.text[below..].strip_prefix(dash);
            end = below + indented.map_or(0, |_| dash.len());
            if indented.is_none() {
                break;
            }
        }
        let end = line_start(self.text, end);
        let lines: String = items
            .iter()
            .flat_map(|item| [dash, "- ", &quoted(item), self.newline].map(str::to_owned))
            .collect();
        Some((line_start(self.text, start)..end, lines))
    }
}
