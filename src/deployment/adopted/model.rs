//! The adopted configuration files: their options, and the keys that they decide.

use super::{import, imported};
use crate::deployment::{SynapseOptions, mas};
use crate::pyyaml;
use crate::settings::types::DatabaseKind;
use crate::state::synapse_config::{self, Engine};
use serde_yaml::{Mapping, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The adopted configuration files.
#[derive(Clone, Debug, Default)]
pub struct Adopted {
    /// Contents by the name of the copy. Synapse reads the copies in the order of these names.
    pub copies: SynapseOptions,
    /// The merged options of all files.
    pub(super) options: Mapping,
    /// The file and line of each top-level key.
    pub(super) places: BTreeMap<String, (String, usize)>,
    /// A sentence, with its file, for each key that one file sets twice.
    pub(super) repeated: Vec<String>,
}

/// The database of the adopted server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// The path of the SQLite file.
    Sqlite(String),
    /// The connection arguments for PostgreSQL.
    Postgres(Mapping),
}

/// The option with additional keys of /.well-known/matrix/client.
pub const CLIENT_FILE: &str = "extra_well_known_client_content";
/// The options of MatrixRTC that the settings replace if there is a transport.
pub const RTC: [&str; 2] = ["matrix_rtc", "max_event_delay_duration"];

/// Keys that rendered files set although the adopted files contain them. nginx and the units depend on the first ones
/// too, so they are imported into the settings. The last three are rendered only if a setting asks for them.
static OURS: &[&str] = &[
    "server_name",
    "report_stats",
    "public_baseurl",
    "serve_server_wellknown",
    "max_upload_size",
    "media_store_path",
    "enable_metrics",
    "daemonize",
    CLIENT_FILE,
    RTC[0],
    RTC[1],
];

/// Keys that are set for new servers only. An adopted server has its own values or works without them.
static OF_NEW_SERVERS: &[&str] = &[
    "signing_key_path",
    "registration_shared_secret_path",
    "macaroon_secret_key_path",
    "form_secret_path",
];

impl Adopted {
    /// Merges files, each with its path, in the order in which Synapse read them.
    ///
    /// # Errors
    /// Names the file that cannot be read or the conflicting key, with the remedy. The message does not quote contents,
    /// because they include passwords.
    pub fn new(files: Vec<(String, Vec<u8>)>) -> Result<Self, String> {
        let mut adopted = Self::default();
        for (number, (path, contents)) in files.into_iter().enumerate() {
            let options =
                pyyaml::options(&contents).map_err(|error| format!("{path}: {error:#}"))?;
            let repeated = options.repeated.iter();
            adopted
                .repeated
                .extend(repeated.map(|note| format!("{path}: {note}")));
            let lines = options.lines.into_iter();
            adopted
                .places
                .extend(lines.map(|(key, line)| (key, (path.clone(), line))));
            adopted.options.extend(options.mapping);
            let name = path.rsplit('/').next().unwrap_or("homeserver.yaml");
            let name = name.strip_suffix(".yaml").unwrap_or(name);
            adopted
                .copies
                .insert(format!("{number:02}-{name}.yaml"), contents);
        }
        if adopted.is_empty() {
            return Ok(adopted);
        }
        let obstacles = adopted.obstacles();
        if obstacles.is_empty() {
            return Ok(adopted);
        }
        let problems: Vec<&str> = obstacles.iter().map(|it| it.problem.as_str()).collect();
        let helps: BTreeSet<&str> = obstacles.iter().map(|it| it.help.as_str()).collect();
        let helps: Vec<&str> = helps.into_iter().collect();
        Err(format!(
            "{}\n  help: {}",
            problems.join("\n  "),
            helps.join("\n        ")
        ))
    }

    /// The file and line of a top-level key.
    pub fn place(&self, key: &str) -> Option<String> {
        let (file, line) = self.places.get(key)?;
        Some(format!("{file} line {line}"))
    }

    /// Notes on adopted keys that files of homeserver.d replace; `own` has the place of each of their keys.
    pub fn replaced_by(&self, own: &BTreeMap<String, String>) -> Vec<String> {
        let both = own
            .iter()
            .filter_map(|(key, own)| Some((key, own, self.place(key)?)));
        both.map(|(key, own, adopted)| format!("`{key}` in {own} replaces that in {adopted}"))
            .collect()
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
        if key == mas::KEY {
            // A value that does not enable it decides nothing.
            return self.mas_endpoint().is_some();
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
                "x: 1\ninstance_map: {w: {}}\nsend_federation: no\n",
                "/etc/x/conf.d/more.yaml line 2: `instance_map` divides",
            ),
            (
                "instance_map: {w: {}}\nsend_federation: no\n",
                "\n  /etc/x/conf.d/more.yaml line 2: `send_federation` divides",
            ),
            (
                "databases: {a: {}}",
                "this server cannot be adopted, unless",
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
        let fine = "instance_map: {}\nstream_writers: {}\nrun_background_tasks_on: null\nsend_federation: true\n\
                    enable_media_repo: yes\n";
        assert!(adopted(fine).is_ok());
        let incomplete = vec![("/h.yaml".to_owned(), b"server_name: a.test\n".to_vec())];
        let error = Adopted::new(incomplete).unwrap_err();
        for key in ["signing_key_path", "media_store_path", "database"] {
            assert!(error.contains(&format!("`{key}` is not set")), "{error}");
        }
    }

    #[test]
    fn a_database_that_is_named_indirectly_is_an_obstacle() {
        for (arguments, found) in [
            ("dsn: 'postgresql://u:p@db:5433/m'", true),
            ("service: matrix", true),
            ("host: 'a,b', user: u", true),
            ("host: a, user: u", false),
        ] {
            let adopted = adopted(&format!(
                "database: {{name: psycopg2, args: {{{arguments}}}}}"
            ))
            .unwrap();
            let problem = adopted.indirect_database();
            assert_eq!(problem.is_some(), found, "{arguments}");
            assert!(problem.is_none_or(|it| it.contains("more.yaml line 1: `")));
        }
    }

    #[test]
    fn yaml_is_read_as_synapse_reads_it() {
        let adopted = adopted(
            "base: &base {host: localhost, user: synapse}\nreport_stats: true\nreport_stats: false\n\
             database: {name: psycopg2, args: {<<: *base, database: matrix, port: 012470}}\n",
        )
        .unwrap();
        let imported = import::import(&adopted, None);
        let value = |key: &str| {
            let mut settings = imported.settings.iter();
            let (_, value) = settings.find(|(known, _)| *known == key).unwrap();
            value.clone()
        };
        assert_eq!(value("database.host"), "localhost");
        assert_eq!(value("database.user"), "synapse");
        assert_eq!(value("database.port"), "5432");
        assert_eq!(value("report_stats"), "false");
        let notes = imported.notes.join("\n");
        let note = "more.yaml: `report_stats` is set on line 2 and again on line 3, which counts";
        assert!(notes.contains(note), "{notes}");
    }

    #[test]
    fn a_key_of_homeserver_d_replaces_the_adopted_one_with_a_note() {
        let adopted = adopted("email: {smtp_host: a}\n").unwrap();
        let own = |key: &str| BTreeMap::from([(key.to_owned(), "/o.yaml line 3".to_owned())]);
        assert_eq!(adopted.replaced_by(&own("presence")), [""; 0]);
        assert_eq!(
            adopted.replaced_by(&own("email")),
            ["`email` in /o.yaml line 3 replaces that in /etc/x/conf.d/more.yaml line 1"]
        );
    }
}
