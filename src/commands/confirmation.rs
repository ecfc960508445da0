//! Questions at a terminal before a change.

use super::hosts;
use crate::cli::Common;
use crate::converge::Remote;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::report::out;
use std::fmt::Display;
use std::io::{IsTerminal, Write};

/// Asks for confirmation at a terminal, unless `--yes` is set. Without a terminal, running the command counts as
/// confirmation.
pub fn agree(common: &Common, plan: &Plan, others: &[Remote]) -> Result<(), Failure> {
    let of_others = hosts::text(others);
    ask(common, format_args!("{plan}{of_others}\nApply this plan?"))
}

/// Asks a question at a terminal, under the conditions of [`agree`]. Any answer but yes ends the command.
pub fn ask(common: &Common, question: impl Display) -> Result<(), Failure> {
    match confirmed(common, question) {
        None | Some(true) => Ok(()),
        Some(false) => Err(Failure::failed("aborted").left("nothing was changed")),
    }
}

/// Whether the answer to a question at a terminal is yes; `None` if it is not asked, under the conditions of [`agree`].
pub fn confirmed(common: &Common, question: impl Display) -> Option<bool> {
    if common.yes || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return None;
    }
    out!("{question} [y/N] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    Some(matches!(answer.trim(), "y" | "Y" | "yes"))
}
