//! The declarations of the command line. They are also the source of the help, the manual pages and the completions.

// rustdoc takes `[:COUNT]` for a link; help and manual pages print it as it is.
#![allow(rustdoc::broken_intra_doc_links)]

mod actions;
mod command;
mod common;
mod flags;

pub use actions::{AlertsAction, BackupAction, Generated, UserAction};
pub use command::Command;
pub use common::{Cli, Common};
pub use flags::{ADOPT, ADOPT_PATHS, ADOPT_SERVICE, Flags, Leaving, Trying};
