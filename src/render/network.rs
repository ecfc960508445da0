//! Which processes of Synapse need a network.
//!
//! The role catalogue says what a worker sends by itself. Here is the rest: how it reaches its database, Redis, nginx and
//! the other processes, and the options of the administrator that can have any process send something.

use super::Input;
use crate::deployment::SynapseOptions;
use crate::deployment::adopted::Store;
use crate::settings::Settings;
use crate::settings::types::{DatabaseKind, NetworkAccess, Verification};
use crate::topology::roles::Sends;
use crate::topology::{Role, Worker};
use serde_yaml::{Mapping, Value};

/// Options that can have every process of Synapse open connections, by their place in its configuration. From the files
/// of `synapse/config` of 1.163.2 that load code or open connections in every process.
static OPTIONS: &[&str] = &[
    // modules.py and the older ways to load modules: their code runs in every process.
    "modules",
    "spam_checker",
    "third_party_event_rules",
    "password_providers",
    "presence.presence_router",
    // tracer.py and metrics.py: reports of every process.
    "opentracing",
    "sentry",
    // mas.py: access tokens are checked by a request to MAS (api/auth/mas.py), wherever a client asks.
    "matrix_authentication_service",
    "experimental_features.msc3861",
    // oidc.py: app/_base.py fetches the metadata of providers at every start.
    "oidc_providers",
    "oidc_config",
    // saml2.py: metadata is loaded together with the configuration.
    "saml2_config",
];

/// What a role sends beside requests to other homeservers, in some configurations.
struct More {
    role: &'static str,
    /// Whether the settings have it do so.
    settings: fn(&Settings) -> bool,
    /// Options of the administrator that may have it do so.
    options: &'static [&'static str],
    /// Whether it asks application services, where there are any.
    asks_app_services: bool,
}

const MORE: More = More {
    role: "",
    settings: |_| false,
    options: &[],
    asks_app_services: false,
};

/// For the roles that send to homeservers ([`Sends::ToHomeservers`]), from the files of Synapse 1.163.2 that use another
/// client than the one for federation.
static ROWS: &[More] = &[
    More {
        // app/phone_stats_home.py: statistics. handlers/account_validity.py: e-mails.
        role: "background_worker",
        settings: |settings| settings.report_stats || settings.email.enabled,
        options: &["account_validity", "email"],
        ..MORE
    },
    More {
        // handlers/directory.py: an alias that nobody has yet may be one of an application service.
        role: "event_persister",
        asks_app_services: true,
        ..MORE
    },
    More {
        // handlers/ui_auth/checkers.py: telephone numbers are checked by an identity server.
        role: "device_lists",
        options: &["account_threepid_delegates"],
        ..MORE
    },
    More {
        // handlers/ui_auth/checkers.py: captchas as well. handlers/directory.py, handlers/e2e_keys.py.
        role: "client_reader",
        settings: |settings| settings.registration.decided() == Verification::Captcha,
        options: &["account_threepid_delegates", "enable_registration_captcha"],
        asks_app_services: true,
    },
    More {
        // handlers/directory.py, handlers/device.py, handlers/e2e_keys.py.
        role: "federation_reader",
        asks_app_services: true,
        ..MORE
    },
];

/// Options of the administrator that name application services.
const APP_SERVICES: &str = "app_service_config_files";

/// Arguments for PostgreSQL by which it is reached over a network, or that may say so (libpq, "Parameter Key Words").
static FAR: &[&str] = &["hostaddr", "service", "dsn"];

