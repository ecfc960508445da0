//! The words after a command that has several actions.

use clap::Subcommand;

/// The actions of `user`. NAME is the part of a user ID between @ and the colon, or the whole ID.
#[derive(Debug, Subcommand)]
pub enum UserAction {
    /// Add a user; the password is asked for, or read from standard input
    Add {
        /// alice, or @alice:example.org
        name: String,
        /// Make the user an administrator of Synapse, who may use its admin API
        #[arg(long)]
        admin: bool,
        /// Generate the password and print it
        #[arg(long)]
        generate: bool,
    },
    /// Set the password of a user, and end all sessions of the user
    Password {
        /// alice, or @alice:example.org
        name: String,
        /// Generate the password and print it
        #[arg(long)]
        generate: bool,
        /// Keep the sessions, which other people may use
        #[arg(long)]
        keep_sessions: bool,
    },
    /// Deactivate a user permanently: the name cannot be used again
    Deactivate {
        /// alice, or @alice:example.org
        name: String,
        /// Also hide the messages of the user from users who join their rooms later
        #[arg(long)]
        erase: bool,
    },
    /// List the users with the date of their registration
    List {
        /// Include deactivated users
        #[arg(long)]
        all: bool,
    },
}

/// The action of `alerts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AlertsAction {
    /// Send a test alert, and wait until it is delivered
    Test,
}

/// The action of `backup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BackupAction {
    /// Make a backup, then remove those that are older than the settings keep
    Now,
    /// List the backups in the repository
    List,
    /// Check the repository
    Check,
    /// Print the password of the repository on a terminal; keep a copy outside this host
    Password,
}

/// The output of `generate`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Generated {
    Man,
    Completions,
    Reference,
    Accounts,
}
