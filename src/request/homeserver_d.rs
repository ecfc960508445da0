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
    use std::collections::BTreeSet;

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

    /// Settings, each with the keys that it reserves.
    const RESERVING: &[(&str, &[&str])] = &[
        (
            "registration: {enabled: true}",
            &[
                "enable_registration",
                "enable_registration_captcha",
                "registrations_require_3pid",
                "registration_requires_token",
                "enable_registration_without_verification",
            ],
        ),
        (
            "registration: {allow_guests: true}",
            &["allow_guest_access"],
        ),
        (
            "registration: {recaptcha_public_key: k}",
            &[
                "recaptcha_public_key",
                "recaptcha_public_key_path",
                "recaptcha_private_key",
                "recaptcha_private_key_path",
            ],
        ),
        ("email: {enabled: true}", &["email"]),
        ("url_previews: {enabled: true}", &["url_preview_enabled"]),
        (
            "default_identity_server: https://id.test",
            &["default_identity_server"],
        ),
        (
            "public_baseurl: https://m.test\nserve_server_wellknown: true",
            &["serve_server_wellknown"],
        ),
        (
            "app_services: {directory: /srv}",
            &["app_service_config_files"],
        ),
        (
            "app_services: {files: [/srv/a.yaml]}",
            &["app_service_config_files"],
        ),
        ("caches: {global_factor: 2}", &["caches"]),
        ("caches: {event_cache_size: 20K}", &["event_cache_size"]),
        ("manhole: {main: true}", &["manhole", "manhole_settings"]),
        ("manhole: {workers: true}", &["manhole", "manhole_settings"]),
        ("metrics: {enabled: true}", &["enable_metrics"]),
        (
            "turn: {uris: [\"turn:t.test\"]}",
            &["turn_uris", "turn_shared_secret", "turn_shared_secret_path"],
        ),
        (
            "coturn: {enabled: true}",
            &["turn_uris", "turn_shared_secret", "turn_shared_secret_path"],
        ),
    ];

    /// The keys that these settings reserve.
    fn reserved(lines: &str) -> BTreeSet<&'static str> {
        let settings = settings(lines);
        let refused = |key: &&str| match check(format!("{key}: 1\n").as_bytes(), &settings) {
            Ok(()) => false,
            Err(error) => {
                assert!(format!("{error:#}").contains(key), "{key}: {error:#}");
                true
            }
        };
        all_reserved().map(|row| row.key).filter(refused).collect()
    }

    #[test]
    fn each_setting_reserves_its_keys_and_no_other() {
        let always = reserved("");
        let mut all = always.clone();
        for (lines, keys) in RESERVING {
            let more: BTreeSet<&str> = reserved(lines).difference(&always).copied().collect();
            assert_eq!(more, keys.iter().copied().collect(), "{lines}");
            all.extend(more);
        }
        assert_eq!(all, all_reserved().map(|row| row.key).collect());
        for key in [
            "server_name",
            "database",
            "redis",
            "stream_writers",
            "pid_file",
        ] {
            assert!(always.contains(key), "{key}");
        }
    }

    #[test]
    fn other_options_pass_and_files_without_options_are_refused() {
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
        assert!(check(b"- 1\n", &settings("")).is_err());
        let error = check(b"a: 1\nb: [\n", &settings("")).unwrap_err();
        assert!(format!("{error:#}").contains("line"), "{error:#}");
    }
}
