//! The table of preflight checks. Each finding comes with its remedy.

use super::check::{Check, Examined, Finding, finding};
use super::{accounts, coturn, database, provided};
use crate::host::facts::PackageManager;
use crate::host::programs::install_command;
use crate::state::host_facts::Installed;
use crate::state::paths;
use crate::state::units;

/// The name of the check that `install --packages` fixes.
pub const PROGRAMS: &str = "programs are installed";

/// All checks, in the order in which an administrator would fix them.
pub static CHECKS: &[Check] = &[
    Check {
        name: "runs as root",
        fatal: true,
        check: |at| {
            (!at.facts.root)
                .then(|| finding("this needs root", "sudo synapse-workers …"))
                .flatten()
        },
    },
    Check {
        name: "booted with systemd",
        fatal: true,
        check: |at| {
            (!at.facts.systemd)
                .then(|| {
                    finding(
                        "this host was not booted with systemd",
                        "use a host where systemd is process 1; `synapse-workers render --root DIR` works anywhere",
                    )
                })
                .flatten()
        },
    },
    Check {
        name: "only root can replace this program",
        fatal: true,
        check: |at| {
            let path = at.facts.replaceable.as_ref()?.display();
            finding(
                format!(
                    "{path} can be replaced by an account other than root, and units would run it as root; there is no {} \
                     for them",
                    paths::PROGRAM
                ),
                format!(
                    "install the package again, or copy the program to where only root can write, and run it there: \
                     install -o root -g root -m 755 {path} /usr/local/bin/synapse-workers"
                ),
            )
        },
    },
    Check {
        name: PROGRAMS,
        fatal: true,
        check: |at| {
            let missing = &at.facts.missing;
            if missing.is_empty() {
                return None;
            }
            finding(
                format!("missing: {}", missing.join(", ")),
                match install_command(at.facts) {
                    Some(command) => format!(
                        "{} (or: synapse-workers install --packages)",
                        command.join(" ")
                    ),
                    None => "install them with this system's package manager".to_owned(),
                },
            )
        },
    },
    Check {
        name: "the Python of the settings has Synapse",
        fatal: true,
        check: |at| {
            let python = at.scope.settings.synapse.python.as_ref()?;
            if at.facts.synapse.is_some() || paths::is_our_python(python.as_path()) {
                return None;
            }
            finding(
                format!("synapse.python: {} has no Synapse", python.as_str()),
                format!(
                    "{} -m pip install 'matrix-synapse[redis,url-preview]', or leave synapse.python empty",
                    python.as_str()
                ),
            )
        },
    },
    Check {
        name: "Synapse is recent enough",
        fatal: true,
        check: |at| {
            let installed = at.facts.synapse.as_ref()?;
            (release(&installed.version) < MINIMUM)
                .then(|| old_synapse(installed))
                .flatten()
        },
    },
    Check {
        name: "ports are free",
        fatal: true,
        check: |at| {
            let first = at.facts.ports_in_use.first()?;
            let ports: Vec<String> = at
                .facts
                .ports_in_use
                .iter()
                .map(ToString::to_string)
                .collect();
            let (port, setting) = (first.address.port(), first.setting);
            let rival = RIVALS.iter().find(|(unit, _)| *unit == first.unit);
            let hint = rival.map_or(String::new(), |(_, service)| {
                format!(" (the distribution's own: systemctl disable --now {service})")
            });
            finding(
                format!("in use by another program: {}", ports.join(", ")),
                format!(
                    "see which with: ss -lntup 'sport = :{port}'; stop it{hint}, or set another {setting}"
                ),
            )
        },
    },
    Check {
        name: "the certificate fits its key",
        fatal: true,
        check: |at| {
            let (_, problem) = at.facts.certificate.as_ref()?;
            let problem = problem.as_ref()?;
            finding(
                problem.problem(),
                problem.cure().unwrap_or(
                    "give tls.certificate the certificate with its chain and tls.key its key, both PEM and the key without a \
                     password; or leave both empty",
                ),
            )
        },
    },
    Check {
        name: "this host has the addresses' protocols",
        fatal: true,
        check: |at| {
            let addresses = &at.scope.settings.bind_addresses;
            let wanted = addresses
                .iter()
                .find(|address| address.is_ipv6() && !at.facts.ipv6)?;
            finding(
                format!("bind_addresses: {wanted}, and IPv6 is switched off on this host"),
                "set bind_addresses to IPv4 addresses, as in [\"0.0.0.0\"]",
            )
        },
    },
    Check {
        name: "Synapse's account is nobody else's, and no administrator's",
        fatal: true,
        check: accounts::apart,
    },
    Check {
        name: "Synapse's user and group are as the settings say",
        fatal: true,
        check: accounts::fit,
    },
    Check {
        name: "the media store is Synapse's own",
        fatal: true,
        check: |at| {
            // The owner may be a number without a name, which the new user is about to get.
            let number = at
                .scope
                .settings
                .synapse
                .uid
                .map(|uid| uid.get().to_string());
            let owner = at
                .facts
                .media_owner
                .as_ref()
                .filter(|owner| **owner != at.facts.user && Some(*owner) != number.as_ref())?;
            let path = at.scope.settings.media_store_path.as_str();
            finding(
                format!("media_store_path: {path} exists and belongs to {owner}"),
                format!(
                    "choose a directory of its own, such as {path}/synapse, which is then made; \
                     or, if nothing else is in it: chown {}: {path}",
                    at.facts.user
                ),
            )
        },
    },
    Check {
        name: "the directory of nginx's socket is its own",
        fatal: true,
        check: |at| {
            let owner = at.facts.socket_owner.as_ref();
            let owner = owner.filter(|owner| *owner != "synapse-nginx")?;
            let path = at
                .scope
                .settings
                .nginx
                .listen_unix_socket
                .as_ref()?
                .as_str();
            finding(
                format!(
                    "nginx.listen_unix_socket: the directory of {path} exists and belongs to {owner}"
                ),
                "choose a directory that is not there, which is then made; or remove this one if it is empty",
            )
        },
    },
    Check {
        name: "coturn has an address to relay from",
        fatal: true,
        check: coturn::relay_address,
    },
    Check {
        name: "Synapse can be started on sockets that systemd holds",
        fatal: true,
        check: |at| {
            let lacking = at.facts.lacks_launcher && at.scope.runs(units::MAIN_SOCKET);
            lacking
                .then(|| {
                    finding(
                        format!("{} of this program's package is missing", paths::LAUNCHER),
                        "install the package again; or set sockets.held to false, and requests fail while processes restart",
                    )
                })
                .flatten()
        },
    },
    Check {
        name: "secrets that cannot be made are given",
        fatal: true,
        check: provided::lacking_secret,
    },
    Check {
        name: "password files hold a password",
        fatal: true,
        check: provided::unusable_file,
    },
    Check {
        name: "Synapse's Python has what these settings need",
        fatal: true,
        check: provided::requirements,
    },
    Check {
        name: "Redis of your own answers",
        fatal: true,
        check: provided::redis,
    },
    Check {
        name: "there is a state compressor for this processor",
        fatal: true,
        check: |at| {
            let lacking = at.scope.settings.compressor.enabled && at.facts.processor != "x86_64";
            lacking
                .then(|| {
                    finding(
                        format!(
                            "compressor.enabled: PyPI has the state compressor for x86_64 only, and this is {}",
                            at.facts.processor
                        ),
                        "set compressor.enabled to false",
                    )
                })
                .flatten()
        },
    },
    Check {
        name: "PostgreSQL answers",
        fatal: true,
        check: database::answers,
    },
    Check {
        name: "PostgreSQL is recent enough",
        fatal: true,
        check: |at| {
            let postgres = database::answering(at)?;
            (postgres.version < 140_000)
                .then(|| {
                    finding(
                        format!("PostgreSQL {} is older than 14", postgres.version / 10_000),
                        "upgrade PostgreSQL; Synapse refuses to start with it",
                    )
                })
                .flatten()
        },
    },
    Check {
        name: "PostgreSQL has connections for every process",
        fatal: true,
        check: |at| database::connections(at, database::answering(at)?),
    },
    Check {
        name: "the database is as Synapse wants it",
        fatal: true,
        check: |at| database::fit(at, database::answering(at)?),
    },
    Check {
        name: "jemalloc is installed",
        fatal: false,
        check: |at| {
            (at.scope.settings.synapse.jemalloc && !at.facts.jemalloc)
                .then(|| {
                    finding(
                        "jemalloc is missing; processes will use more memory",
                        match at.facts.packages {
                            Some(PackageManager::Dnf) => "dnf install jemalloc",
                            _ => "apt-get install libjemalloc2",
                        },
                    )
                })
                .flatten()
        },
    },
];

/// Units of this program, and the distribution's service for the same program, which uses the same port when it runs.
static RIVALS: &[(&str, &str)] = &[(units::COTURN, "coturn"), (units::PROMETHEUS, "prometheus")];

/// Runs every check.
pub fn examine<'a>(
    at: &'a Examined,
) -> impl Iterator<Item = (&'static Check, Option<Finding>)> + 'a {
    CHECKS.iter().map(|check| (check, (check.check)(at)))
}

/// Earlier releases do not know all keys of `stream_writers` and do not start with them (docs/upgrade.md, 1.152.0).
const MINIMUM: (u32, u32) = (1, 152);

fn release(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    });
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn old_synapse(installed: &Installed) -> Option<Finding> {
    finding(
        format!(
            "Synapse {} at {} is older than {}.{}",
            installed.version,
            installed.python.display(),
            MINIMUM.0,
            MINIMUM.1
        ),
        format!(
            "upgrade it, or set synapse.python to {}/bin/python to have one installed there",
            paths::VENV
        ),
    )
}
