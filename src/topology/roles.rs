//! The role catalogue: what a worker can be, and what that asks of Synapse's configuration.
//!
//! One row per role. A worker may have several. What Synapse itself demands (how many writers a
//! stream takes, which duty is a single name) is from `synapse/config/workers.py` of 1.163.2.
//! Which requests reach a role is not here but in [`super::patterns`].

use serde::Serialize;

/// A job that Synapse hands to workers by naming them in the shared configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// `pusher_instances`: all of them.
    Pusher,
    /// `federation_sender_instances`: all of them.
    FederationSender,
    /// `notify_appservices_from_worker`: the one.
    NotifyAppservices,
    /// `update_user_directory_from_worker`: the one.
    UpdateUserDirectory,
    /// `run_background_tasks_on`: the one.
    BackgroundTasks,
    /// `enable_media_repo: false` for all others, `media_instance_running_background_jobs`: the first.
    Media,
}

/// What a process with a role sends by itself beyond this host, with the file of Synapse 1.163.2 that shows it. Requests
/// to other processes of Synapse, to Redis and to PostgreSQL do not count: these may be behind Unix sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sends {
    /// Nothing, though options of the administrator may change that.
    Nothing(&'static str),
    /// Requests to application services, where there are any.
    ToAppServices(&'static str),
    /// Requests to other homeservers, all of them through Synapse's client for federation (http/matrixfederationclient.py),
    /// which can hand them to another process. Options may add other requests: src/render/network.rs has them.
    ToHomeservers(&'static str),
    /// Requests to other servers, push gateways, mail servers and the like.
    ToAnyone(&'static str),
}

/// How an upstream of several servers chooses one for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// The same user's requests to the same server: its caches are warm.
    User,
    /// The same room to the same server; requests without a room ID by user.
    Room,
    /// The same sending homeserver (its address) to the same server.
    Origin,
    /// The same URI to the same server.
    Uri,
    /// The server with the fewest requests in flight.
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
    /// The resources of its http listener, beside `health`, which every listener has.
    pub resources: &'static [&'static str],
    /// The key in `stream_writers` under which its workers are listed.
    pub stream: Option<&'static str>,
    /// The duty it takes from the main process.
    pub duty: Option<Duty>,
    /// Why there can be only one worker with this role; none: any number.
    pub only_one: Option<&'static str>,
    /// How its workers share requests; none: no request is routed to it.
    pub balance: Option<Balance>,
    /// Whether the main process can answer in its stead when no worker of the role does.
    pub fallback_to_main: bool,
    /// Whether it needs the network.
    pub sends: Sends,
}

/// What most rows have in common.
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
        // Quarantining media is a stream that only its writers may write, since Synapse 1.152.
        resources: &["media", "replication"],
        stream: Some("quarantined_media_changes"),
        duty: Some(Duty::Media),
        // Not by URI: every upload has the same one.
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
        // Equal questions about a room's state are dear and share one answer.
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

/// The role of that name.
pub fn role(name: &str) -> Option<&'static Role> {
    ROLES.iter().find(|role| role.name == name)
}

impl Role {
    /// Its place in the catalogue, the order of names and of workers.
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
