//! Which of the adopted files, the rendered files and homeserver.d decides a key.

use super::Adopted;
use crate::deployment::mas;
use crate::deployment::owned_keys::{Adoption, OWNED_KEYS, owned};
use crate::settings::types::DatabaseKind;
use std::collections::BTreeMap;

/// Keys that are set for new servers only. An adopted server has its own values or works without them.
static OF_NEW_SERVERS: &[&str] = &[
    "signing_key_path",
    "registration_shared_secret_path",
    "macaroon_secret_key_path",
    "form_secret_path",
];

impl Adopted {
    /// Whether rendered files omit a key because the adopted files decide it. The answer depends on the database in
    /// use.
    pub fn decides(&self, key: &str, database: DatabaseKind) -> bool {
        let ours = owned(key).is_some_and(|row| row.adopted != Adoption::Kept);
        if self.is_empty() || ours {
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

    /// The keys that a rendered file must set to null, because the adopted value would open a port.
    pub fn closed(&self) -> Vec<&'static str> {
        let rows = OWNED_KEYS.iter();
        let closed = rows.filter(|row| row.adopted == Adoption::Closed && self.has(row.key));
        closed.map(|row| row.key).collect()
    }

    /// Notes on adopted keys that files of homeserver.d replace; `own` has the place of each of their keys.
    pub fn replaced_by(&self, own: &BTreeMap<String, String>) -> Vec<String> {
        let both = own
            .iter()
            .filter_map(|(key, own)| Some((key, own, self.place(key)?)));
        both.map(|(key, own, adopted)| format!("`{key}` in {own} replaces that in {adopted}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::obstacles::tests::adopted;
    use super::*;

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
