//! Sample paths of a regular expression.

use regex_syntax::hir::{Capture, Class, Hir, HirKind, Repetition};

/// The maximum number of samples of one pattern.
const MOST: usize = 256;

/// Classes of at most this size are choices, such as `[0-3]` of `(r0|r1|r2|r3)`; larger ones stand for any text.
const CHOICE: usize = 8;

/// Paths that match a pattern: every alternative, and every optional part with and without. A part that may be any text
/// is one letter. Empty if the pattern is not a regular expression in this program's syntax.
pub(super) fn samples(pattern: &str) -> Vec<String> {
    match regex_syntax::parse(pattern) {
        Ok(expression) => of(&expression),
        Err(_) => Vec::new(),
    }
}

fn of(expression: &Hir) -> Vec<String> {
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![String::new()],
        HirKind::Literal(literal) => vec![String::from_utf8_lossy(&literal.0).into_owned()],
        HirKind::Class(class) => one_of(class),
        HirKind::Capture(Capture { sub, .. }) => of(sub),
        HirKind::Repetition(Repetition { min, max, sub, .. }) => {
            let once = of(sub);
            match (min, max) {
                (0, Some(1)) => [vec![String::new()], once].concat(),
                _ => once,
            }
        }
        HirKind::Concat(parts) => parts.iter().fold(vec![String::new()], |before, part| {
            let after = of(part);
            let joined = before
                .iter()
                .flat_map(|start| after.iter().map(move |end| format!("{start}{end}")));
            joined.take(MOST).collect()
        }),
        HirKind::Alternation(parts) => parts.iter().flat_map(of).take(MOST).collect(),
    }
}

/// All characters of a small class, or one of a large class: a letter if it has one. Where a pattern accepts every
/// character, it is a dot that its author did not escape.
fn one_of(class: &Class) -> Vec<String> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class.iter().map(|it| (it.start(), it.end())).collect(),
        Class::Bytes(class) => class
            .iter()
            .map(|it| (char::from(it.start()), char::from(it.end())))
            .collect(),
    };
    let mut all = ranges.iter().flat_map(|(start, end)| *start..=*end);
    let few: Vec<char> = all.by_ref().take(CHOICE + 1).collect();
    if few.len() <= CHOICE {
        return few.into_iter().map(String::from).collect();
    }
    let has = |c: &char| ranges.iter().any(|(start, end)| (start..=end).contains(&c));
    let any = Some('.').filter(|_| has(&'/'));
    let letter = any.or_else(|| ['x', 'X', '1'].into_iter().find(has));
    letter
        .or(few.first().copied())
        .into_iter()
        .map(String::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alternative_of_a_pattern_has_a_sample() {
        for (pattern, expected) in [
            ("^/a/(?P<room_id>[^/]*)/b$", &["/a/x/b"][..]),
            ("^/(api/v1|r0|v3)/a", &["/api/v1/a", "/r0/a", "/v3/a"]),
            (
                "^/(v1|v2)/a(/(?P<id>[^/]+))?$",
                &["/v1/a", "/v1/a/x", "/v2/a", "/v2/a/x"],
            ),
            (r"^/a\.b/(?P<t>[\w\.]*)$", &["/a.b/x"]),
            ("^/org.matrix/.*$", &["/org.matrix/."]),
            ("^/a(?!b)", &[]),
        ] {
            assert_eq!(samples(pattern), expected, "{pattern}");
            if let Ok(expression) = regex::Regex::new(pattern) {
                assert!(
                    expected.iter().all(|path| expression.is_match(path)),
                    "{pattern}"
                );
            }
        }
        let many = "(a|b|c|d)(a|b|c|d)(a|b|c|d)(a|b|c|d)(a|b|c|d)";
        assert_eq!(samples(many).len(), MOST);
    }
}
