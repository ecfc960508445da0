//! What restic reports when it fails, with the remedy. Releases before 0.17 have one exit status for all failures, so the
//! text decides.

use crate::failure::Failure;
use crate::host::tools::Output;
use serde_json::Value;

/// Words of lines that are no reason: ssh tries to record further keys of a known host, which the sandbox of the service
/// forbids.
const NO_REASON: &[&str] = &["update_known_hosts", "hostfile_replace_entries"];

/// Why restic failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The repository does not exist.
    Missing,
    /// The password is wrong.
    Password,
    /// Any other cause.
    Other,
}

/// The words of a message in lower case, the cause, and the remedy, in which `@` stands for the repository.
type Row = (&'static [&'static str], Cause, &'static str);

/// The first row that has one of its words in the message counts (restic 0.14 to 0.18; ssh).
static ROWS: &[Row] = &[
    (
        &["wrong password or no key found"],
        Cause::Password,
        "restore the password of this repository to /etc/synapse-workers/secrets/backup_password from your copy; if there is none, \
         set backup.repository to a new place",
    ),
    (
        &["no space left on device", "disk quota exceeded"],
        Cause::Other,
        "free space for @, or lower backup.keep_daily, backup.keep_weekly and backup.keep_monthly; the backups before this one \
         are unchanged",
    ),
    (
        &["already locked", "unable to create lock"],
        Cause::Other,
        "wait until the other program has finished with @; locks of a crashed restic expire after 30 minutes",
    ),
    (
        &["read-only file system"],
        Cause::Other,
        "make @ writable; a directory that did not exist when the service started can be made by: synapse-workers backup now",
    ),
    (
        &[
            "host key verification failed",
            "permission denied (",
            "authentication failed",
        ],
        Cause::Other,
        "as root, connect once with ssh to the host of the repository, with a key that needs no passphrase",
    ),
    (
        &[
            "access denied",
            "accessdenied",
            "invalidaccesskeyid",
            "signaturedoesnotmatch",
            "401 unauthorized",
            "403 forbidden",
        ],
        Cause::Other,
        "correct the credentials in the file of backup.environment_file",
    ),
    (
        &["x509:", "certificate signed by unknown authority"],
        Cause::Other,
        "name the authority that signed the certificate of the repository's server in RESTIC_CACERT, in the file of \
         backup.environment_file",
    ),
    (
        &[
            "connection refused",
            "no such host",
            "no route to host",
            "network is unreachable",
            "connection timed out",
            "connection reset",
            "i/o timeout",
            "could not resolve",
            "name resolution",
            "connection closed",
            "unexpected eof",
        ],
        Cause::Other,
        "check that the server of the repository runs, that this host reaches it and, for SSH, that root connects without a \
         question; the next run tries again",
    ),
    (
        &[
            "repository does not exist",
            "is there a repository at",
            "unable to open config file",
            "specified bucket does not exist",
        ],
        Cause::Missing,
        "check backup.repository (@), and that its disk is mounted",
    ),
    (
        &["permission denied"],
        Cause::Other,
        "make @ and everything in it belong to root",
    ),
    (
        &[
            "ciphertext verification failed",
            "does not match",
            "invalid data",
            "id mismatch",
            "contains errors",
            "not found in repository",
            "decoding",
            "pack",
            "is damaged",
        ],
        Cause::Other,
        "the repository is damaged: check its disk; restic(1) describes `restic check --read-data` and `restic repair`; or set \
         backup.repository to a new place, so that there is a good backup soon",
    ),
];

/// The failure of a restic that ended with this output, and its cause.
pub fn failure(repository: &str, output: &Output) -> (Cause, Failure) {
    let message = message(&output.stderr);
    let lower = message.to_lowercase();
    let has = |row: &&Row| row.0.iter().any(|word| lower.contains(word));
    let row = ROWS.iter().find(has);
    let problem = match message.is_empty() {
        true => format!("restic failed ({})", output.status),
        false => format!("restic: {message}"),
    };
    let failure = Failure::failed(problem);
    match row {
        Some((_, cause, help)) => (*cause, failure.help(help.replace('@', repository))),
        None => (
            Cause::Other,
            failure
                .help("correct what the message names; the backups before this one are unchanged"),
        ),
    }
}

