//! The changes that another release of Synapse brings, as far as they are known before it is installed.

use crate::host::Schema;
use crate::plan::schema::Code;
use crate::preflight::settings_since;
use crate::request::Request;
use crate::topology::releases::NEWEST;
use crate::topology::{Release, RoutingTable, Unserved};
use std::fmt;

/// Synapse's own notes for administrators.
const NOTES: &str = "https://element-hq.github.io/synapse/latest/upgrade.html";

/// The changes between two releases.
pub struct Changes {
    from: String,
    to: String,
    /// The schema numbers of the new release; `None` if they are unknown.
    code: Option<Code>,
    /// The schema numbers of the release that runs, and of its database.
    schema: Option<Schema>,
    /// Requests that workers serve instead of main: method and path of a sample, and the upstream.
    moved: Vec<(&'static str, String)>,
    /// Settings that can be used, and streams that workers write.
    available: Vec<String>,
}

impl Changes {
    /// Compares two releases for the workers of a request.
    pub fn of(
        request: &Request,
        from: &str,
        to: &str,
        code: Option<Code>,
        schema: Option<Schema>,
    ) -> Self {
        let (older, newer) = (Release::of(from), Release::of(to));
        let table = |release| {
            let table = RoutingTable::new(&request.topology, request.logins());
            table.without(&Unserved::of(release)).routes
        };
        let moved = table(older).into_iter().zip(table(newer));
        let moved = moved
            .filter(|(before, after)| before.upstream != after.upstream)
            .map(|(_, after)| (after.example, after.upstream));
        let writers = request.topology.stream_writers();
        let streams = newer.streams_since(older);
        let streams = streams
            .filter(|key| writers.contains_key(key))
            .map(|key| format!("workers write the stream {key}"));
        let settings = settings_since(older, newer).map(|key| format!("{key} can be set"));
        Self {
            moved: moved.collect(),
            available: settings.chain(streams).collect(),
            from: from.to_owned(),
            to: to.to_owned(),
            code,
            schema,
        }
    }

    /// Whether a rollback stays possible; `None` if that is unknown.
    pub fn can_return(&self) -> Option<bool> {
        let (code, schema) = (self.code.as_ref()?, self.schema.as_ref()?);
        Some(code.can_return_to(&schema.code))
    }

    /// The warning of an upgrade without a way back.
    pub fn warning(&self) -> Option<String> {
        let Self { from, to, .. } = self;
        (self.can_return() == Some(false)).then(|| {
            format!(
                "warning: there is no way back: after Synapse {to} has upgraded the database, Synapse {from} cannot use it, \
                 and `synapse-workers rollback` is refused\n  help: make a backup first; only that leads back to Synapse {from}"
            )
        })
    }

    fn database(&self) -> String {
        let Self { from, .. } = self;
        let (Some(code), Some(schema)) = (&self.code, &self.schema) else {
            return "schema unknown before the installation; see the line `check … against the database schema`"
                .to_owned();
        };
        let found = schema.database.version.unwrap_or(schema.code.version);
        let numbers = match code.version > found {
            true => format!("schema {found} becomes {}", code.version),
            false => format!("schema {found} stays"),
        };
        match code.can_return_to(&schema.code) {
            true => format!("{numbers}; `synapse-workers rollback` can return to Synapse {from}"),
            false => format!("{numbers}; Synapse {from} cannot use it afterwards"),
        }
    }

    fn routes(&self) -> Vec<String> {
        if Release::of(&self.to) > NEWEST {
            return vec![format!(
                "newer than {NEWEST}, the newest release that this synapse-workers knows; `install` asks Synapse which requests \
                 its workers serve"
            )];
        }
        if self.moved.is_empty() {
            return vec!["no request moves to another process".to_owned()];
        }
        let lines = self.moved.iter();
        lines
            .map(|(example, upstream)| format!("{example} moves from main to {upstream}"))
            .collect()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upgrade of Synapse {} to {}", self.from, self.to)?;
        let mut part = |name: &str, text: &str| write!(f, "\n  {name:<9} {text}");
        part("database", &self.database())?;
        for (number, line) in self.routes().iter().enumerate() {
            part(if number == 0 { "routes" } else { "" }, line)?;
        }
        for (number, line) in self.available.iter().enumerate() {
            part(if number == 0 { "new" } else { "" }, line)?;
        }
        part("read", NOTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::schema::Database;

    fn code(release: &str, version: u32, compat: u32) -> Code {
        Code {
            release: release.to_owned(),
            version,
            compat,
        }
    }

    fn changes(to: &str, code_of_new: Option<Code>) -> Changes {
        Changes {
            from: "1.162.0".to_owned(),
            to: to.to_owned(),
            code: code_of_new,
            schema: Some(Schema {
                code: code("1.162.0", 94, 90),
                database: Database {
                    version: Some(94),
                    compat: Some(90),
                },
            }),
            moved: Vec::new(),
            available: Vec::new(),
        }
    }

    #[test]
    fn a_missing_way_back_is_announced() {
        let with_way = changes("1.163.2", Some(code("1.163.2", 95, 94)));
        assert_eq!(with_way.can_return(), Some(true));
        assert_eq!(with_way.warning(), None);
        let text = with_way.to_string();
        assert!(
            text.contains("schema 94 becomes 95; `synapse-workers rollback` can return"),
            "{text}"
        );

        let without = changes("1.163.2", Some(code("1.163.2", 95, 95)));
        assert_eq!(without.can_return(), Some(false));
        assert!(without.warning().unwrap().contains("there is no way back"));
        assert!(without.to_string().contains("cannot use it afterwards"));

        let unknown = changes("1.163.2", None);
        assert_eq!((unknown.can_return(), unknown.warning()), (None, None));
        assert!(unknown.to_string().contains("schema unknown"));
    }

    #[test]
    fn moved_requests_and_new_settings_are_listed() {
        let mut listed = changes("1.163.2", None);
        assert!(listed.to_string().contains("no request moves"));
        listed.moved = vec![
            ("GET /a", "client_reader".to_owned()),
            ("GET /b", "client_reader".to_owned()),
        ];
        listed.available = vec!["redis.username can be set".to_owned()];
        let text = listed.to_string();
        let wanted = "\n  routes    GET /a moves from main to client_reader\n            GET /b moves from main to client_reader\n  \
             new       redis.username can be set\n";
        assert!(text.contains(wanted), "{text}");
        let unknown = changes("1.999.0", None).to_string();
        assert!(unknown.contains("newer than 1.163"), "{unknown}");
    }
}
