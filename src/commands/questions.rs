//! The questions of `install` on a host without a server and without settings.

use crate::cli::{Common, Flags};
use crate::failure::Failure;
use crate::host;
use crate::report::{out, outln};
use crate::request::{self, Unanswered};
use crate::settings::Settings;
use crate::topology::PRESETS;
use std::io::IsTerminal;

/// The word for a server without workers.
const NO_WORKERS: &str = "none";

/// Asks at a terminal for the settings of a new server that no source contains; the answers become values of the command
/// line. Changes nothing.
///
/// # Errors
/// When the person ends the questions, or when a source of settings contains a wrong value.
pub(super) fn ask(common: &Common, flags: &Flags) -> Result<Flags, Failure> {
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !terminal || common.yes || common.json || !host::is_root() {
        return Ok(flags.clone());
    }
    let Some(unanswered) = request::unanswered(common, flags)? else {
        return Ok(flags.clone());
    };
    let mut dialog = Dialog {
        say: |text: &str| outln!("{text}"),
        read,
        check: |flags: &Flags| request::check_answers(common, flags),
    };
    dialog.run(&unanswered, flags)
}

/// A line of the terminal after this prompt; `None` at its end (Ctrl-D).
fn read(prompt: &str) -> Option<String> {
    out!("{prompt} ");
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(length) if length > 0 => Some(line.trim().to_owned()),
        _ => {
            outln!();
            None
        }
    }
}

/// A question about one setting.
struct Question {
    /// The name of the answer, in errors.
    name: &'static str,
    key: &'static str,
    prompt: String,
    /// The value of the setting for an answer; `None` if it stays unset.
    value: fn(&str) -> Option<String>,
    /// The answer that an empty line stands for.
    default: Option<String>,
}

/// The exchange with a person, over these functions.
struct Dialog<Say, Read, Check> {
    say: Say,
    read: Read,
    /// Validates the answers so far.
    check: Check,
}

