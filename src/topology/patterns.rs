//! The endpoints that workers serve, and the roles that may serve them.
//!
//! One row describes a set of paths with a common rule. The paths are those of Synapse's `docs/workers.md` at 1.163.2,
//! made exact where that document is loose, plus the few that workers register although the document does not list them
//! and that matter for load. A path in no row belongs to the main process. No path is in two rows, so the order affects
//! only how soon nginx finds a match. [`super::releases`] lists the patterns that older releases do not serve.
//!
//! Patterns are regular expressions on the raw path, like Synapse's own: nothing is decoded, a segment may be empty
//! (`[^/]*`), and `%2F` does not end a segment. nginx (PCRE) and Rust interpret them alike.

use super::roles::Balance;

/// The name of the Matrix Authentication Service, as an upstream and as the only server of that upstream. This program
/// does not run it.
pub const MAS: &str = "mas";

/// The service in which users log in. Synapse has other endpoints in each case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Logins {
    /// Synapse itself.
    #[default]
    Synapse,
    /// The Matrix Authentication Service.
    Mas,
}

/// A set of endpoints with a common rule.
pub struct EndpointSet {
    /// A name for readers of this table; a serialized [`Route`](super::Route) contains it.
    pub name: &'static str,
    /// The HTTP methods that the rule applies to; all if empty. GET includes HEAD, and OPTIONS is always included.
    pub methods: &'static [&'static str],
    /// The roles that may serve it: the first one that a worker has, or the main process if no worker has any.
    pub roles: &'static [&'static str],
    /// The service outside Synapse that serves it; `None` for Synapse.
    pub outside: Option<&'static str>,
    /// The service in which users log in if these paths exist; `None` if they always exist.
    pub logins: Option<Logins>,
    /// How a server is chosen, if not by the balance of the role.
    pub balance: Option<Balance>,
    /// The Synapse option that must be enabled for these paths to exist.
    pub needs: Option<&'static str>,
    /// Patterns, each with a sample request that it matches.
    pub paths: &'static [(&'static str, &'static str)],
}

const SET: EndpointSet = EndpointSet {
    name: "",
    methods: &[],
    roles: &[],
    outside: None,
    logins: None,
    balance: None,
    needs: None,
    paths: &[],
};

/// A client path under every version that Synapse registers for its oldest endpoints.
macro_rules! v1 {
    ($tail:literal) => {
        concat!("^/_matrix/client/(api/v1|r0|v3|unstable)/", $tail)
    };
}

/// A client path under the versions of its newer endpoints.
macro_rules! v {
    ($tail:literal) => {
        concat!("^/_matrix/client/(r0|v3|unstable)/", $tail)
    };
}

/// Synapse registers these only without the Matrix Authentication Service.
const WITHOUT_MAS: Option<Logins> = Some(Logins::Synapse);
/// Synapse registers these only with it.
const WITH_MAS: Option<Logins> = Some(Logins::Mas);
const THREADS: Option<&str> = Some("experimental_features.msc4306_enabled");

