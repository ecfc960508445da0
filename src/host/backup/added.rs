//! What restic and the program beside it report about an added part.

use crate::failure::Failure;
use crate::host::files;
use crate::host::tools::Output;
use anyhow::Context;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The part of a backup that restic has added.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Added {
    /// The ID of the snapshot, or its beginning.
    #[serde(rename = "snapshot_id")]
    pub snapshot: String,
    /// The number of files.
    #[serde(rename = "total_files_processed")]
    pub files: u64,
    /// The size of all files, in bytes.
    #[serde(rename = "total_bytes_processed")]
    pub bytes: u64,
    /// The size of the data that was new to the repository, in bytes.
    #[serde(rename = "data_added")]
    pub added: u64,
}

/// Whether a program may have ended because restic, which read its output, had ended before.
pub(super) fn was_cut_off(writer: &Output) -> bool {
    let text = String::from_utf8_lossy(&writer.stderr);
    writer.status.code().is_none() || text.contains("Broken pipe")
}

/// The message of a program that failed, indented.
pub(super) fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    match text.trim() {
        "" => format!("the program beside restic failed ({})", output.status),
        text => text.replace('\n', "\n    "),
    }
}

/// The summary in restic's output, which is its last line of JSON.
pub(super) fn added(text: &str) -> Result<Added, Failure> {
    let summary = text.lines().rfind(|line| line.contains("\"summary\""));
    let summary = summary.context("restic printed no summary")?;
    Ok(serde_json::from_str(summary).context("cannot parse restic's summary")?)
}

/// Whether every file that restic could not read has been deleted meanwhile.
pub(super) fn only_vanished(stderr: &[u8], directory: &Path) -> bool {
    let text = String::from_utf8_lossy(stderr);
    let items = text.lines().filter_map(|line| {
        let json: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(directory.join(json.get("item")?.as_str()?.trim_start_matches("./")))
    });
    let items: Vec<PathBuf> = items.collect();
    !items.is_empty() && !items.iter().any(files::exists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_still_there_must_be_readable() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("there"), "").unwrap();
        // restic 0.18.0.
        let error = |name: &str| {
            let item = directory.path().join(name).display().to_string();
            format!(
                r#"{{"message_type":"error","error":{{"message":"lstat"}},"during":"archival","item":"{item}"}}"#
            )
        };
        let vanished = |text: &str| only_vanished(text.as_bytes(), directory.path());
        let end = r#"{"message_type":"exit_error","code":3,"message":"Warning: at least one source file could not be read"}"#;
        assert!(vanished(&format!("{}\n{end}\n", error("gone"))));
        assert!(!vanished(&format!(
            "{}\n{}\n{end}\n",
            error("gone"),
            error("there")
        )));
        assert!(!vanished(end));
    }
}
