//! The adopted configuration files: their options, and the keys that they decide.

use super::{import, imported};
use crate::deployment::SynapseOptions;
use crate::settings::types::DatabaseKind;
use crate::state::synapse_config::{self, Engine};
use crate::topology::WORKER_KEYS;
use crate::topology::worker_keys::WorkerKey;
use crate::yaml;
use serde_yaml::{Mapping, Value};

/// The adopted configuration files.
#[derive(Clone, Debug, Default)]
pub struct Adopted {
    /// Contents by the name of the copy. Synapse reads the copies in the order of these names.
    pub copies: SynapseOptions,
    /// The merged options of all files.
    pub(super) options: Mapping,
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

/// Required keys. Without them, Synapse uses a path relative to its working directory.
static REQUIRED: &[&str] = &["signing_key_path", "media_store_path", "database"];

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
                _ => return Err(format!("{path}: contains no options of Synapse")),
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
        // No later file can remove a key.
        if let Some(WorkerKey { key, .. }) = WORKER_KEYS.iter().find(|row| self.has(row.key)) {
            return Err(format!(
                "{}: `{key}` divides work among processes, which synapse-workers does itself\n  \
                 help: stop the existing workers, and remove `{key}` from the file",
                file(key)
            ));
        }
        // config/database.py: the tables are divided among several databases.
        if self.has("databases") {
            return Err(format!(
                "{}: `databases` is not supported, only `database`\n  \
                 help: move all tables into one database, and set `database` to it",
                file("databases")
            ));
        }
        if let Some(key) = REQUIRED.iter().find(|key| !self.has(key)) {
            return Err(format!(
                "{}: `{key}` is not set, so its path depends on the working directory of Synapse\n  \
                 help: set it in that file to its present value, as an absolute path",
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
                "{}: `{key}` is {path:?}, which depends on the working directory of Synapse\n  \
                 help: set it to an absolute path in that file",
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

    /// Whether an adopted file sets this top-level key.
    pub fn has(&self, key: &str) -> bool {
        self.options.contains_key(key)
    }

    /// The value of a top-level key.
    pub fn option(&self, key: &str) -> Option<&Value> {
        self.options.get(key)
    }

    /// The value of a top-level key, if it is a string.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.options.get(key)?.as_str()
    }

    /// The database of the adopted server (config_documentation.md, `database`).
    pub fn store(&self) -> Option<Store> {
        let database = self.options.get("database")?;
        let arguments = database.get("args")?.as_mapping()?;
        Some(match synapse_config::engine(database)? {
            Engine::Sqlite => Store::Sqlite(arguments.get("database")?.as_str()?.to_owned()),
            Engine::Postgres => Store::Postgres(arguments.clone()),
        })
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
        let mut included = true;
        let mut lines = Vec::new();
        for line in text.lines() {
            let begins = line.starts_with(|first: char| first.is_ascii_alphabetic());
            if begins && let Some((key, _)) = line.split_once(':') {
                included = !self.decides(key, database);
            }
            if included {
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
    fn adopted_keys_take_precedence_except_for_those_of_this_program() {
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
    fn an_obstacle_is_reported_with_its_file() {
        for (more, expected) in [
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
            ("a: [", "/etc/x/conf.d/more.yaml: invalid YAML"),
            ("- 1", "contains no options"),
        ] {
            let error = adopted(more).unwrap_err();
            assert!(error.contains(expected), "{more}: {error}");
        }
        let incomplete = vec![("/h.yaml".to_owned(), b"server_name: a.test\n".to_vec())];
        let error = Adopted::new(incomplete).unwrap_err();
        assert!(error.contains("`signing_key_path` is not set"), "{error}");
    }
}
