//! The administrator's own Synapse options (`homeserver.d/*.yaml`): passed on untouched, but for keys that would break
//! what the settings say elsewhere. Those are refused, since Synapse would silently take one or the other.

use crate::host;
use crate::render::OwnOptions;
use anyhow::{Context, Result, bail};
use serde_yaml::Value;
use std::path::Path;

/// Keys that belong to the settings or to the worker set, and where the administrator sets them instead.
pub static OWNED: &[(&str, &str)] = &[
    ("server_name", "`server_name`"),
    ("report_stats", "`report_stats`"),
    ("public_baseurl", "`public_baseurl`"),
    ("database", "`database:`"),
    ("media_store_path", "`media_store_path`"),
    (
        "max_upload_size",
        "`max_upload_size`, which nginx has to know as well",
    ),
    ("log_config", "`log_level`"),
    ("listeners", "`http_port` and `bind_addresses`"),
    ("signing_key_path", "the key's place, which is fixed"),
    (
        "registration_shared_secret_path",
        "the directory of secrets",
    ),
    ("macaroon_secret_key_path", "the directory of secrets"),
    ("form_secret_path", "the directory of secrets"),
    ("worker_replication_secret", "the directory of secrets"),
    ("worker_replication_secret_path", "the directory of secrets"),
    ("redis", "`workers`"),
    ("instance_map", "`workers`"),
    ("stream_writers", "`workers`"),
    ("federation_sender_instances", "`workers`"),
    ("pusher_instances", "`workers`"),
    ("run_background_tasks_on", "`workers`"),
    ("update_user_directory_from_worker", "`workers`"),
    ("notify_appservices_from_worker", "`workers`"),
    ("enable_media_repo", "`workers`"),
    ("media_instance_running_background_jobs", "`workers`"),
    ("worker_app", "`workers`"),
    ("worker_name", "`workers`"),
    ("worker_listeners", "`workers`"),
    ("worker_log_config", "`log_level`"),
    ("daemonize", "systemd, which runs the processes"),
    ("pid_file", "systemd, which runs the processes"),
];

/// Reads every `*.yaml` in the directory.
///
/// # Errors
/// Names the file and line of what is not YAML, and every key that is set elsewhere.
pub fn read(directory: &Path) -> Result<OwnOptions> {
    let mut options = OwnOptions::new();
    for name in host::names(directory) {
        // As Synapse does: other endings are not read.
        if !name.ends_with(".yaml") {
            continue;
        }
        let path = directory.join(&name);
        let Some(contents) = host::read(&path)? else {
            continue;
        };
        check(&contents).with_context(|| path.display().to_string())?;
        options.insert(name, contents);
    }
    Ok(options)
}

fn check(contents: &[u8]) -> Result<()> {
    let document: Value = serde_yaml::from_slice(contents).context("is not YAML")?;
    let mapping = match document {
        Value::Null => return Ok(()),
        Value::Mapping(mapping) => mapping,
        _ => bail!("must hold options, as in homeserver.yaml"),
    };
    for (key, instead) in OWNED {
        if mapping.contains_key(*key) {
            bail!("`{key}` cannot be set here; it comes from {instead} of synapse-workers");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_options_pass_and_owned_keys_do_not() {
        for good in [
            "",
            "# nothing\n",
            "presence: {enabled: false}\n",
            "caches: {global_factor: 2}\n",
        ] {
            assert!(check(good.as_bytes()).is_ok(), "{good}");
        }
        for (key, _) in OWNED {
            let error = check(format!("{key}: 1\n").as_bytes()).unwrap_err();
            assert!(format!("{error:#}").contains(key));
        }
        assert!(check(b"- 1\n").is_err());
        let error = check(b"a: 1\nb: [\n").unwrap_err();
        assert!(format!("{error:#}").contains("line"), "{error:#}");
    }
}
