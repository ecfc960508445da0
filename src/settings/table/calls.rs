//! The sections of calls: TURN for calls between two clients, MatrixRTC for Element Call.

use crate::settings::fragment::Values;
use crate::settings::origin::SettingsError;
use crate::settings::row::{Row, Section, section};
use crate::settings::types::{BaseUrl, Port, Span, Transport, Transports, TurnUri, Whole};
use crate::settings::value::{Raw, Value};
use serde_json::json;
use std::net::IpAddr;

section! {
    /// TURN servers, which relay calls of clients behind firewalls.
    turn: Turn {
        /// The URIs of TURN servers for clients, such as turn:turn.example.org?transport=udp. If empty,
        /// those of `coturn`, if it is enabled.
        uris: Vec<TurnUri>, env "SYNAPSE_TURN_URIS";
    }
}

section! {
    /// A TURN server on this host.
    coturn: Coturn {
        /// Run coturn on this host.
        enabled: bool = "false", env "SYNAPSE_ENABLE_BUILTIN_COTURN";

        /// The first UDP port for relayed calls. Each relayed stream takes one port, and a video call of two
        /// dual-stack devices up to 24.
        min_port: Whole<1_024, 65_535> = "49153", env "COTURN_MIN_PORT";

        /// The last UDP port for relayed calls.
        max_port: Whole<1_024, 65_535> = "49652", env "COTURN_MAX_PORT";

        /// The public address of this host, to be set behind NAT. If empty, internal_ip.
        external_ip: Option<IpAddr>, env "COTURN_EXTERNAL_IP";

        /// The local address that coturn uses. If empty, the address of the default route.
        internal_ip: Option<IpAddr>, env "COTURN_INTERNAL_IP";

        /// The port for clients without TLS, UDP and TCP.
        port: Port = "3478";

        /// The port for clients over TLS, UDP and TCP. Used only if tls.certificate is set.
        tls_port: Port = "5349";

        /// Also collect the metrics of coturn. If coturn was built without Prometheus support, only the
        /// relays in use are counted.
        metrics: bool = "false", env "COTURN_METRICS";
    }
}

section! {
    /// MatrixRTC: the calls of Element Call, which a LiveKit server relays. docs/calls.md describes the
    /// programs that it needs. If a transport is set, Synapse also gets the options that calls need.
    rtc: Rtc {
        /// The https URL of the authorization service of LiveKit (lk-jwt-service), which becomes the first
        /// transport. Requires public_baseurl.
        livekit_service_url: Option<BaseUrl>;

        /// Further transports, in the order in which clients see them (MSC4143).
        transports: Transports;

        /// The maximum delay of an event that a client schedules (MSC4140). Clients schedule the event that
        /// ends their part in a call, so that a client that disappears does not stay in it.
        max_event_delay_duration: Span = "24h";
    }
}

impl Rtc {
    /// Every transport; none if MatrixRTC is off.
    pub fn all(&self) -> Vec<Transport> {
        let livekit = self.livekit_service_url.as_ref().map(|url| {
            let fields = [("type", "livekit"), ("livekit_service_url", url.as_str())];
            let field = |(key, value): (&str, &str)| (key.to_owned(), json!(value));
            fields.into_iter().map(field).collect()
        });
        let further = self.transports.get().iter().cloned();
        livekit.into_iter().chain(further).collect()
    }

    /// Whether there is a transport.
    pub fn is_on(&self) -> bool {
        self.livekit_service_url.is_some() || !self.transports.get().is_empty()
    }
}
