//! Decides which processes of Synapse need network access.
//!
//! The role catalogue states what the workers of a role send. This module adds the rest: how a worker reaches its
//! database, Redis, nginx and the other processes, and the administrator's options that can make any process open
//! connections.

use super::Input;
use super::sandbox::Network;
use crate::deployment::adopted::Store;
use crate::deployment::{Deployment, SynapseOptions};
use crate::pyyaml;
use crate::settings::Settings;
use crate::settings::types::{DatabaseKind, NetworkAccess, Verification};
use crate::topology::roles::Sends;
use crate::topology::{Role, Worker};
use serde_yaml::{Mapping, Value};

/// Options, by their path in Synapse's configuration, that can make every process of Synapse open connections. Source:
/// the files of `synapse/config` of 1.163.2 that load code or open connections in every process.
static OPTIONS: &[&str] = &[
    // modules.py and the older ways to load modules: their code runs in every process.
    "modules",
    "spam_checker",
    "third_party_event_rules",
    "password_providers",
    "presence.presence_router",
    // tracer.py and metrics.py: every process sends reports.
    "opentracing",
    "sentry",
    // oidc.py: app/_base.py fetches the metadata of providers at every start.
    "oidc_providers",
    "oidc_config",
    // saml2.py: metadata is loaded together with the configuration.
    "saml2_config",
];

/// Requests that a role sends, in some configurations, besides those to other homeservers.
struct OtherRequests {
    role: &'static str,
    /// Whether these settings cause such requests.
    settings: fn(&Settings) -> bool,
    /// Options of the administrator that may cause such requests.
    options: &'static [&'static str],
}

const NONE: OtherRequests = OtherRequests {
    role: "",
    settings: |_| false,
    options: &[],
};

/// Rows for roles that send requests to homeservers ([`Sends::ToHomeservers`]). Source: the files of Synapse 1.163.2
/// that use an HTTP client other than the federation client. [`Role::asks_app_services`] has the queries of application
/// services.
static ROWS: &[OtherRequests] = &[
    OtherRequests {
        // app/phone_stats_home.py sends statistics, handlers/account_validity.py e-mails.
        role: "background_worker",
        settings: |settings| settings.report_stats || settings.email.enabled,
        options: &["account_validity", "email"],
    },
    OtherRequests {
        // handlers/ui_auth/checkers.py: an identity server verifies telephone numbers.
        role: "device_lists",
        options: &["account_threepid_delegates"],
        ..NONE
    },
    OtherRequests {
        // handlers/ui_auth/checkers.py: captchas too.
        role: "client_reader",
        settings: |settings| settings.registration.decided() == Verification::Captcha,
        options: &["account_threepid_delegates", "enable_registration_captcha"],
    },
];

/// The option of the administrator that names application services.
const APP_SERVICES: &str = "app_service_config_files";

/// Arguments for PostgreSQL that mean, or may mean, a connection over a network (libpq, "Parameter Key Words").
static REMOTE: &[&str] = &["hostaddr", "service", "dsn"];

/// The resources whose requests carry access tokens of users. A process that serves one of them checks each token by a
/// request to the Matrix Authentication Service, if there is one (api/auth/mas.py, `_introspect_token`).
static AUTHENTICATED: &[&str] = &["client", "media"];

/// The network access that requests to the Matrix Authentication Service need.
pub(super) fn to_mas(input: &Input) -> Network {
    match &input.settings.mas.endpoint {
        None => Network::None,
        Some(url) if url.is_loopback() => Network::Loopback,
        // The address of a name can change, and the servers that resolve it are not known.
        Some(url) => url.address().map_or(Network::Host, Network::Only),
    }
}

/// The network access of a worker.
pub(super) fn of_worker(input: &Input, worker: &Worker) -> Network {
    let resources = worker.resources();
    if is_needed(input, worker) {
        Network::Host
    } else if input.has_other_hosts() {
        match input.service_addresses() {
            Some(_) => Network::HostsAndServices,
            None => Network::Host,
        }
    } else if AUTHENTICATED.iter().any(|one| resources.contains(one)) {
        to_mas(input)
    } else {
        Network::None
    }
}

/// Whether a worker needs access to the whole network.
fn is_needed(input: &Input, worker: &Worker) -> bool {
    let settings = &input.settings;
    let own = input.own_options();
    let has_app_services = !input.referenced.app_services.is_empty() || own.set(APP_SERVICES);
    let sends_others = |role: &Role| {
        let mut rows = ROWS.iter().filter(|row| row.role == role.name);
        let by_row = rows
            .any(|row| (row.settings)(settings) || row.options.iter().any(|place| own.set(place)));
        by_row || role.asks_app_services && has_app_services
    };
    let sends = |role: &&Role| match role.sends {
        Sends::Nothing => false,
        Sends::ToAppServices => has_app_services,
        Sends::ToHomeservers => {
            settings.sandbox.network != NetworkAccess::Senders || sends_others(role)
        }
        Sends::ToAnyone => true,
    };
    settings.sandbox.network == NetworkAccess::All
        || worker.roles.iter().any(sends)
        || !listen_on_sockets(input)
        || settings.manhole.workers
        || !input.has_other_hosts() && has_remote_services(input)
        // The administrator's log configuration may send logs to any host.
        || input.referenced.log_config.is_some()
        || OPTIONS.iter().any(|place| own.set(place))
}

