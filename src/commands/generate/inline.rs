//! Inline marks of Markdown, as fonts of a manual page.

use clap_mangen::roff::{Inline, bold, italic, roman};

/// Text without marks.
pub(super) fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// Sets code and strong text in bold, emphasis in italic, and replaces links by the page that they lead to.
pub(super) fn inlines(text: &str, reference: &dyn Fn(&str) -> Option<String>) -> Vec<Inline> {
    let mut inlines = Vec::new();
    let mut words = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (inline, length) =
            match first {
                '\\' => {
                    let escaped = rest.chars().nth(1).unwrap_or(first);
                    words.push(escaped);
                    rest = &rest[first.len_utf8() + escaped.len_utf8()..];
                    continue;
                }
                '`' => enclosed(rest, "`")
                    .map_or((None, 0), |(code, length)| (Some(bold(code)), length)),
                '*' if rest.starts_with("**") => enclosed(rest, "**")
                    .map_or((None, 0), |(text, length)| (Some(bold(text)), length)),
                '*' => enclosed(rest, "*")
                    .map_or((None, 0), |(text, length)| (Some(italic(text)), length)),
                '[' => link(rest, reference)
                    .map_or((None, 0), |(text, length)| (Some(roman(text)), length)),
                _ => (None, 0),
            };
        let Some(inline) = inline else {
            words.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        if !words.is_empty() {
            inlines.push(roman(std::mem::take(&mut words)));
        }
        inlines.push(inline);
        rest = &rest[length..];
    }
    if !words.is_empty() {
        inlines.push(roman(words));
    }
    inlines
}

/// The text between two marks at the start, and the length including both.
fn enclosed<'a>(text: &'a str, mark: &str) -> Option<(&'a str, usize)> {
    let inner = text.strip_prefix(mark)?;
    let end = inner.find(mark).filter(|end| *end > 0)?;
    Some((&inner[..end], end + 2 * mark.len()))
}

/// A link at the start in the notation of manual pages, and its length in Markdown.
fn link(text: &str, reference: &dyn Fn(&str) -> Option<String>) -> Option<(String, usize)> {
    let (label, rest) = text.strip_prefix('[')?.split_once("](")?;
    let (target, _) = rest.split_once(')')?;
    let length = label.len() + target.len() + "[]()".len();
    if label.contains('[') {
        return None;
    }
    let label = plain(&label.replace('\n', " "));
    let file = target.split('#').next().unwrap_or(target);
    let text = match reference(file) {
        Some(page) => format!("{label}, see {page}"),
        None => format!("{label} ({target})"),
    };
    Some((text, length))
}
