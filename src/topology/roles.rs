//! The catalogue of roles: the kinds of workers, and the configuration of Synapse that each kind requires.
//!
//! One row describes one role; a worker may have several roles. The limits of Synapse itself (how many writers a stream
//! takes, which duty is a single name) are from `synapse/config/workers.py` of 1.163.2. [`super::patterns`] defines
//! which requests reach a role.

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

/// The requests that a process with a role itself sends beyond this host, with the file of Synapse 1.163.2 that shows
/// it. Requests to other processes of Synapse, to Redis and to PostgreSQL do not count, because these may be behind
/// Unix sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sends {
    /// No requests, although options of the administrator may change that.
    Nothing(&'static str),
    /// Requests to application services, if there are any.
    ToAppServices(&'static str),
    /// Requests to other homeservers, all of them through Synapse's federation client (http/matrixfederationclient.py),
    /// which can delegate them to another process. Options may add other requests, which src/render/network.rs lists.
    ToHomeservers(&'static str),
    /// Requests to other servers, such as push gateways and mail servers.
    ToAnyone(&'static str),
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
    /// What the role does, in one line.
    pub summary: &'static str,
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
}

/// Values that most rows have in common.
const ROLE: Role = Role {
    name: "",
    summary: "",
    resources: &[],
    stream: None,
    duty: None,
    only_one: None,
    balance: None,
    fallback_to_main: true,
    sends: Sends::ToAnyone(""),
};

/// Every role, in the order in which merged roles are named.
pub static ROLES: [Role; 24] = [
    Role {
        name: "pusher",
        summary: "sends push notifications and e-mails",
        duty: Some(Duty::Pusher),
        sends: Sends::ToAnyone(
            "push/httppusher.py, push/mailer.py: push gateways and mail servers",
        ),
        ..ROLE
    },
    Role {
        name: "federation_sender",
        summary: "sends events to other homeservers",
        duty: Some(Duty::FederationSender),
        sends: Sends::ToAnyone(
            "federation/sender/transaction_manager.py: transactions to other servers",
        ),
        ..ROLE
    },
    Role {
        name: "appservice",
        summary: "sends events to application services",
        duty: Some(Duty::NotifyAppservices),
        only_one: Some("notify_appservices_from_worker takes one name"),
        sends: Sends::ToAppServices(
            "appservice/scheduler.py: transactions to application services",
        ),
        ..ROLE
    },
    Role {
        name: "background_worker",
        summary: "runs clean-up and statistics tasks",
        duty: Some(Duty::BackgroundTasks),
        only_one: Some("run_background_tasks_on takes one name"),
        sends: Sends::ToHomeservers(
            "handlers/message.py, _send_dummy_events: events that policy servers sign",
        ),
        ..ROLE
    },
    Role {
        name: "user_dir",
        summary: "keeps the user directory and answers searches in it",
        resources: &["client"],
        duty: Some(Duty::UpdateUserDirectory),
        only_one: Some("update_user_directory_from_worker takes one name"),
        balance: Some(Balance::Single),
        sends: Sends::ToHomeservers("handlers/user_directory.py: profiles of other servers' users"),
        ..ROLE
    },
    Role {
        name: "event_persister",
        summary: "writes events to the database, sharded by room",
        resources: &["replication"],
        stream: Some("events"),
        sends: Sends::ToHomeservers(
            "handlers/message.py, persist_and_notify_client_events: invitations and aliases of other servers",
        ),
        ..ROLE
    },
    Role {
        name: "typing",
        summary: "keeps who is typing where",
        resources: &["client", "replication"],
        stream: Some("typing"),
        only_one: Some("stream_writers.typing takes exactly one instance"),
        balance: Some(Balance::Single),
        fallback_to_main: false,
        sends: Sends::Nothing(
            "handlers/typing.py: federation senders send what it writes to the stream",
        ),
        ..ROLE
    },
    Role {
        name: "to_device",
        summary: "writes messages between devices (encryption keys)",
        resources: &["client", "replication"],
        stream: Some("to_device"),
        only_one: Some("stream_writers.to_device takes exactly one instance"),
        balance: Some(Balance::Single),
        fallback_to_main: false,
        sends: Sends::Nothing(
            "handlers/devicemessage.py: unknown devices are looked up by the writer of device lists",
        ),
        ..ROLE
    },
    Role {
        name: "account_data",
        summary: "writes users' settings and room tags",
        resources: &["client", "replication"],
        stream: Some("account_data"),
        only_one: Some("stream_writers.account_data takes exactly one instance"),
        balance: Some(Balance::Single),
        fallback_to_main: false,
        sends: Sends::Nothing("handlers/account_data.py"),
        ..ROLE
    },
    Role {
        name: "presence",
        summary: "keeps who is online",
        resources: &["client", "replication"],
        stream: Some("presence"),
        only_one: Some("stream_writers.presence takes exactly one instance"),
        balance: Some(Balance::Single),
        fallback_to_main: false,
        sends: Sends::Nothing("handlers/presence.py: federation senders read its queue"),
        ..ROLE
    },
    Role {
        name: "push_rules",
        summary: "writes users' notification rules",
        resources: &["client", "replication"],
        stream: Some("push_rules"),
        only_one: Some("stream_writers.push_rules takes exactly one instance"),
        balance: Some(Balance::Single),
        fallback_to_main: false,
        sends: Sends::Nothing("handlers/push_rules.py"),
        ..ROLE
    },
    Role {
        name: "receipts",
        summary: "writes read receipts and read markers",
        resources: &["client", "replication"],
        stream: Some("receipts"),
        balance: Some(Balance::User),
        fallback_to_main: false,
        sends: Sends::Nothing(
            "handlers/receipts.py, handlers/read_marker.py: federation senders send what it writes to the stream",
        ),
        ..ROLE
    },
    Role {
        name: "device_lists",
        summary: "writes devices and their keys",
        resources: &["client", "replication"],
        stream: Some("device_lists"),
        balance: Some(Balance::User),
        fallback_to_main: false,
        sends: Sends::ToHomeservers("handlers/device.py: device lists of other servers' users"),
        ..ROLE
    },
    Role {
        name: "thread_subscriptions",
        summary: "writes thread subscriptions (MSC4306, experimental)",
        resources: &["client", "replication"],
        stream: Some("thread_subscriptions"),
        balance: Some(Balance::User),
        fallback_to_main: false,
        sends: Sends::Nothing("handlers/thread_subscriptions.py"),
        ..ROLE
    },
    Role {
        name: "media_repository",
        summary: "stores, scales and serves media; the main process then does not",
        // Since Synapse 1.152, quarantining media is a stream that only its writers may write.
        resources: &["media", "replication"],
        stream: Some("quarantined_media_changes"),
        duty: Some(Duty::Media),
        // Requests are not balanced by URI, because every upload has the same URI.
        balance: Some(Balance::LeastConnections),
        fallback_to_main: false,
        sends: Sends::ToAnyone(
            "media/media_repository.py, media/url_previewer.py: remote media and previews",
        ),
        ..ROLE
    },
    Role {
        name: "synchrotron",
        summary: "answers /sync",
        resources: &["client"],
        balance: Some(Balance::User),
        sends: Sends::Nothing("handlers/sync.py, handlers/events.py, handlers/initial_sync.py"),
        ..ROLE
    },
    Role {
        name: "sliding_sync",
        summary: "answers simplified sliding sync (Element X)",
        resources: &["client"],
        balance: Some(Balance::User),
        sends: Sends::Nothing("handlers/sliding_sync"),
        ..ROLE
    },
    Role {
        name: "client_reader",
        summary: "answers most other requests of clients: rooms, keys, login, search",
        resources: &["client"],
        balance: Some(Balance::LeastConnections),
        sends: Sends::ToHomeservers(
            "handlers/e2e_keys.py, handlers/profile.py, handlers/room_list.py: questions to other servers",
        ),
        ..ROLE
    },
    Role {
        name: "frontend_proxy",
        summary: "takes key uploads where there is no device_lists worker",
        resources: &["client"],
        balance: Some(Balance::User),
        sends: Sends::Nothing("rest/client/keys.py: uploads go to the writer of device lists"),
        ..ROLE
    },
    Role {
        name: "event_creator",
        summary: "takes messages, state, joins and new rooms from clients",
        resources: &["client"],
        balance: Some(Balance::Room),
        sends: Sends::ToAnyone(
            "handlers/identity.py, called by handlers/room_member.py: identity servers, for invitations by e-mail address",
        ),
        ..ROLE
    },
    Role {
        name: "federation_reader",
        summary: "answers other homeservers' questions",
        resources: &["federation"],
        // Identical requests for the state of a room are expensive and share one response.
        balance: Some(Balance::Uri),
        sends: Sends::ToHomeservers("crypto/keyring.py: signing keys of other servers"),
        ..ROLE
    },
    Role {
        name: "federation_inbound",
        summary: "takes the events that other homeservers send",
        resources: &["federation"],
        balance: Some(Balance::Origin),
        sends: Sends::ToHomeservers(
            "handlers/federation_event.py, crypto/keyring.py: missing events and signing keys",
        ),
        ..ROLE
    },
    Role {
        name: "sso_login",
        summary: "carries single sign-on logins",
        resources: &["client"],
        only_one: Some("a single sign-on session lives in the memory of one process"),
        balance: Some(Balance::Single),
        fallback_to_main: false,
        sends: Sends::ToAnyone("handlers/oidc.py, handlers/cas.py: providers of single sign-on"),
        ..ROLE
    },
    Role {
        name: "mas_helper",
        summary: "answers the Matrix Authentication Service",
        resources: &["client"],
        balance: Some(Balance::LeastConnections),
        sends: Sends::ToAnyone(
            "rest/synapse/mas/users.py, api/auth/mas.py: identity servers and MAS",
        ),
        ..ROLE
    },
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
            assert_eq!(role.position(), place, "{} stands twice", role.name);
            assert!(!role.summary.is_empty(), "{}", role.name);
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
                "{}: a writer, and only a writer, is reached by the others",
                role.name
            );
            let (Sends::Nothing(source)
            | Sends::ToAppServices(source)
            | Sends::ToHomeservers(source)
            | Sends::ToAnyone(source)) = role.sends;
            assert!(!source.is_empty(), "{}: nobody looked", role.name);
            if role.only_one.is_some() && routed {
                assert_eq!(role.balance, Some(Balance::Single), "{}", role.name);
            }
        }
    }
}
