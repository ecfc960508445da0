//! The keys of Synapse that this program owns: the settings decide their values, because nginx, the units or other
//! files depend on them too. homeserver.d must not contain them, and of an adopted file they become settings.
//!
//! Synapse merges files by top-level key and the later file wins, so a value in another file would silently replace the
//! one from the settings, or have no effect itself. [`WORKER_KEYS`](crate::topology::WORKER_KEYS) is the list of the
//! keys that divide work.

use super::mas;
use crate::settings::value::Value;
use crate::settings::{Row, Settings};

/// The option with additional keys of /.well-known/matrix/client.
pub const CLIENT_FILE: &str = "extra_well_known_client_content";
/// The options of MatrixRTC.
pub const RTC: [&str; 2] = ["matrix_rtc", "max_event_delay_duration"];

/// A key of Synapse that this program owns.
#[derive(Clone, Copy)]
pub struct OwnedKey {
    /// The name of the key.
    pub key: &'static str,
    /// What the administrator uses in its place.
    pub instead: &'static str,
    /// The condition under which homeserver.d must not contain the key; otherwise the administrator may set it.
    pub when: fn(&Settings) -> bool,
    /// The fate of its value in adopted files.
    pub adopted: Adoption,
}

/// The fate of the value of an owned key in adopted files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// It stays in effect, and rendered files omit the key.
    Kept,
    /// It becomes the setting of this name; from then on, the setting decides.
    Imported(&'static str),
    /// It is converted into several settings.
    Converted,
    /// The rendered value contains it.
    Merged,
    /// It stays in effect unless the settings set a value.
    Replaced,
    /// It has no effect, and a note says so.
    Dropped,
    /// As `Dropped`; a rendered file sets it to null, because the adopted value would open a port.
    Closed,
    /// It has no effect, and no value of it would.
    Meaningless,
    /// The server is refused.
    Refused,
}

use Adoption::{
    Closed, Converted, Dropped, Imported, Kept, Meaningless, Merged, Refused, Replaced,
};

const fn row(
    key: &'static str,
    instead: &'static str,
    when: fn(&Settings) -> bool,
    adopted: Adoption,
) -> OwnedKey {
    OwnedKey {
        key,
        instead,
        when,
        adopted,
    }
}

