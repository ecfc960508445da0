//! Rules across settings, for values that are valid alone but not together.

use super::origin::{Origin, SettingsError};
use super::socket_path;
use super::table::{Buffer, Settings};
use super::types::{AbsolutePath, DatabaseKind, Host, MailTls, SslMode, Verification};
use crate::state::accounts;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The key at fault, the problem, and the remedy.
type Violation = Option<(&'static str, String, String)>;

static RULES: &[fn(&Settings) -> Violation] = &[
    |settings| {
        let user = settings.synapse.user.as_str();
        let owner = accounts::reserved(user)?;
        let problem = format!(
            "`synapse.user` is {user}, {owner}, and an attacker who takes over Synapse would get the privileges \
             of this account"
        );
        let help = "leave `synapse.user` empty, or name an account that nothing else uses";
        Some(("synapse.user", problem, help.to_owned()))
    },
    |settings| {
        let packages = &settings.synapse.packages;
        let own = packages.iter().any(|it| it.project() == "matrix-synapse");
        violated(own, "synapse.packages", || {
            (
                "`synapse.packages` contains Synapse itself".to_owned(),
                "remove it from `synapse.packages`, and set `synapse.version`".to_owned(),
            )
        })
    },
    |settings| {
        let packages = &settings.synapse.packages;
        let (place, twice) = packages.iter().enumerate().find(|(place, package)| {
            let mut before = packages[..*place].iter();
            before.any(|other| other.project() == package.project())
        })?;
        let first = packages[..place]
            .iter()
            .find(|other| other.project() == twice.project())?;
        let problem = format!("`synapse.packages` contains both {first} and {twice}");
        Some((
            "synapse.packages",
            problem,
            "remove one of the two".to_owned(),
        ))
    },
    |settings| {
        let user = settings.database.user.as_str();
        let owner = accounts::reserved(user)?;
        // On another host, PostgreSQL has no privileges on this one.
        let privileged = match user {
            accounts::POSTGRES => database_is_here(settings),
            _ => true,
        };
        violated(privileged, "database.user", || {
            (
                format!(
                    "`database.user` is {user}, {owner}, and an attacker who takes over Synapse would get the \
                     privileges of this role"
                ),
                "create a role for Synapse, and make it the owner of Synapse's database".to_owned(),
            )
        })
    },
    |settings| {
        let least = settings.database.cp_min.get();
        let most = settings.database.cp_max.get();
        violated(least > most, "database.cp_min", || {
            (
                format!("`database.cp_min` is {least}, more than `database.cp_max`, {most}"),
                "lower `database.cp_min`, or raise `database.cp_max`".to_owned(),
            )
        })
    },
    |settings| {
        let kind = settings.database.kind;
        let host = settings.database.host.as_ref()?;
        let own = matches!(kind, DatabaseKind::Local | DatabaseKind::Sqlite);
        violated(own, "database.host", || {
            (
                format!("`database.host` is {host}, but `database.kind` is {kind}"),
                "remove one of the two".to_owned(),
            )
        })
    },
    |settings| {
        let database = &settings.database;
        let missing = database.kind == DatabaseKind::External && database.host.is_none();
        violated(missing, "database.kind", || {
            (
                "`database.kind` is external, but `database.host` is not set".to_owned(),
                "set `database.host`, or remove `database.kind`".to_owned(),
            )
        })
    },
    |settings| {
        let database = &settings.database;
        let verifies = database.sslmode.is_some_and(SslMode::verifies);
        let (key, problem, help) = match &database.sslrootcert {
            None if verifies => (
                "database.sslmode",
                "`database.sslmode` verifies the certificate, but `database.sslrootcert` is not set",
                "set `database.sslrootcert` to the certificate of the authority; the authorities of this system are in \
                 /etc/ssl/certs/ca-certificates.crt (Debian) or /etc/pki/tls/cert.pem (Fedora)",
            ),
            // With a root certificate, libpq treats `require` as verify-ca (PostgreSQL manual, 32.19.3).
            Some(_) if !verifies && database.sslmode != Some(SslMode::Require) => (
                "database.sslrootcert",
                "`database.sslrootcert` is set, but `database.sslmode` does not verify the certificate",
                "set `database.sslmode` to verify-full, or remove `database.sslrootcert`",
            ),
            _ => return None,
        };
        Some((key, problem.to_owned(), help.to_owned()))
    },
    |settings| {
        let verifies = settings.database.sslmode.is_some_and(SslMode::verifies);
        violated(
            settings.compressor.enabled && verifies,
            "compressor.enabled",
            || {
                (
                "`compressor.enabled` is true, but the state compressor cannot verify certificates, which \
                 `database.sslmode` demands"
                    .to_owned(),
                "set `compressor.enabled` to false, or `database.sslmode` to require".to_owned(),
            )
            },
        )
    },
    |settings| {
        let tls = &settings.tls;
        let (key, other) = match (&tls.certificate, &tls.key) {
            (Some(_), None) => ("tls.certificate", "tls.key"),
            (None, Some(_)) => ("tls.key", "tls.certificate"),
            _ => return None,
        };
        let problem = format!("`{key}` is set, but `{other}` is not");
        Some((key, problem, format!("set `{other}` too; TLS needs both")))
    },
    |settings| {
        let tls = &settings.tls;
        let paths = [("tls.certificate", &tls.certificate), ("tls.key", &tls.key)];
        let unsuitable = |path: &Option<AbsolutePath>| {
            let directory = path
                .as_ref()
                .and_then(|path| path.as_path().parent()?.to_str());
            directory.is_some_and(|directory| {
                directory.ends_with(|c: char| c == '\\' || c.is_whitespace())
            })
        };
        let (key, _) = paths.into_iter().find(|(_, path)| unsuitable(path))?;
        let problem = format!(
            "`{key}` is in a directory whose name ends with a backslash or a blank, which systemd cannot watch"
        );
        Some((key, problem, "rename the directory".to_owned()))
    },
    |settings| {
        violated(settings.bind_addresses.is_empty(), "bind_addresses", || {
            (
                "`bind_addresses` is empty, so nginx would listen on no address".to_owned(),
                "for a server that only a reverse proxy on this host reaches, set it to [\"127.0.0.1\"]".to_owned(),
            )
        })
    },
    |settings| overlap("bind_addresses", &settings.bind_addresses),
    |settings| overlap("http_bind_addresses", &settings.http_bind_addresses),
    |settings| {
        let ports = ports(settings);
        let (key, other, port) = ports.iter().enumerate().find_map(|(place, (key, port))| {
            let (other, _) = ports[..place].iter().find(|(_, before)| before == port)?;
            Some((*key, *other, *port))
        })?;
        let problem = format!("`{key}` and `{other}` are both {port}");
        Some((
            key,
            problem,
            "choose another port for one of them".to_owned(),
        ))
    },
    |settings| {
        let first = settings.tcp_ports.get();
        let last = first + TCP_PORTS - 1;
        let (key, port) = ports(settings)
            .into_iter()
            .find(|(_, port)| (first..=last).contains(port))?;
        let problem = format!(
            "`{key}` is {port}, which is in the range that `tcp_ports` reserves, {first} to {last}"
        );
        let help = format!("choose a port outside this range for `{key}`, or change `tcp_ports`");
        Some((key, problem, help))
    },
    |settings| {
        let first = settings.coturn.min_port.get();
        let last = settings.coturn.max_port.get();
        violated(first > last, "coturn.min_port", || {
            (
                format!("`coturn.min_port` is {first}, more than `coturn.max_port`, {last}"),
                "lower `coturn.min_port`, or raise `coturn.max_port`".to_owned(),
            )
        })
    },
    |settings| {
        let coturn = &settings.coturn;
        let (first, last) = (coturn.min_port.get(), coturn.max_port.get());
        let (key, port) = [
            ("coturn.port", coturn.port.get()),
            ("coturn.tls_port", coturn.tls_port.get()),
        ]
        .into_iter()
        .find(|(_, port)| (first..=last).contains(port))?;
        violated(coturn.enabled, key, || {
            (
                format!(
                    "`{key}` is {port}, which is in the range for relayed calls, {first} to {last}"
                ),
                "choose a port outside this range".to_owned(),
            )
        })
    },
    |settings| {
        let coturn = &settings.coturn;
        let (local, public) = (coturn.internal_ip?, coturn.external_ip?);
        violated(
            local.is_ipv4() != public.is_ipv4(),
            "coturn.external_ip",
            || {
                (
                    format!(
                        "`coturn.external_ip` is {public} and `coturn.internal_ip` {local}, so one is IPv4 and the \
                     other IPv6"
                    ),
                    "set two addresses of the same IP version".to_owned(),
                )
            },
        )
    },
    |settings| {
        let registration = &settings.registration;
        let captcha = registration.verification == Verification::Captcha;
        let missing = captcha && registration.recaptcha_public_key.is_none();
        violated(missing, "registration.verification", || {
            (
                "`registration.verification` is captcha, but `registration.recaptcha_public_key` is not set".to_owned(),
                "set `registration.recaptcha_public_key`, or choose another verification".to_owned(),
            )
        })
    },
    |settings| {
        let email = settings.registration.verification == Verification::Email;
        let missing = email && !settings.email.enabled;
        violated(missing, "registration.verification", || {
            (
                "`registration.verification` is email, but `email.enabled` is false".to_owned(),
                "set `email.enabled` to true, or choose another verification".to_owned(),
            )
        })
    },
    |settings| {
        // Synapse refuses these two together (config/emailconfig.py).
        let email = &settings.email;
        let clear = email.decided_tls() == MailTls::None && email.require_transport_security;
        violated(clear, "email.tls", || {
            (
                "`email.tls` is none, but `email.require_transport_security` is true".to_owned(),
                "set `email.require_transport_security` to false, or choose another `email.tls`"
                    .to_owned(),
            )
        })
    },
    |settings| {
        let email = &settings.email;
        let port = email.smtp_port.get();
        let plain = email.decided_tls() == MailTls::Implicit && [25, 587].contains(&port);
        violated(plain, "email.tls", || {
            (
                format!(
                    "`email.tls` is implicit, but mail servers greet in clear text on port {port}"
                ),
                "set `email.smtp_port` to 465, or `email.tls` to starttls".to_owned(),
            )
        })
    },
    |settings| {
        let missing = settings.serve_server_wellknown && settings.public_baseurl.is_none();
        violated(missing, "serve_server_wellknown", || {
            (
                "`serve_server_wellknown` is true, but `public_baseurl` is not set".to_owned(),
                "set `public_baseurl`".to_owned(),
            )
        })
    },
    |settings| {
        // Matrix specification, Server-Server API, "API standards": servers connect over TLS only.
        let url = settings.public_baseurl.as_ref()?;
        let plain = settings.serve_server_wellknown && !url.is_https();
        violated(plain, "public_baseurl", || {
            (
                format!(
                    "`public_baseurl` is {url}, and `serve_server_wellknown` directs other homeservers to it, which \
                     connect over HTTPS only"
                ),
                "set `public_baseurl` to an https:// URL, or set `serve_server_wellknown` to false"
                    .to_owned(),
            )
        })
    },
    |settings| {
        // Matrix specification, Identity Service API, "API standards": HTTPS is required.
        let url = settings.default_identity_server.as_ref()?;
        violated(!url.is_https(), "default_identity_server", || {
            (
                format!(
                    "`default_identity_server` is {url}, but clients reach an identity server over HTTPS only"
                ),
                "set `default_identity_server` to an https:// URL, or leave it empty".to_owned(),
            )
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
        let problem = format!(
            "`{key}` is smaller than a single buffer of {least} bytes, which nginx refuses"
        );
        let help =
            format!("raise `{key}`, or lower `nginx.proxy_buffer_size` or `nginx.page_size`");
        Some((key, problem, help))
    },
    |settings| {
        let path = settings.nginx.listen_unix_socket.as_ref()?.as_str();
        let problem = socket_path::problem(path)?;
        let problem = format!("`nginx.listen_unix_socket` is {path}, {problem}");
        let help = "choose a path such as /run/matrix/nginx.sock";
        Some(("nginx.listen_unix_socket", problem, help.to_owned()))
    },
    |settings| {
        let proxied = !settings.nginx.proxy_protocol_ports.is_empty();
        let closed = proxied && settings.trusted_proxies.is_empty();
        violated(closed, "nginx.proxy_protocol_ports", || {
            (
                "`nginx.proxy_protocol_ports` is set, but `trusted_proxies` is empty, so nobody could connect to them"
                    .to_owned(),
                "add the address of the proxy to `trusted_proxies`".to_owned(),
            )
        })
    },
    |settings| {
        let path = settings.nginx.web_root.as_ref()?.as_str();
        violated(path.contains('$'), "nginx.web_root", || {
            (
                format!(
                    "`nginx.web_root` is {path}, and nginx would take what follows $ for a variable"
                ),
                "rename the directory".to_owned(),
            )
        })
    },
];

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

/// The violation of a list that contains all addresses of an IP version and also one of them: only the first of two
/// sockets can be bound.
fn overlap(key: &'static str, addresses: &[IpAddr]) -> Violation {
    let all = addresses.iter().find(|all| {
        let mut others = addresses.iter();
        all.is_unspecified()
            && others.any(|other| other != *all && other.is_ipv4() == all.is_ipv4())
    })?;
    let mut others = addresses.iter();
    let other = others.find(|other| *other != all && other.is_ipv4() == all.is_ipv4())?;
    let problem =
        format!("`{key}` contains {other}, which is already part of {all}, all addresses");
    Some((key, problem, format!("remove {other} or {all}")))
}

/// The number of ports that are reserved from `tcp_ports` on.
pub const TCP_PORTS: u32 = 12_000;

/// The violation of a rule, if the condition is true: the key, then the problem and the remedy.
fn violated(
    condition: bool,
    key: &'static str,
    message: impl FnOnce() -> (String, String),
) -> Violation {
    condition.then(|| {
        let (problem, help) = message();
        (key, problem, help)
    })
}

/// The TCP ports that settings name, of enabled services only.
fn ports(settings: &Settings) -> Vec<(&'static str, u32)> {
    let mut ports = vec![("http_port", settings.http_port.get())];
    let federation = settings.http_federation_port;
    ports.extend(federation.map(|port| ("http_federation_port", port.get())));
    if settings.tls.certificate.is_some() {
        ports.push(("tls.port", settings.tls.port.get()));
        // One port may serve clients and other homeservers.
        if settings.tls.federation_port != settings.tls.port {
            ports.push(("tls.federation_port", settings.tls.federation_port.get()));
        }
    }
    let proxied = settings.nginx.proxy_protocol_ports.iter();
    ports.extend(proxied.map(|port| ("nginx.proxy_protocol_ports", port.get())));
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
    let violation = RULES.iter().find_map(|rule| rule(settings));
    let Some((key, problem, help)) = violation else {
        return Ok(());
    };
    let error = SettingsError::new(problem).help(help);
    Err(match origins.get(key) {
        Some(origin) => error.within(origin),
        None => error,
    })
}
