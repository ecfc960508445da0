//! homeserver.d options: Synapse options of the administrator (`homeserver.d/*.yaml`), passed on unchanged. Keys that
//! would contradict the settings are rejected, because Synapse would silently take one or the other. The same holds for
//! a key in two files.

use crate::deployment::SynapseOptions;
use crate::deployment::owned_keys::OWNED_KEYS;
use crate::host;
use crate::pyyaml::{self, Options};
use crate::settings::Settings;
use crate::topology::WORKER_KEYS;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;

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
pub(super) fn ignored(path: &Path, name: &str) -> Option<String> {
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
    let reserved = OWNED_KEYS.iter();
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
        OWNED_KEYS.iter().map(|row| row.key).chain(of_workers)
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
