//! The files of a backup, besides the database and the media.

use super::Deployment;
use crate::settings::types::AbsolutePath;
use crate::state::paths;
use std::collections::BTreeSet;

impl Deployment {
    /// The paths of all files on the host that make this server what it is, except the settings file: secrets, the signing
    /// key, the options of the administrator, and the files that settings name. Some of them need not exist.
    pub fn saved_files(&self) -> BTreeSet<String> {
        let settings = &self.settings;
        let secrets = self.secrets().map(|secret| paths::secret(secret.name));
        let options = self.homeserver_d.keys();
        let options = options.map(|name| format!("{}/{name}", paths::HOMESERVER_D));
        let named = [
            &settings.log_config,
            &settings.tls.certificate,
            &settings.tls.key,
            &settings.database.sslrootcert,
            &settings.redis.ca_file,
            &settings.backup.environment_file,
        ];
        let passwords = self.secrets().filter_map(|secret| (secret.file)(settings));
        let text = |path: &AbsolutePath| path.as_str().to_owned();
        let named = named.into_iter().flatten().chain(passwords);
        let lists = settings.adopt.config.iter().chain(&settings.nginx.include);
        let mut saved: BTreeSet<String> = named.chain(lists).map(text).collect();
        saved.extend(secrets.chain(options));
        saved.extend(self.referenced.app_services.keys().cloned());
        let key = self.adopted.text("signing_key_path");
        saved.insert(key.unwrap_or(paths::SIGNING_KEY).to_owned());
        saved
    }
}
