//! The options of Synapse for MatrixRTC, and the additional keys of the file /.well-known/matrix/client, in which clients
//! find its transports.
//!
//! Source: "Self-Hosting Element Call" in the documents of Element Call, and `synapse/config` of 1.163.2. Features and
//! rate limits are rendered unless the administrator sets their option: Synapse merges files by top-level key, so one of
//! two values would be lost.

use super::Deployment;
use super::owned_keys::{CLIENT_FILE, RTC};
use crate::settings::TRANSPORTS_KEY;
use serde_json::{Map, Value, json};

/// The option that contains the experimental features.
pub const FEATURES: &str = "experimental_features";

/// A feature that calls need.
pub struct Feature {
    /// Its name in [`FEATURES`].
    pub name: &'static str,
    /// Whether Synapse 1.163.2 knows it. Earlier releases need the others too.
    pub is_current: bool,
}

/// The features that calls need.
#[rustfmt::skip] // one feature per line
pub static NEEDED: [Feature; 3] = [
    // Summaries of rooms in which a user is not, for a request to join a call. Newer releases always have them.
    Feature { name: "msc3266_enabled", is_current: false },
    // The endpoint that lists the transports.
    Feature { name: "msc4143_enabled", is_current: true },
    // The state after a sync, by which clients follow who is in a call.
    Feature { name: "msc4222_enabled", is_current: true },
];

/// A rate limit (config/ratelimiting.py).
pub struct Limit {
    /// The option.
    pub option: &'static str,
    /// The rate per second and the burst that calls need.
    pub needed: (f64, u32),
    /// Those of Synapse if the option lacks them.
    pub default: (f64, u32),
}

/// The rate limits that calls need.
#[rustfmt::skip] // one limit per line
pub static LIMITS: [Limit; 2] = [
    // Each participant sends its key to the others.
    Limit { option: "rc_message", needed: (0.5, 30), default: (0.2, 10) },
    // Each client postpones the end of its part every few seconds.
    Limit { option: "rc_delayed_event_mgmt", needed: (1.0, 20), default: (1.0, 5) },
];

impl Deployment {
    /// The options for MatrixRTC and for /.well-known/matrix/client, by key.
    pub fn options_for_clients(&self) -> Vec<(&'static str, Value)> {
        let rtc = &self.settings.rtc;
        let file = self.client_file();
        let file = (!file.is_empty()).then_some((CLIENT_FILE, Value::Object(file)));
        let mut options: Vec<_> = file.into_iter().collect();
        if !rtc.is_on() {
            return options;
        }
        let [transports, delay] = RTC;
        let seconds = rtc.max_event_delay_duration.seconds();
        options.push((transports, json!({"transports": rtc.all()})));
        options.push((delay, json!(format!("{seconds}s"))));
        let features = NEEDED.iter().map(|it| (it.name.to_owned(), json!(true)));
        let limits = LIMITS.iter().map(|limit| {
            let (rate, burst) = limit.needed;
            let value = json!({"per_second": rate, "burst_count": burst});
            (limit.option, value)
        });
        let needed = [(FEATURES, Value::Object(features.collect()))];
        let needed = needed.into_iter().chain(limits);
        options.extend(needed.filter(|(key, _)| self.option(key).is_none()));
        options
    }

    /// The additional keys of /.well-known/matrix/client; none if no setting adds one. Those of an adopted server stay.
    fn client_file(&self) -> Map<String, Value> {
        let mut own = self.settings.well_known.client.get().clone();
        let transports = self.settings.rtc.all();
        if !transports.is_empty() {
            own.insert(TRANSPORTS_KEY.to_owned(), json!(transports));
        }
        let adopted = self.adopted.option(CLIENT_FILE);
        let adopted = adopted.and_then(|keys| serde_json::to_value(keys).ok());
        match adopted {
            Some(Value::Object(adopted)) if !own.is_empty() => {
                adopted.into_iter().chain(own).collect()
            }
            _ => own,
        }
    }
}
