//! An existing Synapse that is adopted: its configuration files keep their place and stay in effect.
//!
//! Synapse reads copies of the adopted files before all rendered files, and if two files contain the same top-level
//! key, the later file wins. Therefore rendered files omit every key that the adopted files set, except for the few
//! keys that this program must control; those come last. This module is pure.

mod import;
mod imported;
mod listeners;

pub use import::import;
pub use imported::Imported;

use super::files::SynapseOptions;
use crate::settings::types::DatabaseKind;
use crate::yaml;
use serde_yaml::{Mapping, Value};

/// The adopted configuration files.
#[derive(Clone, Debug, Default)]
pub struct Adopted {
    /// Contents by the name of the copy. Synapse reads the copies in the order of these names.
    pub copies: SynapseOptions,
    /// The merged options of all files.
    options: Mapping,
}

/// The database of the adopted server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// The path of the SQLite file.
    Sqlite(String),
    /// The connection arguments for PostgreSQL.
    Postgres(Mapping),
}

/// Keys that rendered files set although the adopted files contain them. nginx and the units depend on these values
/// too, so they are imported into the settings.
static OURS: &[&str] = &[
    "server_name",
    "report_stats",
    "public_baseurl",
    "serve_server_wellknown",
    "max_upload_size",
    "media_store_path",
    "enable_metrics",
    "daemonize",
];

/// Keys that are set for new servers only. An adopted server has its own values or works without them.
static OF_NEW_SERVERS: &[&str] = &[
    "signing_key_path",
    "registration_shared_secret_path",
    "macaroon_secret_key_path",
    "form_secret_path",
];

/// Keys that divide work among processes. They would contradict the configured workers, and no later file can remove a
/// key.
static OF_WORKERS: &[&str] = &[
    "instance_map",
    "stream_writers",
    "federation_sender_instances",
    "pusher_instances",
    "run_background_tasks_on",
    "update_user_directory_from_worker",
    "notify_appservices_from_worker",
    "media_instance_running_background_jobs",
    "outbound_federation_restricted_to",
    "enable_media_repo",
    "send_federation",
    "start_pushers",
    "notify_appservices",
    "update_user_directory",
    "worker_app",
    "worker_name",
    "worker_listeners",
    "worker_replication_secret",
    "worker_replication_secret_path",
    "databases",
];

/// Required keys. Without them, Synapse uses a path relative to its working directory.
static PLACES: &[&str] = &["signing_key_path", "media_store_path", "database"];

impl Adopted {
    /// Merges files, each with its path, in the order in which Synapse read them.
    ///
    /// # Errors
    /// Names the file that cannot be read or the conflicting key, with the remedy. The message does not quote contents,
    /// because they include passwords.
    pub fn new(files: Vec<(String, Vec<u8>)>) -> Result<Self, String> {
        let mut adopted = Self::default();
        let mut origin = std::collections::BTreeMap::new();
        for (number, (path, contents)) in files.into_iter().enumerate() {
            let document: Value =
                yaml::parse(&contents).map_err(|error| format!("{path}: {error:#}"))?;
            match document {
                Value::Null => {}
                Value::Mapping(mapping) => {
                    for (key, value) in mapping {
                        if let Some(key) = key.as_str() {
                            origin.insert(key.to_owned(), path.clone());
                        }
                        adopted.options.insert(key, value);
                    }
                }
                _ => return Err(format!("{path}: holds no options of Synapse")),
            }
            let name = path.rsplit('/').next().unwrap_or("homeserver.yaml");
            let name = name.strip_suffix(".yaml").unwrap_or(name);
            adopted
                .copies
                .insert(format!("{number:02}-{name}.yaml"), contents);
        }
        if adopted.is_empty() {
            return Ok(adopted);
        }
        adopted.check(|key| origin.get(key).map_or("adopt.config", String::as_str))?;
        Ok(adopted)
    }

