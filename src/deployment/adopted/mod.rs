//! A Synapse that was there before: its configuration files stay where they are and stay in force.
//!
//! Synapse reads copies of them before everything of ours, and of two files with one top-level key the later counts. So
//! what they say stays by leaving it out of our files; the few keys that have to be ours come last. Pure.

mod import;
mod imported;
mod listeners;

pub use import::import;
pub use imported::Imported;

use super::files::SynapseOptions;
use crate::settings::types::DatabaseKind;
use crate::yaml;
use serde_yaml::{Mapping, Value};

/// The adopted files.
#[derive(Clone, Debug, Default)]
pub struct Adopted {
    /// Their bytes, by the name of the copy; in the order of these names Synapse reads them.
    pub copies: SynapseOptions,
    /// What they say together.
    options: Mapping,
}

/// Where the adopted server keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// The file.
    Sqlite(String),
    /// The arguments for PostgreSQL.
    Postgres(Mapping),
}

/// Keys that are ours although the adopted files have them: nginx and the units have to know them as well, so the
/// settings took them over.
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

/// Keys that we set for new servers only: an old one has its own, or does without.
static OF_NEW_SERVERS: &[&str] = &[
    "signing_key_path",
    "registration_shared_secret_path",
    "macaroon_secret_key_path",
    "form_secret_path",
];

/// Keys by which work is divided among processes. They would contradict the worker set, and no later file can take a
/// key away.
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

/// Keys without which Synapse takes a place relative to where it was started.
static PLACES: &[&str] = &["signing_key_path", "media_store_path", "database"];

impl Adopted {
    /// Puts together files in the order in which Synapse read them, each with its path.
    ///
    /// # Errors
    /// Names the file that cannot be read, or the key that stands in the way, with the cure. Contents are not repeated:
    /// there are passwords among them.
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

    pub fn has(&self, key: &str) -> bool {
        self.options.contains_key(key)
    }

    /// A text at the top level.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.options.get(key)?.as_str()
    }

    /// Where its data is (config_documentation.md, `database`).
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

    /// The password for PostgreSQL.
    pub fn database_password(&self) -> Option<String> {
        match self.store()? {
            Store::Postgres(arguments) => imported::scalar(arguments.get("password")?),
            Store::Sqlite(_) => None,
        }
    }

    /// Connections that each process opens at most.
    pub fn pool(&self) -> Option<String> {
        match self.store()? {
            Store::Postgres(arguments) => Some(import::pool(&arguments)),
            Store::Sqlite(_) => None,
        }
    }

    /// The SQLite file.
    pub fn sqlite(&self) -> Option<String> {
        match self.store()? {
            Store::Sqlite(path) => Some(path),
            Store::Postgres(_) => None,
        }
    }

    /// Directories besides the media store that Synapse has to write in.
    pub fn writable(&self) -> Option<String> {
        let file = self.sqlite()?;
        let (directory, _) = file.rsplit_once('/')?;
        Some(directory.to_owned())
    }

    /// Files and directories that have to be where they are named.
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

    /// Whether a key of ours is left out because the adopted files decide, given the database that serves.
    pub fn decides(&self, key: &str, database: DatabaseKind) -> bool {
        if self.is_empty() || OURS.contains(&key) {
            return false;
        }
        if key == "database" {
            // After SQLite was moved to PostgreSQL, ours names the new place.
            return self.sqlite().is_none() || database == DatabaseKind::Sqlite;
        }
        // Synapse refuses a secret and its file together.
        let other = match key.strip_suffix("_path") {
            Some(value) => value.to_owned(),
            None => format!("{key}_path"),
        };
        OF_NEW_SERVERS.contains(&key) || self.has(key) || self.has(&other)
    }

    /// The text of options without the top-level keys that the adopted files decide. It is text of ours: every key
    /// begins a line.
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
