//! The places of keys and values in the text of a settings file, in bytes.
//!
//! These functions handle only the YAML that people write in such a file: plain and quoted scalars, flow lists and
//! mappings, `- item` lines. For anything else they return `None`, or a place at which an edit would change the meaning, which
//! [`Edit`](super::Edit) detects and refuses.

use std::ops::Range;

use crate::settings::file::Place;

/// The byte offset of a place.
pub fn offset(text: &str, place: Place) -> Option<usize> {
    let before: usize = text
        .split_inclusive('\n')
        .take(place.line - 1)
        .map(str::len)
        .sum();
    let mark = if before == 0 && text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let start = before + mark;
    let (inside, _) = text.get(start..)?.char_indices().nth(place.column - 1)?;
    Some(start + inside)
}

/// The start of the line that contains `offset`.
pub fn line_start(text: &str, offset: usize) -> usize {
    text[..offset].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The start of the next line, or the end of the text.
pub fn next_line(text: &str, offset: usize) -> usize {
    text[offset..]
        .find('\n')
        .map_or(text.len(), |newline| offset + newline + 1)
}

/// The offset after the colon of the key at `offset`.
pub fn after_colon(text: &str, offset: usize, name: &str) -> Option<usize> {
    let rest = &text[offset..];
    let quote = rest
        .chars()
        .next()
        .filter(|first| ['"', '\''].contains(first));
    let quoted = quote.map_or(name.to_owned(), |quote| format!("{quote}{name}{quote}"));
    let behind = rest.strip_prefix(quoted.as_str())?.trim_start_matches(' ');
    behind
        .strip_prefix(':')
        .map(|value| text.len() - value.len())
}

/// The first offset at or after `from` that is neither blank nor in a comment.
pub fn skip_blank(text: &str, from: usize) -> usize {
    let mut offset = from;
    loop {
        let rest = text[offset..].trim_start();
        offset = text.len() - rest.len();
        if !rest.starts_with('#') {
            return offset;
        }
        offset = next_line(text, offset);
    }
}

/// The scalar, flow list or flow mapping that starts at `start`; in a flow mapping (`in_flow`), a plain scalar ends at
/// a comma or bracket.
pub fn value_at(text: &str, start: usize, in_flow: bool) -> Option<Range<usize>> {
    let rest = &text[start..];
    let length = match rest.chars().next()? {
        '"' | '\'' => quoted_length(rest)?,
        '[' | '{' => flow_length(rest)?,
        '|' | '>' => return None,
        _ => plain_length(rest, in_flow),
    };
    Some(start..start + length)
}

fn quoted_length(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut characters = text.char_indices().skip(1);
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' if quote == '"' => {
                characters.next();
            }
            '\'' if quote == '\'' && text[index + 1..].starts_with('\'') => {
                characters.next();
            }
            character if character == quote => return Some(index + 1),
            _ => {}
        }
    }
    None
}

fn flow_length(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut index = 0;
    while let Some(character) = text[index..].chars().next() {
        let after_blank = text[..index].ends_with(char::is_whitespace);
        let starts_item = after_blank || text[..index].ends_with(['[', '{', ',', ':']);
        index += match character {
            '"' | '\'' if starts_item => quoted_length(&text[index..])?,
            '#' if after_blank => next_line(text, index) - index,
            other => other.len_utf8(),
        };
        match character {
            '[' | '{' => depth += 1,
            ']' | '}' if depth == 1 => return Some(index),
            ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

fn plain_length(text: &str, in_flow: bool) -> usize {
    let line = text.lines().next().unwrap_or_default();
    let comment = [" #", "\t#"]
        .iter()
        .filter_map(|mark| line.find(mark))
        .min();
    let line = &line[..comment.unwrap_or(line.len())];
    let flow_end = line.find([',', ']', '}']).filter(|_| in_flow);
    line[..flow_end.unwrap_or(line.len())].trim_end().len()
}
