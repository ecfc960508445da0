//! The command line, and nothing else.

// `[:COUNT]` is no link: users read these texts as they are.
#![allow(rustdoc::broken_intra_doc_links)]

use crate::settings::types::Duration;
use crate::settings::value::Scalar;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Synapse, the Matrix homeserver, with workers on plain Linux.
#[derive(Debug, Parser)]
#[command(name = "synapse-workers", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed and the host is as before, 2 changes pending (plan --detailed-exitcode), \
    64 usage or settings wrong, 65 host refused by a check, 70 incomplete (the message names the command to run), 75 applied but failed verification and rolled back."
)]
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
    /// Also read settings by their environment names from this file, as Docker's --env-file does
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Work on the tree below DIR as if it were a host; nothing is started
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Do not ask before changing this host
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Print without colours
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// Settings that have a flag of their own.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// The name of the server, the part after the colon in user names; it cannot be changed later
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
    /// Workers, as [NAME=]ROLE[+ROLE…][:COUNT],…, or `full`; an empty text means none
    #[arg(long, value_name = "SPEC", conflicts_with = "preset")]
    pub workers: Option<String>,
    /// Take over the Synapse that has this configuration file (or a directory with homeserver.yaml in it); its data
    /// and options stay as they are
    #[arg(long, value_name = "FILE")]
    pub adopt: Option<PathBuf>,
    /// Workers of a preset; see `synapse-workers presets`
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
}

/// A change that goes again by itself.
#[derive(Clone, Copy, Debug, Args)]
pub struct Trying {
    /// Return to the state before after this time (as 120s or 5m), unless `synapse-workers confirm` is run
    #[arg(long = "try", value_name = "TIME", value_parser = Duration::parse)]
    pub time: Option<Duration>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring this host to the settings; the first time, write the settings file as well
    Install {
        #[command(flatten)]
        flags: Flags,
        /// Install missing programs with this system's package manager first
        #[arg(long)]
        packages: bool,
        #[command(flatten)]
        trying: Trying,
    },
    /// Print what install would do, with the reason for each restart
    Plan {
        #[command(flatten)]
        flags: Flags,
        /// Exit with 2 when there is something to do
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Set how many workers there are of a role, then install
    Scale {
        /// Role or worker name, and how many
        #[arg(required = true, value_name = "ROLE=N")]
        counts: Vec<String>,
        #[command(flatten)]
        trying: Trying,
    },
    /// Add workers, then install
    Add {
        /// [NAME=]ROLE[+ROLE…][:COUNT]
        #[arg(required = true, value_name = "SPEC")]
        specs: Vec<String>,
        #[command(flatten)]
        trying: Trying,
    },
    /// Remove workers, then install
    Remove {
        /// The name of a worker, or of all workers that share it but for the number
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        trying: Trying,
    },
    /// Keep a change that is on trial: one made with --try
    Confirm,
    /// Show every process
    Status,
    /// Print the routing table, or where one request goes
    Routes {
        #[command(flatten)]
        flags: Flags,
        /// GET, PUT …
        #[arg(requires = "path")]
        method: Option<String>,
        /// The path as a client sends it, with or without a query
        path: Option<String>,
    },
    /// Ask every process, every route, Redis and the database whether they answer
    Verify,
    /// Check this host, and name the command that cures what is wrong
    Doctor {
        #[command(flatten)]
        flags: Flags,
    },
    /// Write everything that install would, as files below --root DIR
    Render {
        #[command(flatten)]
        flags: Flags,
    },
    /// Move the data from SQLite to PostgreSQL: this host's own, or the one of database.host
    MigrateDatabase,
    /// List earlier states
    Generations,
    /// Return to an earlier state: the one before, or number N
    Rollback {
        #[arg(value_name = "N")]
        number: Option<u32>,
        #[command(flatten)]
        trying: Trying,
        /// Only while a change is on trial, which this ends; what synapse-trial.service does
        #[arg(long, hide = true)]
        unconfirmed: bool,
    },
    /// Stop and remove everything that was made, except database, media, signing key and settings
    Uninstall {
        /// Remove these too
        #[arg(long)]
        purge: bool,
        /// The server's name, to confirm --purge without a terminal
        #[arg(long, value_name = "NAME", requires = "purge")]
        confirm: Option<String>,
    },
    /// List the presets of workers
    Presets,
    /// Give services a copy of certificate and key; what synapse-certificate.service does
    #[command(hide = true)]
    HandOver {
        #[arg(long)]
        certificate: PathBuf,
        #[arg(long)]
        key: PathBuf,
        /// The services
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// Write man pages, shell completions, the page of all settings or the accounts of the packages into a directory
    #[command(hide = true)]
    Generate { what: Generated, directory: PathBuf },
}

/// What `generate` writes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Generated {
    Man,
    Completions,
    Reference,
    Accounts,
}
