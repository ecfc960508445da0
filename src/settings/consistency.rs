//! Rules across settings, for values that are valid alone but not together. Each rule names the key at fault.

use super::origin::{Origin, SettingsError};
use super::table::{Buffer, Settings};
use super::types::{AbsolutePath, DatabaseKind, Host, Verification};
use crate::state::accounts;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

/// The key at fault, and the problem.
type Wrong = Option<(&'static str, String)>;

static RULES: &[fn(&Settings) -> Wrong] = &[
    |settings| {
        let user = settings.synapse.user.as_str();
        let who = accounts::reserved(user)?;
        Some((
            "synapse.user",
            format!(
                "`synapse.user` is {user}, {who}, and an attacker who takes over Synapse would have all that this account has; \
                 leave it empty, or name an account that nothing else uses"
            ),
        ))
    },
    |settings| {
        let user = settings.database.user.as_str();
        let who = accounts::reserved(user)?;
        // On another host, PostgreSQL has no privileges on this one.
        let mighty = match user {
            accounts::POSTGRES => database_is_here(settings),
            _ => true,
        };
        wrong(mighty, "database.user", || {
            format!(
                "`database.user` is {user}, {who}, and an attacker who takes over Synapse would have all that this role has; \
                 name a role of its own, and make it the owner of Synapse's database"
            )
        })
    },
    |settings| {
        let (least, most) = (
            settings.database.cp_min.get(),
            settings.database.cp_max.get(),
        );
        wrong(least > most, "database.cp_min", || {
            format!("`database.cp_min` is {least}, more than `database.cp_max`, {most}")
        })
    },
    |settings| {
        let kind = settings.database.kind;
        let host = settings.database.host.as_ref()?;
        let own = matches!(kind, DatabaseKind::Local | DatabaseKind::Sqlite);
        wrong(own, "database.host", || {
            format!("`database.host` is {host}, but `database.kind` is {kind}; remove one of them")
        })
    },
    |settings| {
        let database = &settings.database;
        let lacking = database.kind == DatabaseKind::External && database.host.is_none();
        wrong(lacking, "database.kind", || {
            "`database.kind` is external, but `database.host` is not set".to_owned()
        })
    },
    |settings| {
        let tls = &settings.tls;
        let (key, other) = match (&tls.certificate, &tls.key) {
            (Some(_), None) => ("tls.certificate", "tls.key"),
            (None, Some(_)) => ("tls.key", "tls.certificate"),
            _ => return None,
        };
        Some((
            key,
            format!("`{key}` is set, but `{other}` is not; TLS needs both"),
        ))
    },
    |settings| {
        let tls = &settings.tls;
        let paths = [("tls.certificate", &tls.certificate), ("tls.key", &tls.key)];
        let ends = |path: &Option<AbsolutePath>| {
            let directory = path
                .as_ref()
                .and_then(|path| path.as_path().parent()?.to_str());
            directory.is_some_and(|directory| {
                directory.ends_with(|c: char| c == '\\' || c.is_whitespace())
            })
        };
        let (key, _) = paths.into_iter().find(|(_, path)| ends(path))?;
        Some((
            key,
            format!(
                "`{key}` is in a directory whose name ends with a backslash or blank, which systemd does not take so; rename it"
            ),
        ))
    },
    |settings| {
        let ports = ports(settings);
        let twice = ports.iter().enumerate().find_map(|(place, (key, port))| {
            let (other, _) = ports[..place].iter().find(|(_, before)| before == port)?;
            Some((*key, *other, *port))
        });
        let (key, other, port) = twice?;
        Some((
            key,
            format!("`{key}` and `{other}` are both {port}; choose another port for one"),
        ))
    },
    |settings| {
        let first = settings.tcp_ports.get();
        let inside = |(_, port): &(&str, u32)| (first..first + TCP_PORTS).contains(port);
        let (key, port) = ports(settings).into_iter().find(inside)?;
        Some((
            key,
            format!(
                "`{key}` is {port}, among the ports from `tcp_ports`, {first}, to {}; choose another one",
                first + TCP_PORTS - 1
            ),
        ))
    },
    |settings| {
        let (first, last) = (
            settings.coturn.min_port.get(),
            settings.coturn.max_port.get(),
        );
        wrong(first > last, "coturn.min_port", || {
            format!("`coturn.min_port` is {first}, more than `coturn.max_port`, {last}")
        })
    },
    |settings| {
        let coturn = &settings.coturn;
        let relayed = coturn.min_port.get()..=coturn.max_port.get();
        let own = [
            ("coturn.port", coturn.port),
            ("coturn.tls_port", coturn.tls_port),
        ];
        let (key, port) = own
            .into_iter()
            .find(|(_, port)| relayed.contains(&port.get()))?;
        wrong(coturn.enabled, key, || {
            format!(
                "`{key}` is {}, among the ports for relayed calls, {} to {}; choose another one",
                port.get(),
                relayed.start(),
                relayed.end()
            )
        })
    },
    |settings| {
        let coturn = &settings.coturn;
        let (own, told) = (coturn.internal_ip?, coturn.external_ip?);
        wrong(
            own.is_ipv4() != told.is_ipv4(),
            "coturn.external_ip",
            || {
                format!(
                    "`coturn.external_ip` is {told} and `coturn.internal_ip` {own}; one of IPv4 and one of IPv6 \
                     cannot stand for each other"
                )
            },
        )
    },
    |settings| {
        let registration = &settings.registration;
        let captcha = registration.verification == Verification::Captcha;
        let lacking = captcha && registration.recaptcha_public_key.is_none();
        wrong(lacking, "registration.verification", || {
            "`registration.verification` is captcha, but `registration.recaptcha_public_key` is not set".to_owned()
        })
    },
    |settings| {
        let email = settings.registration.verification == Verification::Email;
        wrong(
            email && !settings.email.enabled,
            "registration.verification",
            || "`registration.verification` is email, but `email.enabled` is false".to_owned(),
        )
    },
    |settings| {
        let lacking = settings.serve_server_wellknown && settings.public_baseurl.is_none();
        wrong(lacking, "serve_server_wellknown", || {
            "`serve_server_wellknown` tells others `public_baseurl`, which is not set".to_owned()
        })
    },
    |settings| {
        let least = settings.nginx.buffers().largest();
        let nginx = &settings.nginx;
        let sizes = [
            (
                "nginx.proxy_busy_buffers_size",
                nginx.proxy_busy_buffers_size,
            ),
            (
                "nginx.proxy_temp_file_write_size",
                nginx.proxy_temp_file_write_size,
            ),
        ];
        let small = |size: &Option<Buffer>| size.is_some_and(|size| u64::from(size.get()) < least);
        let (key, _) = sizes.into_iter().find(|(_, size)| small(size))?;
        Some((
            key,
            format!(
                "`{key}` is smaller than a single buffer of {least} bytes, which nginx refuses; make it larger, or \
                 `nginx.proxy_buffer_size` or `nginx.page_size` smaller"
            ),
        ))
    },
    |settings| {
        let path = settings.nginx.listen_unix_socket.as_ref()?.as_str();
        let wrong = unfit_for_a_socket(path)?;
        Some((
            "nginx.listen_unix_socket",
            format!(
                "`nginx.listen_unix_socket` is {path}, {wrong}; choose one such as /run/matrix/nginx.sock"
            ),
        ))
    },
];

/// Directories that units cannot see or write to, that disappear with a process, or that belong to this program.
const NO_PLACE: &[&str] = &[
    "/tmp",
    "/var/tmp",
    "/home",
    "/root",
    "/run/user",
    "/var/run",
    "/dev",
    "/proc",
    "/sys",
    "/boot",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/etc",
    "/run/synapse-workers",
    "/run/synapse-nginx",
    "/run/systemd",
    "/var/lib/synapse",
    "/var/lib/synapse-workers",
];

/// The reason why a path is unsuitable for a socket to which another proxy connects. nginx becomes the owner of its
/// directory.
fn unfit_for_a_socket(path: &str) -> Option<&'static str> {
    let (directory, name) = path.rsplit_once('/')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-@".contains(c);
    // sun_path has 108 bytes, including the terminating null byte (unix(7)).
    if path.len() > 107 || !path.chars().all(plain) {
        Some("which has more than 107 characters, or others than letters, digits and /._-@")
    } else if name.is_empty() || directory.matches('/').count() < 2 {
        Some("which is not a file in a directory of its own")
    } else if NO_PLACE
        .iter()
        .any(|place| Path::new(directory).starts_with(place))
    {
        Some("which is in a directory that services do not share or cannot write to")
    } else {
        None
    }
}

