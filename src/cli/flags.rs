//! Groups of options that several commands share: settings with a flag of their own, hosts to leave out, and the trial.

use crate::settings::types::Duration;
use crate::settings::value::Scalar;
use clap::Args;
use std::path::PathBuf;

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