/// Whether Redis or the database is not behind a Unix socket.
fn has_remote_services(input: &Input) -> bool {
    input.settings.redis.host.is_some() || !database_is_local(input)
}

/// Whether all Synapse processes listen on Unix sockets, both for nginx and for each other.
fn listen_on_sockets(input: &Input) -> bool {
    let sockets = &input.settings.sockets;
    sockets.public && sockets.replication
}

/// The addresses that a process with network access binds besides the ports of its listeners, in the syntax of
/// `SocketBindAllow=`; `None` allows all.
pub(super) fn binds(input: &Input) -> Option<Vec<String>> {
    let open = input.settings.sandbox.network == NetworkAccess::All;
    // Twisted queries DNS for SRV records from UDP ports that it binds (twisted/names/client.py).
    (!open).then(|| vec!["udp".to_owned()])
}

/// The same for workers. They share one unit file, which therefore cannot list the ports of each.
pub(super) fn workers_bind(input: &Input) -> Option<Vec<String>> {
    let have_ports = !listen_on_sockets(input) || input.settings.manhole.workers;
    binds(input).filter(|_| !have_ports)
}

/// Whether the database is a local file, or a PostgreSQL behind a Unix socket.
pub(super) fn database_is_local(input: &Input) -> bool {
    let own = &input.own_options().homeserver_d;
    if own.iter().any(|all| sets(all, "database")) {
        return false;
    }
    let host = input.settings.database.host.as_ref();
    match input.database() {
        DatabaseKind::Local | DatabaseKind::Sqlite => true,
        DatabaseKind::External | DatabaseKind::Auto => {
            host.is_some_and(|host| host.is_socket_directory()) && adopted_is_local(input)
        }
    }
}

/// Whether the files of an adopted server, which may decide, name no database on another host.
fn adopted_is_local(input: &Input) -> bool {
    let Some(Store::Postgres(arguments)) = input.adopted.store() else {
        return true;
    };
    let host = arguments.get("host").map(Value::as_str);
    let is_path = |host: Option<&str>| host.is_some_and(|host| host.starts_with('/'));
    !REMOTE.iter().any(|key| arguments.contains_key(*key)) && host.is_none_or(is_path)
}

/// The options of each file of the administrator; `None` for a file that is not a mapping.
pub(super) struct OwnOptions {
    homeserver_d: Vec<Option<Mapping>>,
    adopted: Vec<Option<Mapping>>,
}

impl OwnOptions {
    /// Reads the options in homeserver.d, and those of an adopted server.
    pub fn of(deployment: &Deployment) -> Self {
        Self {
            homeserver_d: read(&deployment.homeserver_d),
            adopted: read(&deployment.adopted.copies),
        }
    }

    /// Whether any file sets the option at this path.
    fn set(&self, place: &str) -> bool {
        let mut files = self.homeserver_d.iter().chain(&self.adopted);
        files.any(|options| sets(options, place))
    }
}

fn read(files: &SynapseOptions) -> Vec<Option<Mapping>> {
    files
        .values()
        .map(|contents| Some(pyyaml::options(contents).ok()?.mapping))
        .collect()
}

/// Whether a file sets the option at this path; true for an unreadable file, which may set it.
fn sets(options: &Option<Mapping>, place: &str) -> bool {
    options.as_ref().is_none_or(|options| has(options, place))
}

/// Whether the option at a path such as `presence.presence_router` is set. An empty or false value counts as not set.
fn has(options: &Mapping, place: &str) -> bool {
    let (key, rest) = match place.split_once('.') {
        Some((key, rest)) => (key, Some(rest)),
        None => (place, None),
    };
    match (options.get(key), rest) {
        (Some(Value::Mapping(inner)), Some(rest)) => has(inner, rest),
        (None, _) | (_, Some(_)) => false,
        (Some(value), None) => !value.is_null() && pyyaml::truth(value) != Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::ROLES;

    #[test]
    fn every_row_is_of_a_role_that_asks_homeservers() {
        for more in ROWS {
            let role = ROLES.iter().find(|role| role.name == more.role);
            let asks = role.is_some_and(|role| matches!(role.sends, Sends::ToHomeservers));
            assert!(asks, "{}", more.role);
        }
    }
}
