//! homeserver.d options: Synapse options of the administrator (`homeserver.d/*.yaml`), passed on unchanged. Keys that
//! would contradict the settings are rejected, because Synapse would silently take one or the other.

use crate::deployment::SynapseOptions;
use crate::host;
use crate::settings::value::Value;
use crate::settings::{Row, Settings};
use crate::topology::WORKER_KEYS;
use crate::yaml;
use anyhow::{Context, Result, bail};
use serde_yaml::Value as Yaml;
use std::path::Path;

/// A key of Synapse that is reserved, because the settings decide its value.
#[derive(Clone, Copy)]
struct Reserved {
    key: &'static str,
    /// What the administrator uses in its place.
    instead: &'static str,
    /// The condition under which the key is reserved; otherwise the administrator may set it.
    when: fn(&Settings) -> bool,
}

const fn always(key: &'static str, instead: &'static str) -> Reserved {
    reserved(key, instead, |_| true)
}

const fn reserved(
    key: &'static str,
    instead: &'static str,
    when: fn(&Settings) -> bool,
) -> Reserved {
    Reserved { key, instead, when }
}

/// The reserved keys besides [`WORKER_KEYS`]. Synapse merges files by top-level key and the later file wins, so an
/// option of the administrator would silently replace the value from the settings.
#[rustfmt::skip]
static RESERVED: &[Reserved] = &[
    always("server_name", "use the setting `server_name`"),
    always("report_stats", "use the setting `report_stats`"),
    always("public_baseurl", "use the setting `public_baseurl`"),
    always("database", "use the settings in `database`"),
    always("media_store_path", "use the setting `media_store_path`"),
    always("max_upload_size", "use the setting `max_upload_size`, which nginx needs as well"),
    always("log_config", LOGGING),
    always("worker_log_config", LOGGING),
    always("listeners", "use the settings `http_port` and `bind_addresses`"),
    always("signing_key_path", "the path is fixed"),
    always("registration_shared_secret", SECRETS),
    always("registration_shared_secret_path", SECRETS),
    always("macaroon_secret_key", SECRETS),
    always("macaroon_secret_key_path", SECRETS),
    always("form_secret", SECRETS),
    always("form_secret_path", SECRETS),
    always("redis", "use the settings in `redis`"),
    always("daemonize", SYSTEMD),
    always("pid_file", SYSTEMD),
    reserved("enable_registration", REGISTRATION, registers),
    reserved("enable_registration_captcha", REGISTRATION, registers),
    reserved("registrations_require_3pid", REGISTRATION, registers),
    reserved("registration_requires_token", REGISTRATION, registers),
    reserved("enable_registration_without_verification", REGISTRATION, registers),
    reserved("allow_guest_access", REGISTRATION, |settings| settings.registration.allow_guests),
    reserved("recaptcha_public_key", REGISTRATION, has_captcha),
    reserved("recaptcha_public_key_path", REGISTRATION, has_captcha),
    reserved("recaptcha_private_key", REGISTRATION, has_captcha),
    reserved("recaptcha_private_key_path", REGISTRATION, has_captcha),
    reserved("email", "use the settings in `email`", |settings| settings.email.enabled),
    reserved("url_preview_enabled", "use the settings in `url_previews`", |settings| settings.url_previews.enabled),
    reserved("default_identity_server", "use the setting `default_identity_server`", |settings| settings.default_identity_server.is_some()),
    reserved("serve_server_wellknown", "use the setting `serve_server_wellknown`", |settings| settings.serve_server_wellknown),
    reserved("app_service_config_files", "use the settings in `app_services`", has_app_services),
    reserved("caches", "use the setting `caches.global_factor`", |settings| !is_default("caches.global_factor", &settings.caches.global_factor)),
    reserved("event_cache_size", "use the setting `caches.event_cache_size`", |settings| !is_default("caches.event_cache_size", &settings.caches.event_cache_size)),
    reserved("manhole", MANHOLE, has_manhole),
    reserved("manhole_settings", MANHOLE, has_manhole),
    reserved("enable_metrics", "use the settings in `metrics`", |settings| settings.metrics.enabled),
    reserved("turn_uris", TURN, has_turn),
    reserved("turn_shared_secret", TURN, has_turn),
    reserved("turn_shared_secret_path", TURN, has_turn),
];

