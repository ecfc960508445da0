//! homeserver.d options: Synapse options of the administrator (`homeserver.d/*.yaml`), passed on unchanged. Keys that
//! would contradict the settings are rejected, because Synapse would silently take one or the other. The same holds for
//! a key in two files.

use crate::deployment::{SynapseOptions, mas};
use crate::host;
use crate::pyyaml::{self, Options};
use crate::settings::value::Value;
use crate::settings::{Row, Settings};
use crate::topology::WORKER_KEYS;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
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
    always("databases", "use the settings in `database`; a database in several parts is not supported"),
    always("media_store_path", "use the setting `media_store_path`"),
    always("max_upload_size", "use the setting `max_upload_size`, which nginx needs as well"),
    always("extra_well_known_client_content", "use the setting `well_known.client`"),
    always("log_config", LOGGING),
    always("listeners", LISTENERS),
    // Names of earlier releases (config/server.py), each of which opens another port.
    always("bind_port", LISTENERS),
    always("bind_host", LISTENERS),
    always("metrics_port", "use the settings in `metrics`"),
    always("metrics_bind_host", "use the settings in `metrics`"),
    always("signing_key_path", "the path is fixed"),
    always("signing_key", "it is the file /var/lib/synapse/signing.key"),
    always("registration_shared_secret", SECRETS),
    always("registration_shared_secret_path", SECRETS),
    always("macaroon_secret_key", SECRETS),
    always("macaroon_secret_key_path", SECRETS),
    always("form_secret", SECRETS),
    always("form_secret_path", SECRETS),
    always("redis", "use the settings in `redis`"),
    always("daemonize", SYSTEMD),
    always("pid_file", SYSTEMD),
    always(mas::KEY, "use the settings in `mas`"),
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
    reserved("matrix_rtc", RTC, has_rtc),
    reserved("max_event_delay_duration", RTC, has_rtc),
];

const LOGGING: &str = "use the setting `log_level` or `log_config`";
const LISTENERS: &str = "use the settings `http_port` and `bind_addresses`";
const SECRETS: &str = "it is a file in the directory of secrets";
const SYSTEMD: &str = "systemd runs the processes";
const REGISTRATION: &str = "use the settings in `registration`";
const MANHOLE: &str = "use the settings in `manhole`";
const TURN: &str = "use the settings in `turn` or `coturn`";
const RTC: &str = "use the settings in `rtc`";

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

/// The options, and the files that set each key.
#[derive(Default)]
pub struct Own {
    /// Contents by file name.
    pub files: SynapseOptions,
    /// Notes for the administrator.
    pub notes: Vec<String>,
    /// The path and line of each top-level key.
    pub places: BTreeMap<String, String>,
}

/// Reads every `*.yaml` in the directory.
///
/// # Errors
/// Names the file and line of invalid YAML, of every reserved key, and of every key in two files.
pub fn read(directory: &Path, settings: &Settings) -> Result<Own> {
    let mut own = Own::default();
    let mut problems = Vec::new();
    for name in host::names(directory) {
        let path = directory.join(&name);
        // Synapse ignores files with other extensions (config/_base.py, `find_config_files`).
        if !name.ends_with(".yaml") {
            own.notes.extend(ignored(&path, &name));
            continue;
        }
        let Some(contents) = host::read(&path)? else {
            continue;
        };
        let path = path.display();
        let options = pyyaml::options(&contents).with_context(|| path.to_string())?;
        let refused = refused(&options, settings).into_iter();
        problems.extend(refused.map(|(line, problem)| format!("{path} line {line}: {problem}")));
        let repeated = options.repeated.into_iter();
        own.notes
            .extend(repeated.map(|note| format!("{path}: {note}")));
        for (key, line) in options.lines {
            let place = format!("{path} line {line}");
            if let Some(other) = own.places.get(&key) {
                problems.push(format!(
                    "{place}: `{key}` is also set in {other}, and Synapse would use only one of the two; join them in one file"
                ));
            }
            own.places.insert(key, place);
        }
        own.files.insert(name, contents);
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n  "));
    Ok(own)
}

/// The note on a file that Synapse ignores. Hidden files and a README are not meant for Synapse.
fn ignored(path: &Path, name: &str) -> Option<String> {
    let meant = !name.starts_with('.') && !name.to_uppercase().starts_with("README");
    let (stem, _) = name.split_once('.').unwrap_or((name, ""));
    meant.then(|| {
        format!(
            "{} has no effect, because Synapse reads only files whose names end with .yaml; rename it to {stem}.yaml, or \
             remove it",
            path.display()
        )
    })
}

/// The reserved keys in a file, each with its line and what to use in its place.
fn refused(options: &Options, settings: &Settings) -> Vec<(usize, String)> {
    let reserved = RESERVED.iter();
    let reserved = reserved
        .filter(|row| options.mapping.contains_key(row.key) && (row.when)(settings))
        .map(|row| (row.key, row.instead));
    let of_workers = WORKER_KEYS.iter();
    let of_workers = of_workers
        .filter(|row| {
            let value = options.mapping.get(row.key);
            value.is_some_and(|value| row.divides(value))
        })
        .map(|row| (row.key, row.instead));
    reserved
        .chain(of_workers)
        .map(|(key, instead)| {
            let line = options.lines.get(key).copied().unwrap_or(1);
            (line, format!("`{key}` cannot be set here; {instead}"))
        })
        .collect()
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
        (
            "public_baseurl: https://m.test\nrtc: {livekit_service_url: https://r.test}",
            &["matrix_rtc", "max_event_delay_duration"],
        ),
        (
            "public_baseurl: https://m.test\nrtc: {transports: [{type: org.example.mesh}]}",
            &["matrix_rtc", "max_event_delay_duration"],
        ),
    ];

    fn check(contents: &str, settings: &Settings) -> Result<Vec<(usize, String)>> {
        Ok(refused(&pyyaml::options(contents.as_bytes())?, settings))
    }

    fn all_keys() -> impl Iterator<Item = &'static str> {
        let of_workers = WORKER_KEYS.iter().map(|row| row.key);
        RESERVED.iter().map(|row| row.key).chain(of_workers)
    }

    /// The keys that these settings reserve.
    fn reserved(lines: &str) -> BTreeSet<&'static str> {
        let all: String = all_keys().map(|key| format!("{key}: 1\n")).collect();
        let refused = check(&all, &settings(lines)).unwrap();
        let named = |key: &&str| {
            let mut refused = refused.iter();
            refused.any(|(_, problem)| problem.starts_with(&format!("`{key}` ")))
        };
        all_keys().filter(named).collect()
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
        assert_eq!(all, all_keys().collect());
        for key in [
            "server_name",
            "database",
            "databases",
            "redis",
            "stream_writers",
            "send_federation",
            "start_pushers",
            "notify_appservices",
            "update_user_directory",
            "worker_manhole",
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
            "send_federation: yes\nstream_writers: {}\nrun_background_tasks_on:\n",
            "matrix_rtc: {transports: []}\nmax_event_delay_duration: 1h\n",
        ] {
            let refused = check(good, &settings("")).unwrap();
            assert!(refused.is_empty(), "{good}: {refused:?}");
        }
        assert!(check("- 1\n", &settings("")).is_err());
        let error = check("a: 1\nb: [\n", &settings("")).unwrap_err();
        assert!(format!("{error:#}").contains("line"), "{error:#}");
        let refused = check("a: 1\nsend_federation: no\nredis: {}\n", &settings("")).unwrap();
        let lines: Vec<usize> = refused.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 2]);
    }
}