/// Whether Synapse uses a PostgreSQL, and that PostgreSQL runs on this host.
fn database_is_here(settings: &Settings) -> bool {
    let database = &settings.database;
    let loopback = |host: &Host| {
        let name = host.as_str();
        let address = name.parse::<IpAddr>();
        host.is_socket_directory()
            || name == "localhost"
            || address.is_ok_and(|address| address.is_loopback())
    };
    database.kind != DatabaseKind::Sqlite && database.host.as_ref().is_none_or(loopback)
}

/// The number of ports that are reserved from `tcp_ports` on.
pub const TCP_PORTS: u32 = 12_000;

fn wrong(is: bool, key: &'static str, message: impl FnOnce() -> String) -> Wrong {
    is.then(|| (key, message()))
}

/// The TCP ports that settings name, of enabled services only.
fn ports(settings: &Settings) -> Vec<(&'static str, u32)> {
    let mut ports = vec![("http_port", settings.http_port.get())];
    let federation = settings.http_federation_port;
    ports.extend(federation.map(|port| ("http_federation_port", port.get())));
    if settings.tls.certificate.is_some() {
        ports.push(("tls.port", settings.tls.port.get()));
        ports.push(("tls.federation_port", settings.tls.federation_port.get()));
    }
    if settings.metrics.enabled {
        let own = settings.metrics.prometheus_port.get();
        ports.push(("metrics.prometheus_port", own));
        if !settings.sockets.public {
            ports.push(("metrics.port", settings.metrics.port.get()));
        }
    }
    if settings.coturn.enabled {
        ports.push(("coturn.port", settings.coturn.port.get()));
        ports.push(("coturn.tls_port", settings.coturn.tls_port.get()));
    }
    ports
}

/// Checks all rules. The error of the first violated rule names the origin of its key.
pub(super) fn check(
    settings: &Settings,
    origins: &BTreeMap<&'static str, Origin>,
) -> Result<(), SettingsError> {
    let broken = RULES.iter().find_map(|rule| rule(settings));
    let Some((key, message)) = broken else {
        return Ok(());
    };
    match origins.get(key) {
        Some(origin) => Err(SettingsError::at(origin, message)),
        None => Err(SettingsError::new(message)),
    }
}
