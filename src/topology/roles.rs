//! The catalogue of roles: the kinds of workers, and the configuration of Synapse that each kind requires.
//!
//! One row describes one role; a worker may have several roles. The limits of Synapse itself (how many writers a stream
//! takes, which duty is a single name) are from `synapse/config/workers.py` of 1.163.2. [`super::patterns`] defines
//! which requests reach a role.

use self::Sends::{Nothing, ToAnyone, ToAppServices, ToHomeservers};
use serde::Serialize;

/// A job that Synapse assigns to workers by name in the shared configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// `pusher_instances` lists all workers with this duty.
    Pusher,
    /// `federation_sender_instances` lists all workers with this duty.
    FederationSender,
    /// `notify_appservices_from_worker` names the only worker with this duty.
    NotifyAppservices,
    /// `update_user_directory_from_worker` names the only worker with this duty.
    UpdateUserDirectory,
    /// `run_background_tasks_on` names the only worker with this duty.
    BackgroundTasks,
    /// `enable_media_repo` is false for all other processes, and `media_instance_running_background_jobs` names the
    /// first worker with this duty.
    Media,
}

/// The requests that a process with a role itself sends beyond this host. Requests to other processes of Synapse, to
/// Redis and to PostgreSQL do not count, because these may be behind Unix sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sends {
    /// No requests, although options of the administrator may change that.
    Nothing,
    /// Requests to application services, if there are any.
    ToAppServices,
    /// Requests to other homeservers, all of them through Synapse's federation client (http/matrixfederationclient.py),
    /// which can delegate them to another process. Options may add other requests, which src/render/network.rs lists.
    ToHomeservers,
    /// Requests to other servers, such as push gateways and mail servers.
    ToAnyone,
}

/// How an upstream with several servers chooses one of them for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Requests of one user go to the same server, whose caches are warm.
    User,
    /// Requests for one room go to the same server; requests without a room ID are balanced by user.
    Room,
    /// Requests of one sending homeserver (by its address) go to the same server.
    Origin,
    /// Requests for one URI go to the same server.
    Uri,
    /// Each request goes to the server with the fewest in-flight requests.
    LeastConnections,
    /// There is only one server.
    Single,
}

impl std::fmt::Display for Balance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Balance::User => "by user",
            Balance::Room => "by room",
            Balance::Origin => "by origin",
            Balance::Uri => "by URI",
            Balance::LeastConnections => "by least connections",
            Balance::Single => "not at all",
        })
    }
}

/// One row of the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct Role {
    /// The name in worker specs.
    pub name: &'static str,
    /// The resources of its HTTP listener, in addition to `health`, which every listener has.
    pub resources: &'static [&'static str],
    /// The key in `stream_writers` under which its workers are listed.
    pub stream: Option<&'static str>,
    /// The duty that it takes over from the main process.
    pub duty: Option<Duty>,
    /// The reason why only one worker can have this role; `None` if any number of workers can.
    pub only_one: Option<&'static str>,
    /// How requests are balanced over its workers; `None` if no request is routed to the role.
    pub balance: Option<Balance>,
    /// Whether the main process can serve its requests when no worker of the role does.
    pub fallback_to_main: bool,
    /// The requests that it sends, which decide whether it needs network access.
    pub sends: Sends,
    /// Whether it also asks application services, if there are any: for an unknown room alias or the keys of their users
    /// (handlers/directory.py, handlers/device.py, handlers/e2e_keys.py).
    pub asks_app_services: bool,
}

/// Values that most rows have in common. A role whose row does not say what it sends has network access.
const ROLE: Role = Role {
    name: "",
    resources: &[],
    stream: None,
    duty: None,
    only_one: None,
    balance: None,
    fallback_to_main: true,
    sends: ToAnyone,
    asks_app_services: false,
};

/// A role that serves requests of clients.
const CLIENT: Role = Role {
    resources: &["client"],
    ..ROLE
};

/// A role that serves requests of other homeservers.
const FEDERATION: Role = Role {
    resources: &["federation"],
    ..ROLE
};