/// Whether a worker has to have the network.
pub(super) fn is_needed(input: &Input, worker: &Worker) -> bool {
    let settings = &input.settings;
    let own = || read(&input.own_options).chain(read(&input.adopted.copies));
    let has_app_services =
        !input.named.app_services.is_empty() || own().any(|all| says(all, APP_SERVICES));
    let sends_more = |role: &Role| {
        let more = ROWS.iter().filter(|more| more.role == role.name);
        more.into_iter().any(|more| {
            (more.settings)(settings)
                || more.asks_app_services && has_app_services
                || more
                    .options
                    .iter()
                    .any(|place| own().any(|all| says(all, place)))
        })
    };
    let sends = |role: &&Role| match role.sends {
        Sends::Nothing(_) => false,
        Sends::ToAppServices(_) => has_app_services,
        Sends::ToHomeservers(_) => {
            settings.sandbox.network != NetworkAccess::Senders || sends_more(role)
        }
        Sends::ToAnyone(_) => true,
    };
    settings.sandbox.network == NetworkAccess::All
        || worker.roles.iter().any(sends)
        || !listen_on_sockets(input)
        || settings.manhole.workers
        || settings.redis.host.is_some()
        || !database_is_near(input)
        // A file of the administrator's may send logs anywhere.
        || input.named.log_config.is_some()
        || OPTIONS.iter().any(|place| own().any(|all| says(all, place)))
}

/// Whether nginx and the other processes reach processes over Unix sockets.
fn listen_on_sockets(input: &Input) -> bool {
    let sockets = &input.settings.sockets;
    sockets.public && sockets.replication
}

/// What a process with the network binds beside the ports of its listeners, as `SocketBindAllow=` has it; none: whatever
/// it wants.
pub(super) fn binds(input: &Input) -> Option<Vec<String>> {
    let open = input.settings.sandbox.network == NetworkAccess::All;
    // Twisted asks DNS for SRV records from UDP ports that it binds (twisted/names/client.py).
    (!open).then(|| vec!["udp".to_owned()])
}

/// The same for workers, which have one unit file together, so that it cannot list the ports of each.
pub(super) fn workers_bind(input: &Input) -> Option<Vec<String>> {
    let have_ports = !listen_on_sockets(input) || input.settings.manhole.workers;
    binds(input).filter(|_| !have_ports)
}

/// Whether the database is a file of this host, or a PostgreSQL behind a Unix socket.
pub(super) fn database_is_near(input: &Input) -> bool {
    if read(&input.own_options).any(|all| says(all, "database")) {
        return false;
    }
    let host = input.settings.database.host.as_ref();
    match input.database() {
        DatabaseKind::Local | DatabaseKind::Sqlite => true,
        DatabaseKind::External | DatabaseKind::Auto => {
            host.is_some_and(|host| host.is_socket_directory()) && adopted_is_near(input)
        }
    }
}

/// Whether the files of an adopted server, which may decide, name no other place.
fn adopted_is_near(input: &Input) -> bool {
    let Some(Store::Postgres(arguments)) = input.adopted.store() else {
        return true;
    };
    let host = arguments.get("host").map(Value::as_str);
    let is_path = |host: Option<&str>| host.is_some_and(|host| host.starts_with('/'));
    !FAR.iter().any(|key| arguments.contains_key(*key)) && host.is_none_or(is_path)
}

/// The options of files of the administrator; none for a file that is not a mapping.
fn read(files: &SynapseOptions) -> impl Iterator<Item = Option<Mapping>> {
    files
        .values()
        .map(|contents| match serde_yaml::from_slice(contents) {
            Ok(Value::Mapping(options)) => Some(options),
            Ok(Value::Null) => Some(Mapping::new()),
            _ => None,
        })
}

/// Whether a file has an option at this place, or may have it because it cannot be read.
fn says(options: Option<Mapping>, place: &str) -> bool {
    options.is_none_or(|options| has(&options, place))
}

/// Whether there is an option at a place such as `presence.presence_router`. One that is empty or false says nothing.
fn has(options: &Mapping, place: &str) -> bool {
    let (key, rest) = match place.split_once('.') {
        Some((key, rest)) => (key, Some(rest)),
        None => (place, None),
    };
    match (options.get(key), rest) {
        (Some(Value::Mapping(inner)), Some(rest)) => has(inner, rest),
        (Some(Value::Null | Value::Bool(false)) | None, _) | (_, Some(_)) => false,
        (Some(_), None) => true,
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
            let asks = role.is_some_and(|role| matches!(role.sends, Sends::ToHomeservers(_)));
            assert!(asks, "{}", more.role);
        }
    }
}
