//! Checks of a host before anything is changed on it: a table; each failure comes with what cures it.

use crate::host::facts::{Facts, PackageManager, Scope};
use crate::host::postgres::Postgres;
use crate::host::programs::install_command;
use crate::host::synapse::Installed;
use crate::paths;

/// What was found out, and what is asked of it.
pub struct Examined<'a> {
    pub facts: &'a Facts,
    pub scope: &'a Scope<'a>,
    /// Main and workers.
    pub processes: usize,
}

/// What is wrong, and the command or setting that cures it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub problem: String,
    pub cure: String,
}

fn finding(problem: impl Into<String>, cure: impl Into<String>) -> Option<Finding> {
    Some(Finding {
        problem: problem.into(),
        cure: cure.into(),
    })
}

/// One check.
pub struct Check {
    /// What is all right when nothing is found.
    pub name: &'static str,
    /// Whether an installation is refused.
    pub fatal: bool,
    check: fn(&Examined) -> Option<Finding>,
}

/// All checks, in the order in which an administrator would cure them.
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
        name: "programs are installed",
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
            if at.facts.synapse.is_some() {
                return None;
            }
            finding(
                format!("synapse.python: {} has no Synapse", python.as_str()),
                format!(
                    "{} -m pip install 'matrix-synapse[redis]', or leave synapse.python empty",
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
            let taken = &at.facts.taken;
            let port = at.scope.settings.http_port.number();
            (!taken.is_empty())
                .then(|| {
                    finding(
                        format!("in use by another program: {}", taken.join(", ")),
                        format!("see which with: ss -ltnp 'sport = :{port}'; stop it, or set another http_port"),
                    )
                })
                .flatten()
        },
    },
    Check {
        name: "the certificate fits its key",
        fatal: true,
        check: |at| {
            let (_, problem) = at.facts.certificate.as_ref()?;
            finding(
                problem.as_ref()?,
                "give tls.certificate the certificate with its chain and tls.key its key, both PEM and the key without a \
                 password; or leave both empty",
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
        name: "Synapse's user and group are as the settings say",
        fatal: true,
        check: accounts,
    },
    Check {
        name: "the media store is Synapse's own",
        fatal: true,
        check: |at| {
            let owner = at
                .facts
                .media_owner
                .as_ref()
                .filter(|owner| **owner != at.facts.user)?;
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
        name: "coturn has an address to relay from",
        fatal: true,
        check: relay_address,
    },
    Check {
        name: "coturn has the metrics that are asked for",
        fatal: true,
        check: |at| {
            let build = at.facts.coturn?;
            (at.scope.settings.coturn.metrics && !build.metrics)
                .then(|| {
                    finding(
                        "coturn.metrics: the coturn of this host was built without Prometheus, or cannot keep its \
                         metrics to 127.0.0.1 (Debian's is so)",
                        "set coturn.metrics to false, or install a coturn that has the option prometheus-address",
                    )
                })
                .flatten()
        },
    },
    Check {
        name: "PostgreSQL answers",
        fatal: true,
        check: |at| match at.facts.postgres.as_ref()? {
            // Named among the missing programs already.
            Err(_) if at.facts.missing.contains(&"postgresql") => None,
            Err(error) => finding(
                format!("the host's PostgreSQL does not answer: {error}"),
                "systemctl start postgresql (on Fedora first: postgresql-setup --initdb)",
            ),
            Ok(_) => None,
        },
    },
    Check {
        name: "PostgreSQL is recent enough",
        fatal: true,
        check: |at| {
            let postgres = answering(at)?;
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
        check: |at| connections(at, answering(at)?),
    },
    Check {
        name: "the database is as Synapse wants it",
        fatal: true,
        check: |at| database(at, answering(at)?),
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

/// Runs every check.
pub fn examine<'a>(
    at: &'a Examined,
) -> impl Iterator<Item = (&'static Check, Option<Finding>)> + 'a {
    CHECKS.iter().map(|check| (check, (check.check)(at)))
}

/// Releases before this do not know all keys of `stream_writers` and stop at them (docs/upgrade.md, 1.152.0).
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

/// Accounts that exist are not changed, and numbers that others have are not taken.
fn accounts(at: &Examined) -> Option<Finding> {
    let (facts, wanted) = (&at.facts.accounts, &at.scope.settings.synapse);
    let (user, group) = (wanted.user.as_str(), paths::GROUP);
    if facts.uid == Some(0) {
        return finding(
            format!("synapse.user: {user} is the administrator, who can read and write everything"),
            "leave synapse.user empty, and give Synapse's files to that user: chown -R synapse: …",
        );
    }
    if user != group && facts.uid.is_none() {
        return finding(
            format!("synapse.user: there is no user {user}"),
            format!(
                "useradd --system --shell /usr/sbin/nologin {user}, or leave synapse.user empty"
            ),
        );
    }
    let number =
        |key: &str, name: &str, wanted: Option<u32>, has: Option<u32>, holder: &Option<String>| {
            let wanted = wanted?;
            match (has, holder) {
                (Some(has), _) if has != wanted => finding(
                    format!("synapse.{key}: {wanted}, and {name} exists with {has}"),
                    format!("set synapse.{key} to {has}, or leave it empty"),
                ),
                (None, Some(other)) => finding(
                    format!("synapse.{key}: {wanted} is the number of {other} already"),
                    format!("choose another synapse.{key}, or leave it empty"),
                ),
                _ => None,
            }
        };
    let uid = wanted.uid.map(|uid| uid.get());
    let gid = wanted.gid.map(|gid| gid.get());
    number(
        "uid",
        &format!("the user {user}"),
        uid,
        facts.uid,
        &facts.uid_holder,
    )
    .or_else(|| {
        number(
            "gid",
            &format!("the group {group}"),
            gid,
            facts.gid,
            &facts.gid_holder,
        )
    })
}

fn answering<'a>(at: &'a Examined) -> Option<&'a Postgres> {
    at.facts.answering_postgres()
}

/// What people are told of has to be of the same kind as what is behind it.
fn relay_address(at: &Examined) -> Option<Finding> {
    let coturn = &at.scope.settings.coturn;
    if !coturn.enabled || coturn.internal_ip.is_some() {
        return None;
    }
    let cure = "set coturn.internal_ip to the address of this host that calls are relayed from";
    match (at.facts.address, coturn.external_ip) {
        (None, _) => finding(
            "coturn: this host has no default route, so the address of it is not known",
            cure,
        ),
        (Some(own), Some(external)) if own.is_ipv4() != external.is_ipv4() => finding(
            format!(
                "coturn.external_ip: {external} cannot stand for {own}, the address of this host's default route"
            ),
            cure,
        ),
        _ => None,
    }
}

/// Each process may open `cp_max` connections, and a request that finds none fails.
fn connections(at: &Examined, postgres: &Postgres) -> Option<Finding> {
    let pool = at.scope.settings.database.cp_max.get();
    let processes = u32::try_from(at.processes).unwrap_or(u32::MAX);
    let needed = processes.saturating_mul(pool);
    let available = postgres.max_connections.saturating_sub(postgres.reserved);
    if needed <= available {
        return None;
    }
    let wanted = needed + postgres.reserved + 10;
    finding(
        format!(
            "{processes} processes with database.cp_max {pool} need {needed} connections, PostgreSQL gives {available}"
        ),
        format!(
            "sudo -u postgres psql -c 'alter system set max_connections = {wanted}' && systemctl restart postgresql, \
             or fewer workers, or a smaller database.cp_max"
        ),
    )
}

/// storage/engines/postgres.py refuses others at start.
fn database(at: &Examined, postgres: &Postgres) -> Option<Finding> {
    if at.scope.settings.database.host.is_some() {
        // Not made by us, and served its Synapse well so far.
        return None;
    }
    let name = at.scope.settings.database.name.to_string();
    let found = postgres
        .databases
        .iter()
        .find(|database| database.name == name)?;
    if at.facts.database_used && !at.scope.database_is_ours {
        return finding(
            format!("database {name} holds a Synapse that was not made by synapse-workers"),
            "set another database.name; two servers in one database would destroy both",
        );
    }
    let user = at.scope.settings.database.user.to_string();
    if found.owner != user {
        return finding(
            format!("database {name} belongs to {}, not to {user}", found.owner),
            format!(
                "sudo -u postgres psql -c 'alter database \"{name}\" owner to \"{user}\"', or set another database.name"
            ),
        );
    }
    if found.encoding == "UTF8" && found.collation == "C" && found.character_type == "C" {
        return None;
    }
    finding(
        format!(
            "database {name} has encoding {}, collation {}, character type {}; Synapse wants UTF8, C, C",
            found.encoding, found.collation, found.character_type
        ),
        "set another database.name, or move its contents into one made with --encoding=UTF8 --locale=C",
    )
}
