//! Reasons why a server cannot be adopted, all of them at once.

use super::imported;
use super::{Adopted, Store};
use crate::topology::WORKER_KEYS;

/// A reason why a server cannot be adopted: the problem with its place, and the remedy.
pub(super) struct Obstacle {
    pub problem: String,
    pub help: String,
}

/// Required keys. Without them, Synapse uses a path relative to its working directory.
static REQUIRED: &[&str] = &["signing_key_path", "media_store_path", "database"];

impl Adopted {
    /// Everything that prevents adoption.
    pub(super) fn obstacles(&self) -> Vec<Obstacle> {
        let place = |key: &str| self.place(key).unwrap_or("adopt.config".to_owned());
        let mut obstacles = Vec::new();
        let mut add = |problem: String, help: &str| {
            obstacles.push(Obstacle {
                problem,
                help: help.to_owned(),
            });
        };
        // No later file can remove a key.
        for row in WORKER_KEYS {
            let value = self.options.get(row.key);
            if value.is_some_and(|value| row.divides(value)) {
                let problem = format!(
                    "{}: `{}` divides work among processes, which synapse-workers does itself",
                    place(row.key),
                    row.key
                );
                add(
                    problem,
                    "stop the existing workers, and remove the keys about workers from the file; `--workers` or \
                     `--preset` chooses new ones",
                );
            }
        }
        // config/database.py: the tables are divided among several databases.
        if self.has("databases") {
            add(
                format!(
                    "{}: `databases` divides the tables among several databases, which is not supported",
                    place("databases")
                ),
                "this server cannot be adopted, unless all tables are moved into one PostgreSQL database that `database` \
                 names",
            );
        }
        let file = |key: &str| match self.places.get(key) {
            Some((file, _)) => file.clone(),
            None => "adopt.config".to_owned(),
        };
        for key in REQUIRED.iter().filter(|key| !self.has(key)) {
            if *key == "database" && self.has("databases") {
                continue;
            }
            let problem = format!(
                "{}: `{key}` is not set, so its path depends on the working directory of Synapse",
                file("server_name")
            );
            add(
                problem,
                &format!("set `{key}` in that file to its present value, as an absolute path"),
            );
        }
        let paths = self.options.iter().filter_map(|(key, value)| {
            let (key, path) = (key.as_str()?, value.as_str()?);
            let relative = key.ends_with("_path") && !path.starts_with('/') && !path.is_empty();
            relative.then(|| (key, path.to_owned()))
        });
        let sqlite = self
            .sqlite()
            .filter(|path| !path.starts_with('/'))
            .map(|path| ("database", path));
        for (key, path) in paths.chain(sqlite) {
            let problem = format!(
                "{}: `{key}` is {path:?}, which depends on the working directory of Synapse",
                place(key)
            );
            add(
                problem,
                &format!("set `{key}` to an absolute path in that file"),
            );
        }
        if self.has("database") && self.store().is_none() {
            let problem = format!(
                "{}: `database` is neither sqlite3 nor psycopg2 with arguments",
                place("database")
            );
            add(problem, "correct `database` in that file");
        }
        obstacles
    }

    /// Why the settings of the database cannot be imported: the arguments name the server indirectly.
    pub fn indirect_database(&self) -> Option<String> {
        let Some(Store::Postgres(arguments)) = self.store() else {
            return None;
        };
        let place = self.place("database").unwrap_or_default();
        let indirect = ["dsn", "service"];
        let key = indirect.iter().find(|key| arguments.contains_key(**key));
        if let Some(key) = key {
            return Some(format!(
                "{place}: `{key}` in the arguments of `database` names the server indirectly, and nothing but Synapse would \
                 find it\n  help: replace `{key}` by the arguments host, port, user, password and dbname"
            ));
        }
        let host = arguments.get("host").and_then(imported::scalar)?;
        host.contains(',').then(|| {
            format!(
                "{place}: `host` in the arguments of `database` lists several servers, which is not supported\n  \
                 help: name one of them, or a proxy that knows the primary server"
            )
        })
    }
}
