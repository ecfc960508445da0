//! The adopted configuration files: their options, and the keys that they decide.

use super::obstacles::refuse;
use super::{import, imported};
use crate::deployment::SynapseOptions;
use crate::pyyaml;
use crate::state::synapse_config::{self, Engine};
use serde_yaml::{Mapping, Value};
use std::collections::BTreeMap;

/// The adopted configuration files.
#[derive(Clone, Debug, Default)]
pub struct Adopted {
    /// Contents by the name of the copy. Synapse reads the copies in the order of these names.
    pub copies: SynapseOptions,
    /// The merged options of all files.
    pub(super) options: Mapping,
    /// The file and line of each top-level key.
    pub(super) places: BTreeMap<String, (String, usize)>,
    /// A sentence, with its file, for each key that is set twice, in one file or in two.
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

impl Adopted {
    /// Merges files, each with its path, in the order in which Synapse read them.
    ///
    /// # Errors
    /// Names the file that cannot be read or the conflicting key, with the remedy. The message does not quote contents,
    /// because they include passwords.
    pub fn new(files: Vec<(String, Vec<u8>)>) -> Result<Self, String> {
        let adopted = Self::read(files)?;
        refuse(adopted.obstacles())?;
        Ok(adopted)
    }

    fn read(files: Vec<(String, Vec<u8>)>) -> Result<Self, String> {
        let mut adopted = Self::default();
        for (number, (path, contents)) in files.into_iter().enumerate() {
            let options =
                pyyaml::options(&contents).map_err(|error| format!("{path}: {error:#}"))?;
            let repeated = options.repeated.iter();
            adopted
                .repeated
                .extend(repeated.map(|note| format!("{path}: {note}")));
            for (key, line) in options.lines {
                if let Some(earlier) = adopted.place(&key) {
                    adopted.repeated.push(format!(
                        "`{key}` in {path} line {line} replaces that in {earlier}"
                    ));
                }
                adopted.places.insert(key, (path.clone(), line));
            }
            adopted.options.extend(options.mapping);
            let name = path.rsplit('/').next().unwrap_or("homeserver.yaml");
            let name = name.strip_suffix(".yaml").unwrap_or(name);
            adopted
                .copies
                .insert(format!("{number:02}-{name}.yaml"), contents);
        }
        Ok(adopted)
    }

    /// Like [`Adopted::new`], for a server that is to be adopted now: its settings are to be imported.
    ///
    /// # Errors
    /// As for [`Adopted::new`], and when the database cannot be imported.
    pub fn to_import(files: Vec<(String, Vec<u8>)>) -> Result<Self, String> {
        let adopted = Self::read(files)?;
        let mut obstacles = adopted.obstacles();
        obstacles.extend(adopted.indirect_database());
        refuse(obstacles)?;
        Ok(adopted)
    }

    /// The file and line of a top-level key.
    pub fn place(&self, key: &str) -> Option<String> {
        let (file, line) = self.places.get(key)?;
        Some(format!("{file} line {line}"))
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
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::obstacles::tests::adopted;

    #[test]
    fn yaml_is_read_as_synapse_reads_it() {
        let adopted = adopted(
            "base: &base {host: localhost, user: synapse}\nreport_stats: true\nreport_stats: false\n\
             database: {name: psycopg2, args: {<<: *base, database: matrix, port: 012470}}\n",
        )
        .unwrap();
        let imported = import::import(&adopted, None, import::Origin::Host);
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
}