/// The message of restic, from lines of text (before 0.17) or of JSON.
fn message(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = text.lines().filter_map(|line| {
        let text = match serde_json::from_str::<Value>(line) {
            Ok(json) => said(&json)?,
            Err(_) => line.to_owned(),
        };
        let text = text.trim().trim_start_matches("Fatal: ").to_owned();
        let reason = !text.is_empty() && !NO_REASON.iter().any(|word| text.contains(word));
        reason.then_some(text)
    });
    let mut lines: Vec<String> = lines
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.dedup();
    const SHOWN: usize = 6;
    lines.drain(..lines.len().saturating_sub(SHOWN));
    lines.join("\n    ")
}

/// The text of a line of JSON.
fn said(json: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match json.get("message_type").and_then(Value::as_str) {
        Some("error") => {
            let error = json.get("error")?;
            let why = error
                .get("message")
                .and_then(text)
                .unwrap_or_else(|| error.to_string());
            let item = json.get("item").and_then(Value::as_str).unwrap_or_default();
            Some(format!("{item}: {why}"))
        }
        _ => json.get("message").and_then(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn of(stderr: &str) -> (Cause, String) {
        let output = Output {
            status: ExitStatus::from_raw(1 << 8),
            stdout: Vec::new(),
            stderr: stderr.as_bytes().to_vec(),
        };
        let (cause, failure) = failure("/srv/backup", &output);
        (cause, failure.to_string())
    }

    /// The texts are those that restic 0.14.0 and 0.18.0 print.
    #[test]
    fn both_generations_of_messages_have_the_same_remedy() {
        let old = "Fatal: unable to open config file: stat /srv/backup/config: no such file or directory\n\
                   Is there a repository at the following location?\n/srv/backup\n";
        let new = r#"{"message_type":"exit_error","code":10,"message":"Fatal: repository does not exist: unable to open config file: stat /srv/backup/config: no such file or directory\nIs there a repository at the following location?\n/srv/backup"}"#;
        for text in [old, new] {
            let (cause, text) = of(text);
            assert_eq!(cause, Cause::Missing, "{text}");
            assert!(
                text.contains("help: check backup.repository (/srv/backup)"),
                "{text}"
            );
        }
        let old = "Fatal: wrong password or no key found\n";
        let new = r#"{"message_type":"exit_error","code":12,"message":"Fatal: wrong password or no key found"}"#;
        for text in [old, new] {
            let (cause, text) = of(text);
            assert_eq!(cause, Cause::Password);
            assert!(
                text.starts_with(
                    "restic: wrong password or no key found\n  help: restore the password"
                ),
                "{text}"
            );
        }
        let new = r#"{"message_type":"exit_error","code":11,"message":"unable to create lock in backend: repository is already locked by PID 13062 on vm by root (UID 0, GID 0)\nlock was created at 2026-11-29 14:15:47 (3.215657268s ago)"}"#;
        assert!(of(new).1.contains("help: wait until the other program"));
    }

    #[test]
    fn a_full_disk_is_no_lock() {
        let text = "unable to create lock in backend: write /srv/backup/locks/76: no space left on device\n";
        assert!(of(text).1.contains("help: free space for /srv/backup"));
    }

    #[test]
    fn what_ssh_notes_is_no_reason() {
        let text = "subprocess ssh: hostfile_replace_entries: mkstemp: Read-only file system\n\
                    Fatal: unable to open config file: Lstat /srv/sftp/config: file does not exist\n";
        assert_eq!(of(text).0, Cause::Missing);
    }

    #[test]
    fn an_unknown_message_is_shown_as_it_is() {
        let (_, text) = of("something new\n");
        assert!(
            text.starts_with("restic: something new\n  help: "),
            "{text}"
        );
        assert!(of("").1.starts_with("restic failed (exit status: 1)"));
    }
}