impl<Say, Read, Check> Dialog<Say, Read, Check>
where
    Say: FnMut(&str),
    Read: FnMut(&str) -> Option<String>,
    Check: Fn(&Flags) -> Result<Settings, Failure>,
{
    fn run(&mut self, unanswered: &Unanswered, flags: &Flags) -> Result<Flags, Failure> {
        let mut flags = flags.clone();
        (self.say)(
            "This host has no settings yet. Ctrl-D ends the questions without a change.\n\n\
             The server name is the part of user IDs after the colon: @alice:example.org.\n\
             It is final: it cannot be changed after the first start.",
        );
        let name = Question {
            name: "server name",
            key: "server_name",
            prompt: "Server name:".to_owned(),
            value: |text| Some(text.to_owned()),
            default: None,
        };
        let settings = self.settle(&name, &mut flags)?;
        if let Some(choice) = &unanswered.preset {
            let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            (self.say)(&format!(
                "\nThe workers that fit:\n  {}\nOther answers: {}, {NO_WORKERS}.",
                choice.reason.replace(": ", ":\n  ").replace("; ", ";\n  "),
                names.join(", ")
            ));
            let fitting = choice.preset.map_or(NO_WORKERS, |preset| preset.name);
            let preset = Question {
                name: "workers",
                key: "workers",
                prompt: format!("Workers [{fitting}]:"),
                value: |text| Some(if text == NO_WORKERS { "" } else { text }.to_owned()),
                default: Some(fitting.to_owned()),
            };
            self.settle(&preset, &mut flags)?;
        }
        if unanswered.certificate && settings.suits_lets_encrypt() {
            (self.say)(&format!(
                "\nLet's Encrypt issues a certificate if the DNS record of {} leads to\n\
                 this host, and port 80 is open. By an e-mail address you agree to its terms.",
                settings.server_name.host()
            ));
            let email = Question {
                name: "e-mail address",
                key: "tls.acme",
                prompt: "E-mail address (empty: no certificate):".to_owned(),
                value: |text| (!text.is_empty()).then(|| request::acme(text)),
                default: Some(String::new()),
            };
            self.settle(&email, &mut flags)?;
        }
        (self.say)("");
        Ok(flags)
    }

    /// Asks until the answer is valid, and adds it to the flags. Returns the settings so far.
    fn settle(&mut self, question: &Question, flags: &mut Flags) -> Result<Settings, Failure> {
        loop {
            let typed = (self.read)(&question.prompt);
            let answer = match (typed, &question.default) {
                (Some(typed), default) if typed.is_empty() => default.clone(),
                (typed, _) => typed,
            };
            let answer =
                answer.ok_or_else(|| Failure::failed("aborted").left("nothing was changed"))?;
            let mut tried = flags.clone();
            let value = (question.value)(&answer);
            let value = value.map(|value| (question.name, question.key, value));
            tried.answers.extend(value);
            match (self.check)(&tried) {
                Ok(settings) => {
                    *flags = tried;
                    return Ok(settings);
                }
                Err(failure) => (self.say)(&format!("{failure}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Sources, load};
    use crate::state::host_size::{GIB, HostSize};
    use crate::topology::needs;
    use std::collections::BTreeMap;

    /// The answers that result from these lines, and the text that was shown.
    fn run(lines: &[&str], certificate: bool) -> (Result<Vec<(String, String)>, String>, String) {
        let size = HostSize {
            processors: 2,
            memory: 4 * GIB,
            ..HostSize::default()
        };
        let mut shown = String::new();
        let mut lines = lines.iter();
        let mut dialog = Dialog {
            say: |text: &str| shown.push_str(&format!("{text}\n")),
            read: |_: &str| lines.next().map(|line| (*line).to_owned()),
            check: |flags: &Flags| {
                let sources = Sources {
                    file: None,
                    env_file: None,
                    environment: &BTreeMap::new(),
                    flags: &flags.answers,
                };
                let loaded = load(&sources).map_err(Failure::usage)?;
                Ok(loaded.settings)
            },
        };
        let unanswered = Unanswered {
            preset: Some(needs::choose(&size)),
            certificate,
        };
        let flags = dialog.run(&unanswered, &Flags::default());
        let answers = flags.map_err(|failure| failure.to_string()).map(|flags| {
            let answers = flags.answers.into_iter();
            answers
                .map(|(_, key, value)| (key.to_owned(), value))
                .collect()
        });
        (answers, shown)
    }

    fn answers(lines: &[&str]) -> String {
        let answers = run(lines, true).0.unwrap();
        let answers = answers.iter().map(|(key, value)| format!("{key}={value}"));
        answers.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_answers_become_settings() {
        assert_eq!(
            answers(&["example.org", "", "a@example.org"]),
            r#"server_name=example.org workers=small tls.acme={"email":"a@example.org"}"#
        );
        assert_eq!(
            answers(&["example.org", "medium", ""]),
            "server_name=example.org workers=medium"
        );
        // Main alone, and a name for which no authority issues certificates.
        assert_eq!(
            answers(&["localhost", "none"]),
            "server_name=localhost workers="
        );
    }

    #[test]
    fn a_wrong_answer_is_asked_for_again_with_the_reason() {
        let lines = ["example.org/", "example.org", "", "admin", "a@example.org"];
        let (answers, shown) = run(&lines, true);
        assert_eq!(answers.unwrap().len(), 3);
        assert!(shown.contains("server name: "), "{shown}");
        assert!(shown.contains("expected an e-mail address"), "{shown}");
        assert!(shown.contains("It is final"), "{shown}");
        assert!(shown.contains("this host has 2 processors"), "{shown}");
        // Errors have the length of their reasons.
        let mut questions = shown.lines().filter(|line| !line.contains("cannot be"));
        assert!(questions.all(|line| line.chars().count() < 80), "{shown}");
    }

    #[test]
    fn an_empty_name_and_the_end_of_input_end_the_questions() {
        for lines in [&[""][..], &[], &["example.org"], &["example.org", ""]] {
            let problem = run(lines, true).0.unwrap_err();
            assert_eq!(problem, "aborted\nnothing was changed", "{lines:?}");
        }
        let without_certificate = run(&["example.org", ""], false).0.unwrap();
        assert_eq!(without_certificate.len(), 2);
    }
}
