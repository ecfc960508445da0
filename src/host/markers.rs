//! The conditions under which a requirement of a Python project applies (packaging.python.org, "Dependency specifiers").

use super::versions::compare;

/// The parser of a condition: comparisons, `and`, `or` and parentheses.
pub(super) struct Marker<'a> {
    tokens: Vec<&'a str>,
    place: usize,
    extra: &'a str,
    python: Option<&'a str>,
}

impl<'a> Marker<'a> {
    pub(super) fn new(text: &'a str, extra: &'a str, python: Option<&'a str>) -> Self {
        Self {
            tokens: tokens(text),
            place: 0,
            extra,
            python,
        }
    }

    /// Whether the condition holds for this Python and extra. A condition that cannot be parsed does not hold.
    pub(super) fn holds(mut self) -> bool {
        self.any().unwrap_or(false) && self.place == self.tokens.len()
    }

    fn next(&mut self) -> Option<&'a str> {
        self.place += 1;
        self.tokens.get(self.place - 1).copied()
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.tokens.get(self.place) == Some(&word);
        self.place += usize::from(found);
        found
    }

    fn any(&mut self) -> Option<bool> {
        let mut holds = self.all()?;
        while self.eat("or") {
            holds |= self.all()?;
        }
        Some(holds)
    }

    fn all(&mut self) -> Option<bool> {
        let mut holds = self.one()?;
        while self.eat("and") {
            holds &= self.one()?;
        }
        Some(holds)
    }

    fn one(&mut self) -> Option<bool> {
        if self.eat("(") {
            // The recursion is as deep as the parentheses in the text; metadata has at most a few hundred lines.
            let holds = self.any()?;
            return self.eat(")").then_some(holds);
        }
        let (left, operator, right) = (self.next()?, self.next()?, self.next()?);
        let known = |word: &'a str| match word {
            "extra" => Some(self.extra),
            "platform_python_implementation" => Some("CPython"),
            "implementation_name" => Some("cpython"),
            "platform_system" => Some("Linux"),
            "sys_platform" => Some("linux"),
            "os_name" => Some("posix"),
            "platform_machine" => Some(std::env::consts::ARCH),
            "python_version" | "python_full_version" => self.python,
            word => word
                .strip_prefix(['"', '\''])
                .map(|rest| &rest[..rest.len().saturating_sub(1)]),
        };
        // A comparison with an unknown variable does not hold.
        let (Some(one), Some(other)) = (known(left), known(right)) else {
            return Some(false);
        };
        let of_python = |word: &str| word.starts_with("python_");
        Some(match operator {
            _ if of_python(left) || of_python(right) => compare(one, operator, other)?,
            "==" => one == other,
            "!=" => one != other,
            _ => return None,
        })
    }
}

/// Splits a condition into words, quoted texts, operators and parentheses.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let of_kind = |kind: fn(char) -> bool| rest.find(|c| !kind(c)).unwrap_or(rest.len());
        let length = match first {
            '"' | '\'' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            '<' | '>' | '=' | '!' | '~' => of_kind(|c| "<>=!~".contains(c)),
            c if c.is_ascii_alphanumeric() => {
                of_kind(|c| c.is_ascii_alphanumeric() || "._".contains(c))
            }
            c => c.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        tokens.push(token);
        rest = behind.trim_start();
    }
    tokens
}
