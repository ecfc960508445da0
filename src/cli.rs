//! The declarations of the command line. They are also the source of the help, the manual pages and the completions.

// rustdoc takes `[:COUNT]` for a link; help and manual pages print it as it is.
#![allow(rustdoc::broken_intra_doc_links)]

use crate::settings::types::{Duration, Repository, Version};
use crate::settings::value::Scalar;
use clap::{Args, Parser, Subcommand};
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

/// The flags that adopt a server, as errors name them.
pub const ADOPT: &str = "--adopt";
pub const ADOPT_PATHS: &str = "--adopt-paths";
pub const ADOPT_SERVICE: &str = "--adopt-service";

/// Settings that have a flag of their own.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// Server name: the part of user IDs after the colon; it cannot be changed later
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
    /// Workers: [NAME=]ROLE[+ROLE…][:COUNT], separated by commas; "" runs the main process alone
    ///
    /// COUNT is a whole number from 0 to 100 and defaults to 1. `synchrotron:3` is three workers with one role each;
    /// `streams=typing+presence` is one worker with two roles. The name of a preset stands for its workers.
    #[arg(long, value_name = "SPEC", conflicts_with = "preset")]
    pub workers: Option<String>,
    /// Adopt the existing Synapse that reads the configuration FILE; its data and options stay unchanged
    ///
    /// FILE may also be a directory that contains homeserver.yaml. See synapse-workers-adopting(7).
    #[arg(long, value_name = "FILE")]
    pub adopt: Option<PathBuf>,
    /// The directories of this host that the container of the adopted Synapse mounted: CONTAINER=HOST, with commas
    ///
    /// `/data=/srv/synapse`, for instance: paths below /data in FILE are then read as paths below /srv/synapse.
    #[arg(long, value_name = "PATHS", requires = "adopt")]
    pub adopt_paths: Option<String>,
    /// The service that starts the adopted Synapse, if it does so through another program such as docker
    #[arg(long, value_name = "SERVICE", requires = "adopt")]
    pub adopt_service: Option<String>,
    /// Workers of a preset; `synapse-workers presets` lists them
    ///
    /// The first `install` without --preset and --workers chooses the preset that fits this host, and writes it to the
    /// settings file. No later run changes it.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Obtain a certificate from Let's Encrypt, with EMAIL for the account or without it (sets tls.acme)
    ///
    /// By setting this you agree to the terms of service of Let's Encrypt. It replaces a value of tls.acme in the settings
    /// file. See synapse-workers-tls(7).
    #[arg(long, value_name = "EMAIL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub acme: Option<String>,
    /// Size the PostgreSQL of this host for its memory and the workers (sets database.tune to true)
    ///
    /// Writes a file in PostgreSQL's directory conf.d. PostgreSQL reads it when you restart it; the command is printed.
    /// See synapse-workers-postgresql(7).
    #[arg(long)]
    pub tune_database: bool,
    /// Open the PostgreSQL of this host to the other hosts in `hosts` (sets database.open to true)
    ///
    /// PostgreSQL listens on the address of this host too, and admits the role of Synapse from the addresses of these hosts,
    /// with a password. It restarts once, as a step of the plan. See synapse-workers-cluster(7).
    #[arg(long)]
    pub open_database: bool,
    /// The names of the hosts that are left out, from [`Leaving`]
    #[arg(skip)]
    pub without: Vec<String>,
    /// Answers to the questions of `install` on a new host: the name of the question, the key and the value
    #[arg(skip)]
    pub answers: Vec<(&'static str, &'static str, String)>,
}

/// The option for a trial.
#[derive(Clone, Copy, Debug, Args)]
pub struct Trying {
    /// Roll back automatically after TIME (e.g. 5m) unless `synapse-workers confirm` is run
    ///
    /// TIME is from 1s to 1d, such as 90s, 5m or 2h; a number without a unit counts seconds. A systemd timer rolls
    /// it back, so it works without a terminal; after a reboot the time starts again. Without this option, a
    /// verified change is permanent.
    #[arg(long = "try", value_name = "TIME", value_parser = Duration::parse)]
    pub time: Option<Duration>,
}

/// The option for hosts that are left out.
#[derive(Clone, Debug, Args)]
pub struct Leaving {
    /// Leave the host NAME of `hosts` out, such as one that is down; can be repeated
    ///
    /// Renders everything as if NAME had no workers, and does not connect to it. The settings file stays as it is, and the
    /// next `install` without this option brings the host back. Its workers must be stopped, or have lost the first host
    /// at least two minutes ago. See synapse-workers-cluster(7).
    #[arg(long, value_name = "NAME")]
    pub without: Vec<String>,
}

