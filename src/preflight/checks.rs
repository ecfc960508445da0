//! The table of preflight checks.

use super::check::{Check, Examined, Finding};
use super::{
    accounts, backup, database, directories, network, opening, programs, secrets, sizing, synapse,
    system,
};

/// The name of the check that `install --packages` fixes.
pub const PROGRAMS: &str = "programs are installed";

/// All checks, in the order in which an administrator would fix them.
#[rustfmt::skip] // one check per line
pub static CHECKS: &[Check] = &[
    Check { name: "runs as root",                                             fatal: true,  check: system::root },
    Check { name: "booted with systemd",                                      fatal: true,  check: system::systemd },
    Check { name: "only root can replace this program",                       fatal: true,  check: system::replaceable },
    Check { name: PROGRAMS,                                                   fatal: true,  check: programs::missing },
    Check { name: "the Python in synapse.python has Synapse",                 fatal: true,  check: synapse::python },
    Check { name: "Synapse is recent enough",                                 fatal: true,  check: synapse::version },
    Check { name: "this program knows the release of Synapse",                fatal: false, check: synapse::unknown },
    Check { name: "the release of Synapse has what the settings need",        fatal: true,  check: synapse::settings },
    Check { name: "Synapse and the state compressor are intact",              fatal: false, check: synapse::damaged },
    Check { name: "ports are free",                                           fatal: true,  check: network::ports },
    Check { name: "the certificate matches its key",                          fatal: true,  check: network::certificate },
    Check { name: "the authority issues the certificate",                     fatal: false, check: network::issued },
    Check { name: "the host has the protocols of bind_addresses",             fatal: true,  check: network::ipv6 },
    Check { name: "no other service or administrator uses Synapse's account", fatal: true,  check: accounts::apart },
    Check { name: "Synapse's user and group match the settings",              fatal: true,  check: accounts::fit },
    Check { name: "the media store belongs to Synapse",                       fatal: true,  check: directories::media },
    Check { name: "the directory of nginx's Unix socket belongs to nginx",    fatal: true,  check: directories::socket },
    Check { name: "nginx can read the web client in nginx.web_root",          fatal: true,  check: directories::web_root },
    Check { name: "coturn has an address to relay from",                      fatal: true,  check: network::relay_address },
    Check { name: "Synapse's launcher is installed",                          fatal: true,  check: programs::launcher },
    Check { name: "Synapse can start from a fork server",                     fatal: true,  check: programs::warm_start },
    Check { name: "warm.mode has its effect with Synapse's Python",           fatal: false, check: programs::immortal },
    Check { name: "secrets that cannot be generated are provided",            fatal: true,  check: secrets::missing },
    Check { name: "files of secrets contain a secret",                        fatal: true,  check: secrets::unusable_file },
    Check { name: "Synapse's Python has the packages that the settings need", fatal: true,  check: synapse::requirements },
    Check { name: "the external Redis answers",                               fatal: true,  check: network::redis },
    Check { name: "the Matrix Authentication Service answers",                fatal: false, check: network::mas },
    Check { name: "the state compressor exists for this processor",           fatal: true,  check: programs::compressor },
    Check { name: "PostgreSQL answers",                                       fatal: true,  check: database::answers },
    Check { name: "PostgreSQL is recent enough",                              fatal: true,  check: database::version },
    Check { name: "PostgreSQL has enough connections for all processes",      fatal: true,  check: database::connections },
    Check { name: "the database meets Synapse's requirements",                fatal: true,  check: database::fit },
    Check { name: "jemalloc is installed",                                    fatal: false, check: programs::jemalloc },
    Check { name: "the host has memory for all processes",                    fatal: false, check: sizing::memory },
    Check { name: "the host has processors for all processes",                fatal: false, check: sizing::processors },
    Check { name: "nginx can open as many files as it needs",                 fatal: true,  check: sizing::open_files },
    Check { name: "the host has space for Synapse and its metrics",           fatal: false, check: sizing::space },
    Check { name: "PostgreSQL can be opened to the other hosts",              fatal: true,  check: opening::admits },
    Check { name: "PostgreSQL can be tuned by a file",                        fatal: true,  check: sizing::tunable },
    Check { name: "PostgreSQL has read the file of database.tune",            fatal: false, check: sizing::tuned },
    Check { name: "PostgreSQL uses the memory of this host",                  fatal: false, check: sizing::database },
    Check { name: "only root can read backup.environment_file",               fatal: true,  check: backup::environment },
    Check { name: "the newest backup is recent",                              fatal: false, check: backup::recent },
    Check { name: "SELinux is permissive or off",                             fatal: false, check: system::selinux },
];

/// Runs every check.
pub fn examine<'a>(
    at: &'a Examined,
) -> impl Iterator<Item = (&'static Check, Option<Finding>)> + 'a {
    CHECKS.iter().map(|check| (check, (check.check)(at)))
}