    fn check<'a>(&self, file: impl Fn(&str) -> &'a str) -> Result<(), String> {
        if let Some(key) = OF_WORKERS.iter().find(|key| self.has(key)) {
            return Err(format!(
                "{}: `{key}` divides work among processes, which synapse-workers does itself\n  \
                 help: stop the workers that there are, and take `{key}` out of the file",
                file(key)
            ));
        }
        if let Some(key) = PLACES.iter().find(|key| !self.has(key)) {
            return Err(format!(
                "{}: `{key}` is not set, so that its place depends on where Synapse is started\n  \
                 help: set it in that file to what it is, with an absolute path",
                file("server_name")
            ));
        }
        let relative = self.options.iter().find_map(|(key, value)| {
            let (key, path) = (key.as_str()?, value.as_str()?);
            (key.ends_with("_path") && !path.starts_with('/')).then_some((key, path))
        });
        let sqlite = match self.store() {
            Some(Store::Sqlite(path)) if !path.starts_with('/') => Some(("database", path)),
            _ => None,
        };
        let relative = relative
            .map(|(key, path)| (key, path.to_owned()))
            .or(sqlite);
        match relative {
            Some((key, path)) => Err(format!(
                "{}: `{key}` is {path:?}, and depends on where Synapse is started\n  \
                 help: write it with an absolute path there",
                file(key)
            )),
            None if self.store().is_none() => Err(format!(
                "{}: `database` is neither sqlite3 nor psycopg2 with arguments",
                file("database")
            )),
            None => Ok(()),
        }
    }

    /// Whether no server was adopted.
    pub fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }

    /// Whether one of the adopted files sets this top-level key, even to null.
    pub fn has(&self, key: &str) -> bool {
        self.options.contains_key(key)
    }

    /// The value of a top-level key, if it is a string.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.options.get(key)?.as_str()
    }

    /// The database of the adopted server (config_documentation.md, `database`).
    pub fn store(&self) -> Option<Store> {
        let database = self.options.get("database")?.as_mapping()?;
        let arguments = database.get("args")?.as_mapping()?;
        match database.get("name")?.as_str()? {
            "sqlite3" => Some(Store::Sqlite(
                arguments.get("database")?.as_str()?.to_owned(),
            )),
            "psycopg2" => Some(Store::Postgres(arguments.clone())),
            _ => None,
        }
    }

    /// The password for PostgreSQL, if the files contain one.
    pub fn database_password(&self) -> Option<String> {
        match self.store()? {
            Store::Postgres(arguments) => imported::scalar(arguments.get("password")?),
            Store::Sqlite(_) => None,
        }
    }

    /// The maximum number of PostgreSQL connections per process.
    pub fn pool(&self) -> Option<String> {
        match self.store()? {
            Store::Postgres(arguments) => Some(import::pool(&arguments)),
            Store::Sqlite(_) => None,
        }
    }

    /// The path of the SQLite file, if the server uses SQLite.
    pub fn sqlite(&self) -> Option<String> {
        match self.store()? {
            Store::Sqlite(path) => Some(path),
            Store::Postgres(_) => None,
        }
    }

    /// The directory, besides the media store, that Synapse must be able to write to.
    pub fn writable(&self) -> Option<String> {
        let file = self.sqlite()?;
        let (directory, _) = file.rsplit_once('/')?;
        Some(directory.to_owned())
    }

    /// Files and directories that must exist at the paths that the adopted files name.
    pub fn places(&self) -> Vec<String> {
        let named = ["signing_key_path", "media_store_path"].map(|key| self.text(key));
        let mut places: Vec<String> = named.into_iter().flatten().map(str::to_owned).collect();
        places.extend(self.sqlite());
        let registrations = self.options.get("app_service_config_files");
        let registrations = registrations.and_then(Value::as_sequence);
        places.extend(
            registrations
                .into_iter()
                .flatten()
                .filter_map(|path| Some(path.as_str()?.to_owned())),
        );
        places
    }

    /// Whether rendered files omit a key because the adopted files decide it. The answer depends on the database in
    /// use.
    pub fn decides(&self, key: &str, database: DatabaseKind) -> bool {
        if self.is_empty() || OURS.contains(&key) {
            return false;
        }
        if key == "database" {
            // After a migration from SQLite to PostgreSQL, the rendered key names the new database.
            return self.sqlite().is_none() || database == DatabaseKind::Sqlite;
        }
        // Synapse rejects a secret together with the path of its file.
        let other = match key.strip_suffix("_path") {
            Some(value) => value.to_owned(),
            None => format!("{key}_path"),
        };
        OF_NEW_SERVERS.contains(&key) || self.has(key) || self.has(&other)
    }

    /// Removes the top-level keys that the adopted files decide from rendered options, in which every key begins a
    /// line.
    pub fn without(&self, text: &str, database: DatabaseKind) -> String {
        let mut kept = true;
        let mut lines = Vec::new();
        for line in text.lines() {
            let begins = line.starts_with(|first: char| first.is_ascii_alphabetic());
            if begins && let Some((key, _)) = line.split_once(':') {
                kept = !self.decides(key, database);
            }
            if kept {
                lines.push(line);
            }
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "server_name: a.test\nsigning_key_path: /k\nmedia_store_path: /m\n\
                        database: {name: psycopg2, args: {user: u, password: p, dbname: d}}\n";

    fn adopted(more: &str) -> Result<Adopted, String> {
        Adopted::new(vec![
            ("/etc/x/homeserver.yaml".to_owned(), GOOD.into()),
            ("/etc/x/conf.d/more.yaml".to_owned(), more.into()),
        ])
    }

    #[test]
    fn what_the_files_say_stays_and_what_must_be_ours_is_ours() {
        let adopted = adopted("email: {smtp_host: a}\nturn_shared_secret: x\n").unwrap();
        let names: Vec<&String> = adopted.copies.keys().collect();
        assert_eq!(names, ["00-homeserver.yaml", "01-more.yaml"]);
        let ours = "# Head.\nserver_name: \"a.test\"\nsigning_key_path: \"/o\"\nemail:\n  smtp_host: \"b\"\n\
                    turn_shared_secret_path: \"/t\"\ndatabase:\n  name: psycopg2\ncaches:\n  global_factor: 0.5";
        assert_eq!(
            adopted.without(ours, DatabaseKind::External),
            "# Head.\nserver_name: \"a.test\"\ncaches:\n  global_factor: 0.5"
        );
        assert_eq!(Adopted::default().without(ours, DatabaseKind::Local), ours);
        assert_eq!(adopted.database_password().as_deref(), Some("p"));
    }

    #[test]
    fn what_stands_in_the_way_is_named_with_its_file() {
        for (more, told) in [
            (
                "instance_map: {}",
                "/etc/x/conf.d/more.yaml: `instance_map`",
            ),
            ("media_store_path: media", "`media_store_path` is \"media\""),
            (
                "database: {name: sqlite3, args: {database: x.db}}",
                "`database` is \"x.db\"",
            ),
            ("database: {name: other}", "neither sqlite3 nor psycopg2"),
            ("a: [", "/etc/x/conf.d/more.yaml: is not YAML"),
            ("- 1", "holds no options"),
        ] {
            let error = adopted(more).unwrap_err();
            assert!(error.contains(told), "{more}: {error}");
        }
        let lacking = vec![("/h.yaml".to_owned(), b"server_name: a.test\n".to_vec())];
        let error = Adopted::new(lacking).unwrap_err();
        assert!(error.contains("`signing_key_path` is not set"), "{error}");
    }
}