const LOGGING: &str = "use the setting `log_level` or `log_config`";
const SECRETS: &str = "it is a file in the directory of secrets";
const SYSTEMD: &str = "systemd runs the processes";
const REGISTRATION: &str = "use the settings in `registration`";
const MANHOLE: &str = "use the settings in `manhole`";
const TURN: &str = "use the settings in `turn` or `coturn`";

/// All reserved keys.
fn all_reserved() -> impl Iterator<Item = Reserved> {
    let of_workers = WORKER_KEYS.iter();
    let of_workers = of_workers.filter_map(|row| Some(always(row.key, row.instead?)));
    RESERVED.iter().copied().chain(of_workers)
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

/// Whether a setting has its default, which is also that of Synapse, so that no value can be lost.
fn is_default(key: &str, value: &impl Value) -> bool {
    Row::of(key).is_some_and(|row| row.default_raw() == value.to_raw())
}

/// Reads every `*.yaml` in the directory.
///
/// # Errors
/// Names the file and line of invalid YAML, and every reserved key.
pub fn read(directory: &Path, settings: &Settings) -> Result<SynapseOptions> {
    let mut options = SynapseOptions::new();
    for name in host::names(directory) {
        // Like Synapse, which ignores files with other extensions.
        if !name.ends_with(".yaml") {
            continue;
        }
        let path = directory.join(&name);
        let Some(contents) = host::read(&path)? else {
            continue;
        };
        check(&contents, settings).with_context(|| path.display().to_string())?;
        options.insert(name, contents);
    }
    Ok(options)
}

fn check(contents: &[u8], settings: &Settings) -> Result<()> {
    let document: Yaml = yaml::parse(contents)?;
    let mapping = match document {
        Yaml::Null => return Ok(()),
        Yaml::Mapping(mapping) => mapping,
        _ => bail!("must contain options of Synapse, as in homeserver.yaml"),
    };
    let is_set = |row: &Reserved| mapping.contains_key(row.key) && (row.when)(settings);
    match all_reserved().find(is_set) {
        Some(Reserved { key, instead, .. }) => bail!("`{key}` cannot be set here; {instead}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Sources, load};

    fn settings(lines: &str) -> Settings {
        let file = format!("server_name: example.test\n{lines}");
        let sources = Sources {
            file: Some((Path::new("settings.yaml"), &file)),
            env_file: None,
            environment: &Default::default(),
            flags: &[],
        };
        load(&sources).unwrap().settings
    }

    /// Settings that reserve every key.
    const ALL: &str = "registration: {enabled: true, allow_guests: true, recaptcha_public_key: k}\n\
        email: {enabled: true}\nurl_previews: {enabled: true}\ndefault_identity_server: https://id.test\n\
        public_baseurl: https://m.test\nserve_server_wellknown: true\napp_services: {directory: /srv}\n\
        caches: {global_factor: 2, event_cache_size: 20K}\nmanhole: {main: true}\nmetrics: {enabled: true}\n\
        turn: {uris: [\"turn:t.test\"]}\n";

    #[test]
    fn options_are_accepted_unless_settings_decide_them() {
        for good in [
            "",
            "# nothing\n",
            "presence: {enabled: false}\n",
            "caches: {global_factor: 2}\n",
            "email: {notif_from: a@b.test}\n",
            "url_preview_ip_range_blacklist: []\n",
        ] {
            assert!(check(good.as_bytes(), &settings("")).is_ok(), "{good}");
        }
        for row in all_reserved() {
            let text = format!("{}: 1\n", row.key);
            let error = check(text.as_bytes(), &settings(ALL)).unwrap_err();
            assert!(format!("{error:#}").contains(row.key));
            let free = check(text.as_bytes(), &settings("")).is_ok();
            assert_eq!(free, !(row.when)(&settings("")), "{}", row.key);
        }
        assert!(check(b"- 1\n", &settings("")).is_err());
        let error = check(b"a: 1\nb: [\n", &settings("")).unwrap_err();
        assert!(format!("{error:#}").contains("line"), "{error:#}");
    }
}
