//! The commands, with their help.

use super::actions::{AlertsAction, BackupAction, Generated, UserAction};
use super::flags::{Flags, Leaving, Trying};
use crate::settings::types::{Duration, Repository, Version};
use crate::settings::value::Scalar;
use clap::Subcommand;
use std::path::PathBuf;

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
