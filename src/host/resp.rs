//! Replies of Redis, parsed from untrusted bytes (Redis serialization protocol, version 2).

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, Read};

/// The maximum length of a line and of a bulk string, in bytes.
const LONGEST: usize = 1 << 20;
/// The maximum number of elements of an array. The arrays in expected replies have two or three.
const ELEMENTS: usize = 1024;
/// The maximum depth of nested arrays. Expected replies have a depth of one.
const DEPTH: usize = 4;

/// A reply other than an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status, a number, or a bulk string.
    Text(String),
    /// A null value: `$-1` or `*-1`.
    Null,
    Array(Vec<Reply>),
}

impl Reply {
    /// The texts in the reply, in order. Null has none; within an array it becomes an empty text, so that the positions
    /// of the elements stay the same.
    pub fn texts(self) -> Vec<String> {
        match self {
            Reply::Text(text) => vec![text],
            Reply::Null => Vec::new(),
            Reply::Array(elements) => elements
                .into_iter()
                .flat_map(|element| match element {
                    Reply::Null => vec![String::new()],
                    element => element.texts(),
                })
                .collect(),
        }
    }
}

/// Reads one reply and nothing after it.
///
/// # Errors
/// With the text of an error that Redis returns; when the bytes are not a reply, or end within one; when a length
/// exceeds the maximum.
pub fn read(source: &mut impl BufRead) -> Result<Reply> {
    nested(source, DEPTH)
}

fn nested(source: &mut impl BufRead, depth: usize) -> Result<Reply> {
    let line = line(source)?;
    let Some((kind, rest)) = line.split_at_checked(1) else {
        bail!("an empty line is not a reply of Redis");
    };
    match kind {
        "+" | ":" => Ok(Reply::Text(rest.to_owned())),
        "-" => bail!("Redis answers {rest}"),
        "$" => match length(rest, LONGEST)? {
            Some(length) => Ok(Reply::Text(bulk(source, length)?)),
            None => Ok(Reply::Null),
        },
        "*" => match length(rest, ELEMENTS)? {
            Some(count) => {
                ensure!(depth > 0, "a reply of Redis with more than {DEPTH} levels");
                let elements = (0..count).map(|_| nested(source, depth - 1));
                elements.collect::<Result<_>>().map(Reply::Array)
            }
            None => Ok(Reply::Null),
        },
        _ => bail!(
            "{:?} is not a reply of Redis",
            line.chars().take(80).collect::<String>()
        ),
    }
}

/// The number after `$` or `*`; `None` for -1.
fn length(text: &str, most: usize) -> Result<Option<usize>> {
    if text == "-1" {
        return Ok(None);
    }
    let length = text
        .parse()
        .with_context(|| format!("a reply of Redis with the length {text:?}"))?;
    ensure!(length <= most, "a reply of Redis with the length {length}");
    Ok(Some(length))
}

/// A line without its line ending.
fn line(source: &mut impl BufRead) -> Result<String> {
    let mut line = Vec::new();
    source.take(LONGEST as u64).read_until(b'\n', &mut line)?;
    let text = line
        .strip_suffix(b"\r\n")
        .with_context(|| match line.is_empty() {
            true => "no answer".to_owned(),
            false => format!("a line of {} bytes without its end", line.len()),
        })?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// A bulk string: this number of bytes with any contents, followed by a line ending.
fn bulk(source: &mut impl BufRead, length: usize) -> Result<String> {
    let mut bytes = Vec::new();
    source.take(length as u64 + 2).read_to_end(&mut bytes)?;
    let text = bytes
        .strip_suffix(b"\r\n")
        .filter(|text| text.len() == length)
        .with_context(|| format!("a bulk string of {length} bytes that ends before"))?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Reply {
        Reply::Text(text.to_owned())
    }

    #[test]
    fn replies_are_read_as_the_protocol_has_them() {
        for (bytes, reply) in [
            ("+PONG\r\n", text("PONG")),
            (":-3\r\n", text("-3")),
            ("$0\r\n\r\n", text("")),
            ("$-1\r\n", Reply::Null),
            ("*-1\r\n", Reply::Null),
            ("*0\r\n", Reply::Array(Vec::new())),
            // A bulk string has its length in bytes, and may contain line endings.
            ("$9\r\na\r\n+b\r\n$c\r\n", text("a\r\n+b\r\n$c")),
            (
                "*3\r\n$7\r\nexample\r\n:3\r\n$-1\r\n",
                Reply::Array(vec![text("example"), text("3"), Reply::Null]),
            ),
            (
                "*2\r\n*1\r\n+a\r\n+b\r\n",
                Reply::Array(vec![Reply::Array(vec![text("a")]), text("b")]),
            ),
        ] {
            let behind = format!("{bytes}+next\r\n");
            let mut source = behind.as_bytes();
            assert_eq!(read(&mut source).unwrap(), reply, "{bytes:?}");
            // Only the reply was consumed.
            assert_eq!(read(&mut source).unwrap(), text("next"), "{bytes:?}");
        }
        let array = Reply::Array(vec![text("a"), Reply::Null, text("b")]);
        assert_eq!(array.texts(), ["a", "", "b"]);
        assert_eq!(Reply::Null.texts(), [""; 0]);
    }

    #[test]
    fn what_is_no_reply_is_an_error_that_says_so() {
        let deep = "*1\r\n".repeat(100_000);
        let long = format!("+{}", "x".repeat(2 * LONGEST));
        for (bytes, expected) in [
            ("", "no answer"),
            ("\r\n", "an empty line"),
            ("*1\r\n\r\n", "an empty line"),
            ("*2\r\n+a\r\n", "no answer"),
            (
                "-NOAUTH Authentication required.\r\n",
                "Redis answers NOAUTH",
            ),
            ("HTTP/1.1 400 Bad Request\r\n", "is not a reply of Redis"),
            ("\u{e4}\r\n", "is not a reply of Redis"),
            ("+PONG\n", "without its end"),
            ("+PONG", "without its end"),
            ("$\r\n", "the length \"\""),
            ("$-2\r\n", "the length \"-2\""),
            ("$99999999999999999999\r\n", "the length"),
            ("$1048577\r\n", "the length 1048577"),
            ("*1025\r\n", "the length 1025"),
            ("$5\r\nabc\r\n", "a bulk string of 5 bytes"),
            ("$3\r\nabcde\r\n", "a bulk string of 3 bytes"),
            (&deep, "more than 4 levels"),
            (&long, "without its end"),
        ] {
            let error = format!("{:#}", read(&mut bytes.as_bytes()).unwrap_err());
            let shown: String = bytes.chars().take(40).collect();
            assert!(error.contains(expected), "{shown:?}: {error}");
            assert!(error.len() < 200, "{shown:?}: {error}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        // Every text of up to five of these parts. Together, the parts begin each kind of reply.
        let parts = [
            "*2", "*-1", "$3", "$-1", "+", ":", "-", "abc", "\r\n", "\u{e4}", "9",
        ];
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            let longer = texts
                .iter()
                .flat_map(|text| parts.map(|part| format!("{text}{part}")));
            texts = longer.collect();
            for text in &texts {
                let _ = read(&mut text.as_bytes());
            }
        }
    }
}