/// All owned keys but those that divide work.
#[rustfmt::skip]
pub static OWNED_KEYS: &[OwnedKey] = &[
    row("server_name", "use the setting `server_name`", always, Imported("server_name")),
    row("report_stats", "use the setting `report_stats`", always, Imported("report_stats")),
    row("public_baseurl", "use the setting `public_baseurl`", always, Imported("public_baseurl")),
    row("serve_server_wellknown", "use the setting `serve_server_wellknown`", |settings| settings.serve_server_wellknown, Imported("serve_server_wellknown")),
    row("max_upload_size", "use the setting `max_upload_size`, which nginx needs as well", always, Imported("max_upload_size")),
    row("media_store_path", "use the setting `media_store_path`", always, Imported("media_store_path")),
    row(CLIENT_FILE, "use the setting `well_known.client`", always, Merged),
    row("database", "use the settings in `database`", always, Kept),
    row("databases", "use the settings in `database`; a database in several parts is not supported", always, Refused),
    row("log_config", "Synapse logs to the journal; use the setting `log_level`, or set log_config to the path of a file", always, Dropped),
    row("listeners", LISTENERS, always, Converted),
    // Names of earlier releases (config/server.py), each of which opens another port.
    row("bind_port", LISTENERS, always, Refused),
    row("bind_host", LISTENERS, always, Meaningless),
    row("metrics_port", METRICS, always, Closed),
    row("metrics_bind_host", METRICS, always, Meaningless),
    row("signing_key_path", "the path is fixed", always, Kept),
    row("signing_key", "it is the file /var/lib/synapse/signing.key", always, Kept),
    row("registration_shared_secret", SECRETS, always, Kept),
    row("registration_shared_secret_path", SECRETS, always, Kept),
    row("macaroon_secret_key", SECRETS, always, Kept),
    row("macaroon_secret_key_path", SECRETS, always, Kept),
    row("form_secret", SECRETS, always, Kept),
    row("form_secret_path", SECRETS, always, Kept),
    row("redis", "use the settings in `redis`: this program runs a Redis for the workers, unless redis.host names another one", always, Dropped),
    row("daemonize", SYSTEMD, always, Meaningless),
    row("pid_file", SYSTEMD, always, Meaningless),
    row(mas::KEY, "use the settings in `mas`", always, Kept),
    row("enable_registration", REGISTRATION, registers, Kept),
    row("enable_registration_captcha", REGISTRATION, registers, Kept),
    row("registrations_require_3pid", REGISTRATION, registers, Kept),
    row("registration_requires_token", REGISTRATION, registers, Kept),
    row("enable_registration_without_verification", REGISTRATION, registers, Kept),
    row("allow_guest_access", REGISTRATION, |settings| settings.registration.allow_guests, Kept),
    row("recaptcha_public_key", REGISTRATION, has_captcha, Kept),
    row("recaptcha_public_key_path", REGISTRATION, has_captcha, Kept),
    row("recaptcha_private_key", REGISTRATION, has_captcha, Kept),
    row("recaptcha_private_key_path", REGISTRATION, has_captcha, Kept),
    row("email", "use the settings in `email`", |settings| settings.email.enabled, Kept),
    row("url_preview_enabled", "use the settings in `url_previews`", |settings| settings.url_previews.enabled, Kept),
    row("default_identity_server", "use the setting `default_identity_server`", |settings| settings.default_identity_server.is_some(), Kept),
    row("app_service_config_files", "use the settings in `app_services`", has_app_services, Kept),
    row("caches", "use the setting `caches.global_factor`", |settings| !is_default("caches.global_factor", &settings.caches.global_factor), Kept),
    row("event_cache_size", "use the setting `caches.event_cache_size`", |settings| !is_default("caches.event_cache_size", &settings.caches.event_cache_size), Kept),
    row("manhole", MANHOLE, has_manhole, Closed),
    row("manhole_settings", MANHOLE, has_manhole, Kept),
    row("enable_metrics", METRICS, |settings| settings.metrics.enabled, Dropped),
    row("turn_uris", TURN, has_turn, Kept),
    row("turn_shared_secret", TURN, has_turn, Kept),
    row("turn_shared_secret_path", TURN, has_turn, Kept),
    row(RTC[0], RTC_SETTINGS, has_rtc, Replaced),
    row(RTC[1], RTC_SETTINGS, has_rtc, Replaced),
];

const LISTENERS: &str = "use the settings `http_port` and `bind_addresses`";
const METRICS: &str = "use the settings in `metrics`";
const SECRETS: &str = "it is a file in the directory of secrets";
const SYSTEMD: &str = "systemd runs the processes";
const REGISTRATION: &str = "use the settings in `registration`";
const MANHOLE: &str = "use the settings in `manhole`";
const TURN: &str = "use the settings in `turn` or `coturn`";
const RTC_SETTINGS: &str = "use the settings in `rtc`";

fn always(_: &Settings) -> bool {
    true
}

fn has_app_services(settings: &Settings) -> bool {
    let services = &settings.app_services;
    services.directory.is_some() || !services.files.is_empty()
}

fn registers(settings: &Settings) -> bool {
    settings.registration.enabled
}

fn has_captcha(settings: &Settings) -> bool {
    settings.registration.recaptcha_public_key.is_some()
}

fn has_manhole(settings: &Settings) -> bool {
    settings.manhole.main || settings.manhole.workers
}

fn has_turn(settings: &Settings) -> bool {
    settings.coturn.enabled || !settings.turn.uris.is_empty()
}

fn has_rtc(settings: &Settings) -> bool {
    settings.rtc.is_on()
}

/// Whether a setting has its default, which is also that of Synapse, so that no value can be lost.
fn is_default(key: &str, value: &impl Value) -> bool {
    Row::of(key).is_some_and(|row| row.default_raw() == value.to_raw())
}

/// The row of a key.
pub fn owned(key: &str) -> Option<&'static OwnedKey> {
    OWNED_KEYS.iter().find(|row| row.key == key)
}
