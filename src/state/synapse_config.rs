//! Synapse's configuration files, in the order in which each process reads them, and the database that they name.
//!
//! Synapse takes files and directories; of a directory it reads the `*.yaml` files, sorted by name. Of two files with
//! the same top-level key, the later one counts (config/_base.py, `find_config_files` and `read_config_files`).

use super::{State, paths};
use crate::pyyaml;
use serde_yaml::Value;

/// The options in a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Contents {
    /// Options of the server, which may include `database`. No file of the other kinds can set that key: homeserver.d
    /// options are refused with it, and a server with several databases is not adopted.
    Database,
    /// Other options of the server.
    Server,
    /// Options that divide work among processes.
    Workers,
}

/// The parent directory of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parent {
    /// `synapse/` of a generation.
    Generation,
    Secrets,
}

/// All files and directories that processes share. Last, each process reads its [own file](MAIN).
const SHARED: [(Parent, &str, Contents); 5] = [
    (Parent::Generation, "adopted", Contents::Database),
    (Parent::Generation, "homeserver.yaml", Contents::Database),
    (Parent::Generation, "homeserver.d", Contents::Server),
    (Parent::Secrets, "synapse.d", Contents::Server),
    (Parent::Generation, "shared.d", Contents::Workers),
];

/// The own file of the main process, in `synapse/` of a generation.
pub const MAIN: &str = "main.yaml";
/// The directory of the workers' own files, in `synapse/` of a generation.
const WORKERS: &str = "workers";

/// The own file of a worker, in `synapse/` of a generation.
pub fn of_worker(name: &str) -> String {
    format!("{WORKERS}/{name}.yaml")
}

/// Whether a path in `synapse/` of a generation is the own file of a process.
pub fn is_own(path: &str) -> bool {
    path == MAIN
        || path
            .split_once('/')
            .is_some_and(|(directory, _)| directory == WORKERS)
}

/// The configuration of a process with this own file. `directory` is `synapse/` of a generation.
pub fn of_process(directory: &str, own: &str) -> Vec<String> {
    let mut paths = up_to(directory, Contents::Workers);
    paths.push(format!("{directory}/{own}"));
    paths
}

/// The options of the whole server, without those of workers and of single processes.
pub fn of_server(directory: &str) -> Vec<String> {
    up_to(directory, Contents::Server)
}

/// The files and directories that may name Synapse's database.
pub fn of_database(directory: &str) -> Vec<String> {
    up_to(directory, Contents::Database)
}

fn up_to(directory: &str, last: Contents) -> Vec<String> {
    let path = |(parent, name, _): &(Parent, &str, Contents)| match parent {
        Parent::Generation => format!("{directory}/{name}"),
        Parent::Secrets => paths::secret(name),
    };
    let rows = SHARED.iter().filter(|(_, _, contents)| *contents <= last);
    rows.map(path).collect()
}

/// The directories among them, relative to `synapse/` of a generation. Synapse refuses to start without them.
pub fn directories() -> impl Iterator<Item = &'static str> {
    let rows = SHARED
        .iter()
        .filter(|(parent, name, _)| *parent == Parent::Generation && !name.ends_with(".yaml"));
    rows.map(|(_, name, _)| *name).chain([WORKERS])
}

/// The database engine that Synapse uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// `sqlite3`.
    Sqlite,
    /// `psycopg2`.
    Postgres,
}

/// The engine in a value of `database` (config_documentation.md).
pub fn engine(database: &Value) -> Option<Engine> {
    match database.get("name")?.as_str()? {
        "sqlite3" => Some(Engine::Sqlite),
        "psycopg2" => Some(Engine::Postgres),
        _ => None,
    }
}

/// The `database` option in a file; `None` also for a file that cannot be parsed, which Synapse's own parser reports.
pub fn database(contents: &[u8]) -> Option<Value> {
    option(contents, "database")
}

fn option(contents: &[u8], key: &str) -> Option<Value> {
    pyyaml::options(contents).ok()?.mapping.remove(key)
}

impl State {
    /// The `database` option, as Synapse reads it.
    pub fn database(&self) -> Option<Value> {
        self.option("database")
    }

    /// An option in the files that may name the database, as Synapse reads it. homeserver.d and composed files are not
    /// among them.
    pub fn option(&self, key: &str) -> Option<Value> {
        let places = of_database("synapse");
        let files = places.iter().flat_map(|place| {
            let below = format!("{place}/");
            let files = self.files.iter();
            files.filter(move |(path, _)| *path == place || path.starts_with(&below))
        });
        files
            .rev()
            .find_map(|(_, file)| option(&file.contents, key))
    }

    /// The engine of Synapse's database.
    pub fn engine(&self) -> Option<Engine> {
        engine(&self.database()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::File;

    fn state(files: &[(&str, &str)]) -> State {
        let file = |(path, text): &(&str, &str)| {
            let file = File::new(text.as_bytes().to_vec(), Default::default());
            (format!("synapse/{path}"), file)
        };
        State {
            files: files.iter().map(file).collect(),
            ..State::default()
        }
    }

    #[test]
    fn the_last_file_that_names_a_database_counts() {
        let (sqlite, postgres) = ("database: {name: sqlite3}", "database: {name: psycopg2}");
        for (files, engine) in [
            (vec![], None),
            (vec![("adopted/00-a.yaml", sqlite)], Some(Engine::Sqlite)),
            (
                vec![
                    ("adopted/00-a.yaml", sqlite),
                    ("adopted/01-b.yaml", postgres),
                ],
                Some(Engine::Postgres),
            ),
            (
                vec![("adopted/00-a.yaml", sqlite), ("homeserver.yaml", postgres)],
                Some(Engine::Postgres),
            ),
            (
                vec![("adopted/00-a.yaml", postgres), ("homeserver.yaml", "a: 1")],
                Some(Engine::Postgres),
            ),
            (vec![("homeserver.yaml", "database: [")], None),
            (vec![("homeserver.d/a.yaml", sqlite)], None),
        ] {
            assert_eq!(state(&files).engine(), engine, "{files:?}");
        }
    }

    #[test]
    fn a_process_reads_its_own_file_last() {
        assert_eq!(
            of_process("/g/synapse", &of_worker("pusher1")),
            [
                "/g/synapse/adopted",
                "/g/synapse/homeserver.yaml",
                "/g/synapse/homeserver.d",
                "/etc/synapse-workers/secrets/synapse.d",
                "/g/synapse/shared.d",
                "/g/synapse/workers/pusher1.yaml",
            ]
        );
    }
}
