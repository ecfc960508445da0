//! Reasons why a server cannot be adopted, all of them at once.

use super::imported;
use super::{Adopted, Store};
use crate::topology::WORKER_KEYS;
use std::collections::BTreeSet;

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
        if self.is_empty() {
            return Vec::new();
        }
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
        if self
            .options
            .get("bind_port")
            .is_some_and(|port| !imported::is_off(port))
        {
            add(
                format!(
                    "{}: `bind_port` is a name of earlier releases, which replaces `listeners`",
                    place("bind_port")
                ),
                "replace `bind_port` and `bind_host` by `listeners` in that file",
            );
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
    pub(super) fn indirect_database(&self) -> Option<Obstacle> {
        let Some(Store::Postgres(arguments)) = self.store() else {
            return None;
        };
        let place = self.place("database").unwrap_or_default();
        let indirect = ["dsn", "service"];
        let key = indirect.iter().find(|key| arguments.contains_key(**key));
        if let Some(key) = key {
            return Some(Obstacle {
                problem: format!(
                    "{place}: `{key}` in the arguments of `database` names the server indirectly, and nothing but Synapse \
                     would find it"
                ),
                help: format!(
                    "replace `{key}` by the arguments host, port, user, password and dbname"
                ),
            });
        }
        let host = arguments.get("host").and_then(imported::scalar)?;
        host.contains(',').then(|| Obstacle {
            problem: format!(
                "{place}: `host` in the arguments of `database` lists several servers, which is not supported"
            ),
            help: "name one server, or a proxy that knows the primary server".to_owned(),
        })
    }
}

/// The error for these obstacles; none if the list is empty.
pub(super) fn refuse(obstacles: Vec<Obstacle>) -> Result<(), String> {
    if obstacles.is_empty() {
        return Ok(());
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const GOOD: &str = "server_name: a.test\nsigning_key_path: /k\nmedia_store_path: /m\n\
                        database: {name: psycopg2, args: {user: u, password: p, dbname: d}}\n";

    fn files(more: &str) -> Vec<(String, Vec<u8>)> {
        vec![
            ("/etc/x/homeserver.yaml".to_owned(), GOOD.into()),
            ("/etc/x/conf.d/more.yaml".to_owned(), more.into()),
        ]
    }

    pub fn adopted(more: &str) -> Result<Adopted, String> {
        Adopted::new(files(more))
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
            let more = format!("database: {{name: psycopg2, args: {{{arguments}}}}}");
            let result = Adopted::to_import(files(&more));
            assert_eq!(result.is_err(), found, "{arguments}");
            assert!(
                result
                    .err()
                    .is_none_or(|it| it.contains("more.yaml line 1: `"))
            );
            // Once it is adopted, its settings count.
            assert!(adopted(&more).is_ok());
        }
    }
}
