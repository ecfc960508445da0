//! The record of the last verdict.

use crate::host::files;
use crate::reach::Verdict;
use crate::state::paths;
use anyhow::Result;

/// The verdict of the last `synapse-workers reach`; `None` before the first one, or if its record cannot be read.
pub fn verdict() -> Option<Verdict> {
    let text = files::read(paths::REACH).ok()??;
    serde_json::from_slice(&text).ok()
}

/// Records a verdict.
///
/// # Errors
/// When the record cannot be written.
pub fn record(verdict: &Verdict) -> Result<()> {
    let text = serde_json::to_string_pretty(verdict)?;
    files::replace(paths::REACH, format!("{text}\n").as_bytes(), 0o644)
}