/// A role that writes a stream, whose requests only it can serve.
const WRITER: Role = Role {
    resources: &["client", "replication"],
    fallback_to_main: false,
    ..ROLE
};

/// Since Synapse 1.152, quarantining media is a stream that only its writers may write. Every upload has the same URI, so
/// requests are not balanced by URI.
const MEDIA: Role = Role {
    resources: &["media", "replication"],
    stream: Some("quarantined_media_changes"),
    duty: Some(Duty::Media),
    balance: LEAST,
    ..WRITER
};

const SINGLE: Option<Balance> = Some(Balance::Single);
const BY_USER: Option<Balance> = Some(Balance::User);
const LEAST: Option<Balance> = Some(Balance::LeastConnections);

const SESSION: &str = "a single sign-on session lives in the memory of one process";

/// A role whose duty Synapse assigns to one name.
macro_rules! single {
    ($duty:ident, $option:literal) => {
        Role {
            duty: Some(Duty::$duty),
            only_one: Some(concat!($option, " takes one name")),
            ..ROLE
        }
    };
}

/// A role that writes a stream of one writer.
macro_rules! single_writer {
    ($stream:literal) => {
        Role {
            stream: Some($stream),
            only_one: Some(concat!(
                "stream_writers.",
                $stream,
                " takes exactly one instance"
            )),
            balance: SINGLE,
            ..WRITER
        }
    };
}

