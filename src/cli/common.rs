//! The program, and the options that all of its commands share.

use super::command::Command;
use clap::{Args, Parser};
use std::path::PathBuf;

/// Install and operate a Synapse homeserver with workers under systemd
#[derive(Debug, Parser)]
#[command(name = "synapse-workers", version, max_term_width = 100)]
#[command(after_help = crate::failure::status_help())]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: Common,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The settings file
    #[arg(long, global = true, value_name = "FILE", default_value = crate::state::paths::SETTINGS)]
    pub settings: PathBuf,
    /// Also read settings from FILE, a Docker env-file of NAME=VALUE lines
    ///
    /// synapse-workers-settings(5) lists the variable of each setting. Values from the file take precedence over the
    /// settings file, and the environment takes precedence over them. They are written to the settings file, secrets
    /// to /etc/synapse-workers/secrets.
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Use the directory tree at DIR as the host, and start nothing (install, plan, render and routes only)
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Apply changes without asking for confirmation
    ///
    /// Without a terminal, changes are applied without confirmation.
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Do not print colours, as with NO_COLOR in the environment
    #[arg(long, global = true)]
    pub no_color: bool,
}