/// All sets, in the order in which nginx tries them.
#[rustfmt::skip] // one path, one line
pub static ENDPOINTS: [EndpointSet; 32] = [
    // The most frequent endpoints come first.
    EndpointSet { name: "sync", roles: &["synchrotron"], paths: &[
        (v!("sync$"), "GET /_matrix/client/v3/sync"),
        (v1!("events$"), "GET /_matrix/client/v3/events"),
        (v1!("initialSync$"), "GET /_matrix/client/v3/initialSync"),
        (v1!("rooms/[^/]*/initialSync$"), "GET /_matrix/client/v3/rooms/!r:example.com/initialSync"),
    ], ..SET },
    EndpointSet { name: "sliding_sync", roles: &["sliding_sync", "synchrotron"], paths: &[
        (r"^/_matrix/client/unstable/org\.matrix\.simplified_msc3575/sync$", "POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync"),
    ], ..SET },

    // Only the writer can serve these requests: they fail in any other process.
    EndpointSet { name: "typing", roles: &["typing"], paths: &[
        (v1!("rooms/[^/]*/typing/"), "PUT /_matrix/client/v3/rooms/!r:example.com/typing/@u:example.com"),
    ], ..SET },
    EndpointSet { name: "receipts", roles: &["receipts"], paths: &[
        (v!("rooms/[^/]*/(receipt/|read_markers$)"), "POST /_matrix/client/v3/rooms/!r:example.com/receipt/m.read/$e"),
    ], ..SET },
    EndpointSet { name: "to_device", roles: &["to_device"], paths: &[
        (v!("sendToDevice/"), "PUT /_matrix/client/v3/sendToDevice/m.x/t1"),
    ], ..SET },
    EndpointSet { name: "push_rules_write", methods: &["PUT", "DELETE"], roles: &["push_rules"], paths: &[
        (v1!("pushrules/"), "PUT /_matrix/client/v3/pushrules/global/override/.m.rule.master/enabled"),
    ], ..SET },
    EndpointSet { name: "push_rules_read", methods: &["GET"], roles: &["push_rules", "client_reader"], paths: &[
        (v1!("pushrules/"), "GET /_matrix/client/v3/pushrules/"),
    ], ..SET },
    EndpointSet { name: "threads_write", methods: &["PUT", "DELETE"], roles: &["thread_subscriptions"], needs: THREADS, paths: &[
        (r"^/_matrix/client/unstable/io\.element\.msc4306/rooms/[^/]*/thread/[^/]*/subscription$", "PUT /_matrix/client/unstable/io.element.msc4306/rooms/!r:example.com/thread/$e/subscription"),
    ], ..SET },
    EndpointSet { name: "threads_read", methods: &["GET"], roles: &["thread_subscriptions", "client_reader"], needs: THREADS, paths: &[
        (r"^/_matrix/client/unstable/io\.element\.msc4306/rooms/[^/]*/thread/[^/]*/subscription$", "GET /_matrix/client/unstable/io.element.msc4306/rooms/!r:example.com/thread/$e/subscription"),
        (r"^/_matrix/client/unstable/io\.element\.msc4308/thread_subscriptions$", "GET /_matrix/client/unstable/io.element.msc4308/thread_subscriptions"),
    ], ..SET },

    // Other workers forward these requests to the writer. The direct route saves a hop.
    EndpointSet { name: "account_data", roles: &["account_data", "client_reader"], paths: &[
        (v!("user/[^/]*/(rooms/[^/]*/)?account_data/"), "GET /_matrix/client/v3/user/@u:example.com/account_data/m.foo"),
        (v!("user/[^/]*/rooms/[^/]*/tags(/|$)"), "GET /_matrix/client/v3/user/@u:example.com/rooms/!r:example.com/tags"),
    ], ..SET },
    // Tested: a process that is not the writer fails to report the presence of another user.
    EndpointSet { name: "presence", roles: &["presence"], paths: &[
        (v1!("presence/"), "GET /_matrix/client/v3/presence/@u:example.com/status"),
    ], ..SET },
    EndpointSet { name: "key_upload", roles: &["device_lists", "frontend_proxy", "client_reader"], paths: &[
        (v!("keys/upload(/|$)"), "POST /_matrix/client/v3/keys/upload"),
    ], ..SET },
    EndpointSet { name: "devices", roles: &["device_lists", "client_reader"], paths: &[
        (v!("devices(/|$)"), "GET /_matrix/client/v3/devices"),
        (v!("keys/signatures/upload$"), "POST /_matrix/client/v3/keys/signatures/upload"),
        (r"^/_matrix/client/(v3|unstable)/keys/device_signing/upload$", "POST /_matrix/client/v3/keys/device_signing/upload"),
    ], ..SET },
    EndpointSet { name: "device_logout", roles: &["device_lists", "client_reader"], logins: WITHOUT_MAS, paths: &[
        (v!("delete_devices$"), "POST /_matrix/client/v3/delete_devices"),
    ], ..SET },

    EndpointSet { name: "event_send", roles: &["event_creator"], paths: &[
        (v1!("rooms/[^/]*/(redact|send|state)/"), "PUT /_matrix/client/v3/rooms/!r:example.com/send/m.room.message/t1"),
        (v1!("rooms/[^/]*/(join|invite|leave|ban|unban|kick)(/[^/]*)?$"), "POST /_matrix/client/v3/rooms/!r:example.com/join"),
        (v1!("join/"), "POST /_matrix/client/v3/join/!r:example.com"),
        (v!("knock/"), "POST /_matrix/client/v3/knock/!r:example.com"),
        (v1!("createRoom(/|$)"), "POST /_matrix/client/v3/createRoom"),
    ], ..SET },
    // A new display name or avatar is an event in every room of the user; a lookup is not.
    EndpointSet { name: "profile_write", methods: &["PUT", "DELETE"], roles: &["event_creator"], paths: &[
        (v1!("profile/"), "PUT /_matrix/client/v3/profile/@u:example.com/displayname"),
    ], ..SET },
    EndpointSet { name: "profile_read", methods: &["GET"], roles: &["client_reader", "event_creator"], paths: &[
        (v1!("profile/"), "GET /_matrix/client/v3/profile/@u:example.com"),
    ], ..SET },

    // Synapse requires one process per room here.
    EndpointSet { name: "messages", roles: &["client_reader"], balance: Some(Balance::Room), paths: &[
        (v1!("rooms/[^/]*/messages$"), "GET /_matrix/client/v3/rooms/!r:example.com/messages"),
    ], ..SET },
    EndpointSet { name: "keys", roles: &["client_reader"], paths: &[
        (v!("keys/(query|changes|claim)$"), "POST /_matrix/client/v3/keys/query"),
        (v!("room_keys/"), "GET /_matrix/client/v3/room_keys/version"),
    ], ..SET },
    EndpointSet { name: "room_read", roles: &["client_reader"], paths: &[
        (v1!("rooms/[^/]*/(joined_members|members|state)$"), "GET /_matrix/client/v3/rooms/!r:example.com/members"),
        (v1!("rooms/[^/]*/(context|event)/"), "GET /_matrix/client/v3/rooms/!r:example.com/event/$e"),
        (r"^/_matrix/client/v1/rooms/[^/]*/(hierarchy|threads|timestamp_to_event)$", "GET /_matrix/client/v1/rooms/!r:example.com/hierarchy"),
        (r"^/_matrix/client/(v1|unstable)/rooms/[^/]*/relations/", "GET /_matrix/client/v1/rooms/!r:example.com/relations/$e"),
        (r"^/_matrix/client/v1/room_summary/[^/]*$", "GET /_matrix/client/v1/room_summary/!r:example.com"),
        (r"^/_matrix/client/unstable/im\.nheko\.summary/summary/[^/]*$", "GET /_matrix/client/unstable/im.nheko.summary/summary/!r:example.com"),
        (r"^/_matrix/client/(r0|v3)/rooms/[^/]*/aliases$", "GET /_matrix/client/v3/rooms/!r:example.com/aliases"),
        (r"^/_matrix/client/unstable/org\.matrix\.msc2432/rooms/[^/]*/aliases$", "GET /_matrix/client/unstable/org.matrix.msc2432/rooms/!r:example.com/aliases"),
        (v1!("(publicRooms|joined_rooms|search)$"), "GET /_matrix/client/v3/joined_rooms"),
        (v1!("directory/room/[^/]*$"), "GET /_matrix/client/v3/directory/room/%23a:example.com"),
        (r"^/_synapse/admin/v1/rooms/[^/]*$", "GET /_synapse/admin/v1/rooms/!r:example.com"),
    ], ..SET },
    EndpointSet { name: "account_read", roles: &["client_reader"], paths: &[
        (r"^/_matrix/client/versions$", "GET /_matrix/client/versions"),
        (v!("(capabilities|notifications|password_policy)$"), "GET /_matrix/client/v3/capabilities"),
        // `account/deactivate` is not listed, because it sends requests to identity servers
        // (handlers/deactivate_account.py): the main process has network access in any case.
        (v!("account/(3pid|whoami)$"), "GET /_matrix/client/v3/account/whoami"),
        (v!("user/[^/]*/filter(/|$)"), "POST /_matrix/client/v3/user/@u:example.com/filter"),
        (v1!("voip/turnServer$"), "GET /_matrix/client/v3/voip/turnServer"),
        (r"^/\.well-known/matrix/(client|server)$", "GET /.well-known/matrix/client"),
        // With the Matrix Authentication Service, for application services only.
        (v!("register$"), "POST /_matrix/client/v3/register"),
    ], ..SET },
    EndpointSet { name: "login", roles: &["client_reader"], logins: WITHOUT_MAS, paths: &[
        (v1!("login$"), "GET /_matrix/client/v3/login"),
        (v!("register/available$"), "GET /_matrix/client/v3/register/available"),
        (r"^/_matrix/client/(v1|unstable)/register/m\.login\.registration_token/validity$", "GET /_matrix/client/v1/register/m.login.registration_token/validity"),
    ], ..SET },
    // The compatibility layer of the Matrix Authentication Service (its guide "Configuring a reverse proxy", and
    // crates/router/src/endpoints.rs): also logout/all and login/sso/redirect.
    EndpointSet { name: "mas_login", outside: Some(MAS), logins: WITH_MAS, paths: &[
        (r"^/_matrix/client/(api/v1|[^/]*)/(login|logout|refresh)(/|$)", "GET /_matrix/client/v3/login"),
    ], ..SET },
    // Only the main process serves the other methods of these two.
    EndpointSet { name: "method_bound_read", methods: &["GET"], roles: &["client_reader"], paths: &[
        (r"^/_matrix/client/unstable/org\.matrix\.msc4140/delayed_events(/[^/]*)?$", "GET /_matrix/client/unstable/org.matrix.msc4140/delayed_events"),
        (r"^/_synapse/admin/v2/users/[^/]*$", "GET /_synapse/admin/v2/users/@u:example.com"),
    ], ..SET },
    EndpointSet { name: "delayed_event_restart", roles: &["client_reader"], paths: &[
        (r"^/_matrix/client/unstable/org\.matrix\.msc4140/delayed_events/[^/]*/restart$", "POST /_matrix/client/unstable/org.matrix.msc4140/delayed_events/d1/restart"),
    ], ..SET },
    EndpointSet { name: "user_directory", roles: &["user_dir", "client_reader"], paths: &[
        (v!("user_directory/search$"), "POST /_matrix/client/v3/user_directory/search"),
    ], ..SET },

    // If there is a media worker, the main process serves none of these.
    EndpointSet { name: "media", roles: &["media_repository"], paths: &[
        (r"^/_matrix/(media|client/v1/media|federation/v1/media)/", "GET /_matrix/client/v1/media/config"),
        (r"^/_synapse/admin/v1/(media/|quarantine_media/|purge_media_cache$)", "GET /_synapse/admin/v1/media/example.com/abc"),
        (r"^/_synapse/admin/v1/room/[^/]*/media(/quarantine)?$", "GET /_synapse/admin/v1/room/!r:example.com/media"),
        (r"^/_synapse/admin/v1/(users/[^/]*/media|user/[^/]*/media/quarantine)$", "GET /_synapse/admin/v1/users/@u:example.com/media"),
    ], ..SET },

    // A federation_reader can receive transactions too, still balanced by origin.
    EndpointSet { name: "federation_send", roles: &["federation_inbound", "federation_reader"], balance: Some(Balance::Origin), paths: &[
        (r"^/_matrix/federation/v1/send/", "PUT /_matrix/federation/v1/send/123"),
    ], ..SET },
    EndpointSet { name: "federation_read", roles: &["federation_reader"], paths: &[
        (r"^/_matrix/federation/v1/(event|state|state_ids|backfill|get_missing_events|event_auth|timestamp_to_event|hierarchy)/", "GET /_matrix/federation/v1/event/$e"),
        // `exchange_third_party_invite` is not listed, because it sends a request to the identity server of the
        // invitation (handlers/federation.py).
        (r"^/_matrix/federation/v1/(make_join|make_leave|make_knock|send_knock)/", "GET /_matrix/federation/v1/make_join/!r:example.com/@u:example.com"),
        (r"^/_matrix/federation/(v1|v2)/(send_join|send_leave|invite)/", "PUT /_matrix/federation/v2/send_join/!r:example.com/$e"),
        (r"^/_matrix/federation/v1/(version|publicRooms|user/keys/(query|claim))$", "GET /_matrix/federation/v1/version"),
        (r"^/_matrix/federation/v1/(query|user/devices)/", "GET /_matrix/federation/v1/query/profile"),
        (r"^/_matrix/key/v2/query(/|$)", "POST /_matrix/key/v2/query"),
    ], ..SET },

    EndpointSet { name: "single_sign_on", roles: &["sso_login"], logins: WITHOUT_MAS, needs: Some("a single sign-on provider"), paths: &[
        (v1!("login/((sso|cas)/redirect(/|$)|cas/ticket$)"), "GET /_matrix/client/v3/login/sso/redirect"),
        (r"^/_synapse/client/(pick_idp|pick_username|new_user_consent|sso_register|oidc|saml2)(/|$)", "GET /_synapse/client/pick_idp"),
    ], ..SET },
    EndpointSet { name: "auth_metadata", roles: &["mas_helper", "client_reader"], logins: WITH_MAS, paths: &[
        (r"^/_matrix/client/(v1|unstable|unstable/org\.matrix\.msc2965)/auth_metadata$", "GET /_matrix/client/v1/auth_metadata"),
    ], ..SET },
    EndpointSet { name: "mas", roles: &["mas_helper"], logins: WITH_MAS, paths: &[
        (r"^/_synapse/mas/", "POST /_synapse/mas/provision_user"),
    ], ..SET },
];