/// Every role, in the order in which merged roles are named. The comment above a row describes the role, and names the
/// files of Synapse 1.163.2 that show the requests that it sends.
#[rustfmt::skip] // one role per line
pub static ROLES: [Role; 24] = [
    // Sends push notifications and e-mails. push/httppusher.py, push/mailer.py: push gateways and mail servers.
    Role { name: "pusher",               sends: ToAnyone,      duty: Some(Duty::Pusher), ..ROLE },
    // Sends events to other homeservers. federation/sender/transaction_manager.py: transactions to other servers.
    Role { name: "federation_sender",    sends: ToAnyone,      duty: Some(Duty::FederationSender), ..ROLE },
    // Sends events to application services. appservice/scheduler.py: transactions to application services.
    Role { name: "appservice",           sends: ToAppServices, ..single!(NotifyAppservices, "notify_appservices_from_worker") },
    // Runs clean-up and statistics tasks. handlers/message.py, _send_dummy_events: events that policy servers sign.
    Role { name: "background_worker",    sends: ToHomeservers, ..single!(BackgroundTasks, "run_background_tasks_on") },
    // Updates the user directory and answers searches in it. handlers/user_directory.py: profiles of other servers'
    // users.
    Role { name: "user_dir",             sends: ToHomeservers, resources: &["client"], balance: SINGLE, ..single!(UpdateUserDirectory, "update_user_directory_from_worker") },

    // Writes events to the database, sharded by room. handlers/message.py, persist_and_notify_client_events:
    // invitations and aliases of other servers.
    Role { name: "event_persister",      sends: ToHomeservers, resources: &["replication"], stream: Some("events"), asks_app_services: true, ..ROLE },
    // Tracks who is typing. handlers/typing.py: federation senders send what it writes to the stream.
    Role { name: "typing",               sends: Nothing,       ..single_writer!("typing") },
    // Writes messages between devices (encryption keys). handlers/devicemessage.py: the writer of device lists looks up
    // unknown devices.
    Role { name: "to_device",            sends: Nothing,       ..single_writer!("to_device") },
    // Writes users' settings and room tags. handlers/account_data.py.
    Role { name: "account_data",         sends: Nothing,       ..single_writer!("account_data") },
    // Tracks who is online. handlers/presence.py: federation senders read its queue.
    Role { name: "presence",             sends: Nothing,       ..single_writer!("presence") },
    // Writes users' notification rules. handlers/push_rules.py.
    Role { name: "push_rules",           sends: Nothing,       ..single_writer!("push_rules") },
    // Writes read receipts and read markers. handlers/receipts.py, handlers/read_marker.py: federation senders send
    // what it writes to the stream.
    Role { name: "receipts",             sends: Nothing,       stream: Some("receipts"), balance: BY_USER, ..WRITER },
    // Writes devices and their keys. handlers/device.py: device lists of other servers' users.
    Role { name: "device_lists",         sends: ToHomeservers, stream: Some("device_lists"), balance: BY_USER, ..WRITER },
    // Writes thread subscriptions (MSC4306, experimental). handlers/thread_subscriptions.py.
    Role { name: "thread_subscriptions", sends: Nothing,       stream: Some("thread_subscriptions"), balance: BY_USER, ..WRITER },
    // Stores, scales and serves media, which the main process then does not. media/media_repository.py,
    // media/url_previewer.py: remote media and previews.
    Role { name: "media_repository",     sends: ToAnyone,      ..MEDIA },

    // Answers /sync. handlers/sync.py, handlers/events.py, handlers/initial_sync.py.
    Role { name: "synchrotron",          sends: Nothing,       balance: BY_USER, ..CLIENT },
    // Answers simplified sliding sync (Element X). handlers/sliding_sync.
    Role { name: "sliding_sync",         sends: Nothing,       balance: BY_USER, ..CLIENT },
    // Answers most other requests of clients: rooms, keys, login, search. handlers/e2e_keys.py, handlers/profile.py,
    // handlers/room_list.py: questions to other servers.
    Role { name: "client_reader",        sends: ToHomeservers, balance: LEAST, asks_app_services: true, ..CLIENT },
    // Accepts key uploads if no worker has the role device_lists. rest/client/keys.py: uploads go to the writer of
    // device lists.
    Role { name: "frontend_proxy",       sends: Nothing,       balance: BY_USER, ..CLIENT },
    // Accepts messages, state, joins and new rooms from clients. handlers/identity.py, called by
    // handlers/room_member.py: identity servers, for invitations by e-mail address.
    Role { name: "event_creator",        sends: ToAnyone,      balance: Some(Balance::Room), ..CLIENT },
    // Answers requests of other homeservers. crypto/keyring.py: signing keys of other servers. Identical requests for
    // the state of a room are expensive and share one response.
    Role { name: "federation_reader",    sends: ToHomeservers, balance: Some(Balance::Uri), asks_app_services: true, ..FEDERATION },
    // Receives events from other homeservers. handlers/federation_event.py, crypto/keyring.py: missing events and
    // signing keys.
    Role { name: "federation_inbound",   sends: ToHomeservers, balance: Some(Balance::Origin), ..FEDERATION },
    // Handles single sign-on logins. handlers/oidc.py, handlers/cas.py: providers of single sign-on.
    Role { name: "sso_login",            sends: ToAnyone,      only_one: Some(SESSION), balance: SINGLE, fallback_to_main: false, ..CLIENT },
    // Answers the Matrix Authentication Service. rest/synapse/mas/users.py, api/auth/mas.py: identity servers and MAS.
    Role { name: "mas_helper",           sends: ToAnyone,      balance: LEAST, ..CLIENT },
];

/// Finds a role by its name.
pub fn role(name: &str) -> Option<&'static Role> {
    ROLES.iter().find(|role| role.name == name)
}

impl Role {
    /// Its index in the catalogue, which is the order of names and of workers.
    pub(super) fn position(&self) -> usize {
        ROLES
            .iter()
            .take_while(|role| role.name != self.name)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::patterns::ENDPOINTS;
    use super::*;

    #[test]
    fn every_row_is_complete_and_has_work() {
        for (place, role) in ROLES.iter().enumerate() {
            assert_eq!(role.position(), place, "{} occurs twice", role.name);
            let routed = ENDPOINTS.iter().any(|set| set.roles.contains(&role.name));
            assert_eq!(role.balance.is_some(), routed, "{}", role.name);
            assert!(
                routed || role.duty.is_some() || role.stream.is_some(),
                "{}",
                role.name
            );
            assert_eq!(
                role.stream.is_some(),
                role.resources.contains(&"replication"),
                "{}: a writer, and only a writer, is reached by the other processes",
                role.name
            );
            if role.only_one.is_some() && routed {
                assert_eq!(role.balance, Some(Balance::Single), "{}", role.name);
            }
        }
    }
}
