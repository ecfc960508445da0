//! The output of programs.

use super::Tool;
use std::process::ExitStatus;

/// The output and the exit status of a program.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// The last lines of a program's output, indented.
pub fn tail(output: &Output, lines: usize) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.trim_end().lines().collect();
    let last: Vec<String> = all[all.len().saturating_sub(lines)..]
        .iter()
        .map(|line| format!("    {line}"))
        .collect();
    last.join("\n")
}

/// The last lines in a unit's journal, under a heading with its name.
pub fn journal(unit: &str, lines: usize) -> Option<String> {
    let output = Tool::new("journalctl")
        .args([
            "-u",
            unit,
            "-n",
            &lines.to_string(),
            "-o",
            "cat",
            "--no-pager",
            "-q",
        ])
        .output()
        .ok()?;
    Some(format!("  {unit}:\n{}\n", tail(&output, lines)))
}
