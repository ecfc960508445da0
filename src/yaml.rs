//! Parses YAML of the administrator, and refuses nesting so deep that parsing would take very long.

use anyhow::{Context, Result, ensure};
use serde::de::{DeserializeOwned, Error, Visitor};
use std::fmt;

/// The maximum number of nesting levels. No configuration comes near it. The library refuses more than 128 itself, but
/// only after it has read all of them, which takes quadratic time.
const DEEPEST: usize = 200;

/// Parses a document.
///
/// # Errors
/// When the document is nested too deeply, or is not valid YAML for `T`.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    refuse_deep(text)?;
    serde_yaml::from_slice(text).context("invalid YAML")
}

/// Refuses a document that is nested too deeply.
///
/// # Errors
/// When it is.
pub fn refuse_deep(text: &[u8]) -> Result<()> {
    ensure!(
        !is_deep(text),
        "the document is nested more than {DEEPEST} levels deep"
    );
    Ok(())
}

/// Whether the text is nested too deeply: more than `DEEPEST` brackets are open at one place, more list items begin on
/// one line, or a line is indented by more levels. Brackets in quotes count as well: so many brackets without their
/// counterparts have no sensible meaning.
fn is_deep(text: &[u8]) -> bool {
    let mut open: usize = 0;
    let bracketed = text.iter().any(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > DEEPEST
    });
    bracketed
        || text.split(|byte| *byte == b'\n').any(|line| {
            let leading = line.iter().take_while(|byte| b" -?\t".contains(byte));
            leading.count() > 2 * DEEPEST
        })
}

/// Keeps the text of a scalar and then fails: the library reports a place only in errors, and it has moved on to the
/// next value by then.
pub(crate) struct KeepAndFail<'t>(pub &'t mut Option<String>);

impl Visitor<'_> for KeepAndFail<'_> {
    type Value = std::convert::Infallible;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        *self.0 = Some(text.to_owned());
        Err(E::custom(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_yaml::Value;

    #[test]
    fn deep_nesting_is_refused_before_it_is_parsed() {
        for deep in [
            "[".repeat(100_000),
            "{a: ".repeat(100_000),
            "- ".repeat(100_000),
            "? ".repeat(100_000),
            (0..2_000)
                .map(|depth| format!("{}a:\n", " ".repeat(depth)))
                .collect(),
        ] {
            let error = parse::<Value>(deep.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("levels deep"), "{error:#}");
        }
        let list = format!("a:\n{}", "  - {b: [1, 2]}\n".repeat(10_000));
        assert!(parse::<Value>(list.as_bytes()).is_ok());
    }
}