impl Leaving {
    /// These flags with the hosts that are left out.
    #[must_use]
    pub fn with(self, flags: Flags) -> Flags {
        Flags {
            without: self.without,
            ..flags
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Apply the settings to this host; creates the settings file on the first run
    ///
    /// Prints the plan, asks for confirmation, applies the plan and verifies every process and route. A run that fails
    /// is rolled back. Settings from flags, the environment and the env-file are written to the settings file.
    Install {
        #[command(flatten)]
        flags: Flags,
        /// Also install missing programs with the package manager (apt or dnf)
        #[arg(long)]
        packages: bool,
        #[command(flatten)]
        leaving: Leaving,
        #[command(flatten)]
        trying: Trying,
    },
    /// Print the changes that `install` would make, with the reason for each restart
    Plan {
        #[command(flatten)]
        flags: Flags,
        #[command(flatten)]
        leaving: Leaving,
        /// Exit with status 2 if there are changes
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Set the number of workers of a role and apply the change
    ///
    /// Edits `workers:` in the settings file. All other lines of the file stay unchanged.
    Scale {
        /// The role, or the name of an entry of `workers:`, and its number of workers (0 to 100); HOST/ROLE=N for another host
        #[arg(required = true, value_name = "ROLE=N")]
        counts: Vec<String>,
        #[command(flatten)]
        trying: Trying,
    },
    /// Add workers and apply the change
    ///
    /// Edits `workers:` in the settings file. An existing entry with the same name and roles gets more workers.
    Add {
        /// Workers to add: [NAME=]ROLE[+ROLE…][:COUNT]; COUNT defaults to 1. HOST/ before it adds them to another host
        #[arg(required = true, value_name = "SPEC")]
        specs: Vec<String>,
        #[command(flatten)]
        trying: Trying,
    },
    /// Remove workers and apply the change
    ///
    /// Edits `workers:` in the settings file. Workers of an entry are numbered without gaps, so only the last one can
    /// be removed on its own.
    Remove {
        /// A worker (`synchrotron3`), or an entry with all its workers (`synchrotron`); HOST/ before it for another host
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        trying: Trying,
    },
    /// Move an entry of `workers` to another host and apply the change
    ///
    /// The hosts are those in `hosts`, and `first`, the host with the settings file. See synapse-workers-cluster(7).
    Move {
        /// The entry, as in synchrotron, or app2/synchrotron for one of another host
        #[arg(value_name = "[HOST/]ENTRY")]
        entry: String,
        /// The host to move it to
        host: String,
    },
    /// Keep the change that is on trial (made with --try)
    Confirm,
    /// Print every process with its health, the drift and the trial
    ///
    /// Exits with status 1 if it finds a problem. Drift alone is not a problem.
    Status {
        /// Repeat the output every two seconds, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Measure the running server and recommend changes, the one with the largest effect first
    ///
    /// Measures processors and memory of every process, Synapse's own metrics if metrics.enabled is true, PostgreSQL,
    /// nginx and the host. Changes nothing. Each recommendation has its evidence, the command and the expected effect.
    /// Run it while the server is busy. See synapse-workers-advice(7).
    Advise {
        /// The time to measure (e.g. 10m); Ctrl-C ends it early and evaluates the readings so far
        #[arg(long = "for", value_name = "TIME", value_parser = Duration::parse, default_value = "1m")]
        time: Duration,
    },
    /// Show the load of every process on one screen, refreshed every two seconds
    ///
    /// CPU% is the part of one processor that a process uses, and NEED% adds the time that it waits for a processor.
    /// Requests, errors, LAG (of the event loop) and POOL (the wait for a database connection) need metrics.enabled.
    Top,
    /// Print the routing table, or the route of one request
    Routes {
        #[command(flatten)]
        flags: Flags,
        #[command(flatten)]
        leaving: Leaving,
        /// The HTTP method, such as GET
        #[arg(requires = "path")]
        method: Option<String>,
        /// The path as the client sends it, with or without the query string
        path: Option<String>,
    },
    /// Probe every process, every route, Redis, the database and nginx
    ///
    /// Changes nothing. Exits with status 1 if a probe fails.
    Verify,
    /// Check how other homeservers and clients reach this server, with the remedy for each fault
    ///
    /// Follows the specification: DNS records, well-known files, certificates, the signature of the keys, CORS. Asks the
    /// name servers of this host and the addresses of the server's own names, and no third party. Changes nothing. Exits
    /// with status 1 if a check fails. See synapse-workers-reachability(7).
    Reach,
    /// Run the preflight checks; each failure names its remedy
    ///
    /// Changes nothing. Exits with status 65 if a check fails.
    Doctor {
        #[command(flatten)]
        flags: Flags,
    },
    /// Render all files into --root DIR; needs no root, systemd or network
    Render {
        #[command(flatten)]
        flags: Flags,
        /// Render the files of the host NAME in `hosts`; without it, those of the first host
        ///
        /// The first host is the one that has the settings file. See synapse-workers-cluster(7).
        #[arg(long, value_name = "NAME")]
        host: Option<String>,
    },
    /// Upgrade Synapse to its newest release, or to VERSION
    ///
    /// Shows what the release changes and whether a rollback stays possible, edits `synapse.version` in the settings
    /// file, then does what `install` does: installs the release beside the old one, checks it, switches, verifies, and
    /// rolls back if that fails. For a Synapse from a package, prints the commands. See synapse-workers-upgrades(7).
    Upgrade {
        /// The release, such as 1.163.2; a pre-release is installed only if it is named
        #[arg(value_name = "VERSION", value_parser = Version::parse)]
        version: Option<Version>,
        /// Only print whether there is a newer release; exit with status 2 if there is one
        #[arg(long, conflicts_with_all = ["version", "backup", "time"])]
        check: bool,
        /// Make a backup first, without a question; needs backup.repository
        #[arg(long)]
        backup: bool,
        #[command(flatten)]
        trying: Trying,
    },
    /// Migrate the data from SQLite to PostgreSQL
    ///
    /// The target is the host's own PostgreSQL, or the one in database.host, and must be empty. The server runs during
    /// the first of the two copies and is stopped for the second. If a step fails, it continues with SQLite. See
    /// synapse-workers-postgresql(7).
    MigrateDatabase,
    /// List the generations on this host
    Generations,
    /// Roll back to the previous generation, or to generation N
    ///
    /// Restores the configuration, the units and the settings file. The database and homeserver.d stay unchanged.
    Rollback {
        /// The number of the generation; `synapse-workers generations` lists them [default: the previous one]
        #[arg(value_name = "N")]
        number: Option<u32>,
        #[command(flatten)]
        trying: Trying,
        /// Do nothing unless a change is on trial; synapse-trial.service passes this
        #[arg(long, hide = true)]
        unconfirmed: bool,
    },
    /// Stop and remove the server; keeps the database, media, signing key, secrets and settings
    Uninstall {
        /// Delete the database, media, signing key, secrets and settings too, permanently
        #[arg(long)]
        purge: bool,
        /// Confirm --purge with the server name; required without a terminal
        #[arg(long, value_name = "NAME", requires = "purge")]
        confirm: Option<String>,
    },
    /// Add, list and change the users of this server
    ///
    /// Uses the admin API of Synapse at the socket of the main process; needs no access token. See
    /// synapse-workers-accounts(7).
    User {
        #[command(subcommand)]
        action: UserAction,
    },
    /// Send a test alert to the receivers in alerts.email and alerts.webhook
    ///
    /// Waits until Alertmanager has delivered it. Exits with status 1 and the reason if it was not delivered. See
    /// synapse-workers-alerts(7).
    Alerts { action: AlertsAction },
    /// Back up the server, list or check its backups, or print their password
    ///
    /// backup.repository names the restic repository. The server keeps running. See synapse-workers-backup(7).
    Backup {
        action: BackupAction,
        /// With `check`: also restore the newest backup into a database of its own, and compare the numbers of users,
        /// rooms and events
        #[arg(long)]
        restore: bool,
    },
    /// Restore a server from a backup to a host that has none
    ///
    /// Restores the settings, secrets, signing key, media and database, then does what `install` does. An interrupted
    /// restore continues when it is run again. See synapse-workers-backup(7).
    Restore {
        /// The ID of the backup, as `backup list` prints it, or `latest`
        #[arg(value_name = "ID", default_value = "latest")]
        id: String,
        /// The restic repository: a directory, sftp:USER@HOST:PATH, s3:https://HOST/BUCKET or rest:https://HOST/PATH
        #[arg(long, value_name = "REPOSITORY", value_parser = Repository::parse)]
        from: Repository,
        /// A file with the password of the repository; without it, the password is asked for or read from standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// A file with the credentials for the repository, as in backup.environment_file
        #[arg(long, value_name = "FILE")]
        environment_file: Option<PathBuf>,
        /// The server to restore, if the repository has the backups of more than one
        #[arg(long, value_name = "NAME")]
        server: Option<String>,
    },
    /// List the presets with their workers
    Presets,
    /// Install a copy of certificate and key for each unit; run by synapse-certificate.service
    #[command(hide = true)]
    HandOver {
        #[arg(long)]
        certificate: PathBuf,
        #[arg(long)]
        key: PathBuf,
        /// The units that read the certificate
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// Obtain the certificate of tls.acme, or renew it if that is due; run by synapse-acme.service
    #[command(hide = true)]
    ObtainCertificate,
    /// Work on this host for the first host of several; run over ssh
    #[command(hide = true)]
    Agent,
    /// Write manual pages, shell completions, the settings page or the accounts of the packages to a directory
    #[command(hide = true)]
    Generate { what: Generated, directory: PathBuf },
}

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
