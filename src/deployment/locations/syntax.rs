//! The syntax of nginx's configuration files: directives of words, with a block or a semicolon (nginx 1.26
//! `core/ngx_conf_file.c`, `ngx_conf_read_token`).

use super::Problem;
use std::iter::Peekable;
use std::str::Chars;

/// A directive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// The name and the arguments, without quotes.
    pub words: Vec<String>,
    /// The directives between its braces; `None` if it ends with a semicolon.
    pub block: Option<Vec<Directive>>,
}

/// Blocks within blocks; nginx itself needs fewer.
const DEEPEST: usize = 16;

/// The end of a sequence of words.
#[derive(PartialEq, Eq)]
enum End {
    Semicolon,
    Open,
    Close,
    File,
}

/// The directives of a file.
///
/// # Errors
/// When nginx would refuse the syntax, with the line.
pub(super) fn parse(text: &str) -> Result<Vec<Directive>, Problem> {
    let mut reader = Reader {
        rest: text.chars().peekable(),
        line: 1,
    };
    reader.block(0)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    /// The directives up to the end of a block, or of the file at depth 0.
    fn block(&mut self, depth: usize) -> Result<Vec<Directive>, Problem> {
        if depth > DEEPEST {
            return Err(self.problem("too many blocks within blocks"));
        }
        let mut directives = Vec::new();
        loop {
            let (line, words, end) = self.directive()?;
            let block = match end {
                End::Semicolon => None,
                End::Open => Some(self.block(depth + 1)?),
                End::Close if depth > 0 => return Ok(directives),
                End::File if depth == 0 => return Ok(directives),
                End::Close => return Err(self.problem("unexpected \"}\"")),
                End::File => return Err(self.problem("a block has no \"}\"")),
            };
            directives.push(Directive { line, words, block });
        }
    }

    /// The line of the first word, the words up to the next end, and that end.
    fn directive(&mut self) -> Result<(usize, Vec<String>, End), Problem> {
        let mut line = self.line;
        let mut words = Vec::new();
        loop {
            let Some(&next) = self.rest.peek() else {
                return match words.is_empty() {
                    true => Ok((line, words, End::File)),
                    false => Err(self.problem("the last directive has no \";\"")),
                };
            };
            let end = match next {
                ' ' | '\t' | '\r' | '\n' => {
                    self.take();
                    continue;
                }
                '#' => {
                    while self.rest.next_if(|letter| *letter != '\n').is_some() {}
                    continue;
                }
                ';' => End::Semicolon,
                '{' => End::Open,
                '}' => End::Close,
                _ => {
                    if words.is_empty() {
                        line = self.line;
                    }
                    words.push(self.word()?);
                    continue;
                }
            };
            self.take();
            // Only the end of a block has no words before it.
            if words.is_empty() != (end == End::Close) {
                return Err(self.problem(format!("unexpected \"{next}\"")));
            }
            return Ok((line, words, end));
        }
    }

    fn word(&mut self) -> Result<String, Problem> {
        let quote = self.rest.next_if(|letter| matches!(letter, '"' | '\''));
        let begun = self.line;
        let mut word = String::new();
        // `${` begins the name of a variable, not a block.
        let mut variable = false;
        loop {
            let Some(&next) = self.rest.peek() else {
                return match quote {
                    Some(quote) => Err(Problem::new(begun, format!("a {quote} is not closed"))),
                    None => Ok(word),
                };
            };
            if Some(next) == quote {
                self.take();
                return match self.rest.peek().copied() {
                    None | Some(' ' | '\t' | '\r' | '\n' | ';' | '{' | ')') => Ok(word),
                    Some(other) => {
                        Err(self.problem(format!("unexpected \"{other}\" after {next}")))
                    }
                };
            }
            let name_begins = variable && next == '{';
            let ends = matches!(next, ' ' | '\t' | '\r' | '\n' | ';' | '{');
            if quote.is_none() && ends && !name_begins {
                return Ok(word);
            }
            variable = next == '$' || name_begins;
            self.take();
            match next {
                '\\' => word.push_str(&self.escaped()),
                letter => word.push(letter),
            }
        }
    }

    /// The meaning of a backslash with the character after it.
    fn escaped(&mut self) -> String {
        match self.take() {
            Some('t') => "\t".to_owned(),
            Some('r') => "\r".to_owned(),
            Some('n') => "\n".to_owned(),
            Some(letter @ ('"' | '\'' | '\\')) => letter.to_string(),
            Some(letter) => format!("\\{letter}"),
            None => "\\".to_owned(),
        }
    }

    fn take(&mut self) -> Option<char> {
        let letter = self.rest.next()?;
        self.line += usize::from(letter == '\n');
        Some(letter)
    }

    fn problem(&self, text: impl Into<String>) -> Problem {
        Problem::new(self.line, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of all directives, one line each, indented by depth.
    fn shown(text: &str) -> String {
        fn show(directives: &[Directive], depth: usize) -> String {
            let line = |directive: &Directive| {
                let inner = directive.block.as_deref().unwrap_or_default();
                let words = directive.words.join("|");
                let indent = "  ".repeat(depth);
                format!(
                    "{indent}{} {words}\n{}",
                    directive.line,
                    show(inner, depth + 1)
                )
            };
            directives.iter().map(line).collect()
        }
        show(&parse(text).unwrap(), 0)
    }

    #[test]
    fn words_are_read_as_nginx_reads_them() {
        for (text, expected) in [
            ("", ""),
            ("# a { b ;\n", ""),
            ("a b;c;", "1 a|b\n1 c\n"),
            ("a#b c; #d", "1 a#b|c\n"),
            ("a 'b;{} \"c' \"d'e\\\"\";", "1 a|b;{} \"c|d'e\"\n"),
            ("a \\t\\.\\;x;", "1 a|\t\\.\\;x\n"),
            ("a ${b}c$d{e;}", "1 a|${b}c$d\n  1 e\n"),
            ("a ${b}c x$ {d;}", "1 a|${b}c|x$\n  1 d\n"),
            ("a ${{b}c; d;", "1 a|${{b}c\n1 d\n"),
            ("location ~ '^/a{2}$' {}", "1 location|~|^/a{2}$\n"),
            ("a\n\n  b {\n c d;\n}", "1 a|b\n  4 c|d\n"),
            (
                "if ($a = 'b') { return 1; }",
                "1 if|($a|=|b|)\n  1 return|1\n",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        // Without quotes, a brace begins a block.
        assert!(parse("location ~ ^/a{2}$ {}").is_err());
    }

    #[test]
    fn faults_are_reported_with_their_line() {
        for (text, line) in [
            ("a b", 1),
            ("a;\n}", 2),
            ("a {\nb;\n", 3),
            ("\n;", 2),
            ("\n{}", 2),
            ("a 'b\n\n", 1),
            ("a\n'b'c;", 2),
            ("a { b }", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text}");
        }
        assert!(parse(&"a {".repeat(100_000)).is_err());
    }
}
