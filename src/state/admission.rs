//! The connections from other hosts that a PostgreSQL cluster admits by its own configuration: the addresses that it listens
//! on, and its rules for clients (PostgreSQL manual, 20.1). The files of this program are left out.

use serde::Deserialize;
use std::net::IpAddr;

/// The first release whose `pg_hba.conf` can include other files, as in `server_version_num`.
pub const INCLUDES: u32 = 160_000;

/// The configuration of a cluster for clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The version as a number: 170004 for 17.4.
    pub version: u32,
    /// The addresses that it listens on (`listen_addresses`).
    pub listening: String,
    /// The addresses after a restart without the file of this program.
    pub configured: String,
    /// What would override the file of this program: a file that is read later, or the command line.
    pub overriding: Option<String>,
    /// Whether it encrypts connections of clients that ask for it (`ssl`).
    pub encrypts: bool,
    /// The path of its file with rules (`hba_file`).
    pub file: String,
    /// Why this program cannot add a line to that file.
    pub problem: Option<String>,
    /// The rules, in the order in which PostgreSQL compares them with a client.
    pub rules: Vec<Rule>,
    /// Whether the file of this program with rules has changed since PostgreSQL last read it.
    pub unread: bool,
}

/// A rule, as PostgreSQL prints it (`pg_hba_file_rules`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Rule {
    /// The file; `None` before PostgreSQL 16, which has only one.
    #[serde(default)]
    pub file_name: Option<String>,
    /// Its line.
    pub line_number: u32,
    /// The kind of connections: `local`, `host`, `hostssl` …
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// The databases.
    #[serde(default)]
    pub database: Option<Vec<String>>,
    /// The roles.
    #[serde(default)]
    pub user_name: Option<Vec<String>>,
    /// An address, the name of a host, or a word such as `all`.
    #[serde(default)]
    pub address: Option<String>,
    /// The mask of an address.
    #[serde(default)]
    pub netmask: Option<String>,
    /// The method that identifies a client.
    #[serde(default)]
    pub auth_method: Option<String>,
    /// Why PostgreSQL cannot read the line.
    #[serde(default)]
    pub error: Option<String>,
}

/// A client that connects over the network with a password.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The database.
    pub database: &'a str,
    /// The role.
    pub role: &'a str,
    /// Its address.
    pub address: IpAddr,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
}

/// The decision about a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// A rule admits it.
    Admitted,
    /// No rule is for it, so it is rejected until one is added.
    Open,
    /// This rule rejects it, or may, before a rule at the end could admit it.
    Rejected(&'a Rule),
}

/// Whether something is for a client, as far as that is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    No,
    /// It depends on what is not known here: members of a role, names of hosts, regular expressions.
    Maybe,
    Yes,
}

impl From<bool> for Fit {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// The methods that admit a client with the right password.
const WITH_PASSWORD: [&str; 4] = ["scram-sha-256", "md5", "password", "trust"];

impl Admission {
    /// The decision about a client: the first rule that is for it decides.
    pub fn decision(&self, client: Client) -> Decision<'_> {
        for rule in &self.rules {
            let fit = rule.fit(client);
            let method = rule.auth_method.as_deref().unwrap_or_default();
            match (fit, WITH_PASSWORD.contains(&method)) {
                (Fit::No, _) | (Fit::Maybe, true) => {}
                (Fit::Yes, true) => return Decision::Admitted,
                (Fit::Maybe | Fit::Yes, false) => return Decision::Rejected(rule),
            }
        }
        Decision::Open
    }

    /// The first line that PostgreSQL cannot read. It then keeps its old rules.
    pub fn damaged(&self) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.error.is_some())
    }
}

impl Rule {
    fn fit(&self, client: Client) -> Fit {
        let kind = Fit::from(match self.kind.as_deref() {
            Some("host") => true,
            Some("hostssl") => client.encrypted,
            Some("hostnossl") => !client.encrypted,
            _ => false,
        });
        let databases = best(&self.database, |word| match word {
            "all" => Fit::Yes,
            "sameuser" => (client.database == client.role).into(),
            "samerole" | "samegroup" => Fit::Maybe,
            word if word.starts_with('/') => Fit::Maybe,
            word => (word == client.database).into(),
        });
        let roles = best(&self.user_name, |word| match word {
            "all" => Fit::Yes,
            word if word.starts_with(['/', '+']) => Fit::Maybe,
            word => (word == client.role).into(),
        });
        kind.min(databases)
            .min(roles)
            .min(self.covers(client.address))
    }

    fn covers(&self, address: IpAddr) -> Fit {
        let word = self.address.as_deref().unwrap_or_default();
        let mask = self.netmask.as_ref().and_then(|mask| mask.parse().ok());
        match (word, word.parse(), mask) {
            ("all", ..) => Fit::Yes,
            ("samehost", ..) => Fit::No,
            (_, Ok(network), Some(mask)) => (masked(address, mask) == masked(network, mask)).into(),
            _ => Fit::Maybe,
        }
    }
}

/// The fit of the word that fits best.
fn best(words: &Option<Vec<String>>, fit: impl Fn(&str) -> Fit) -> Fit {
    let words = words.iter().flatten();
    words.map(|word| fit(word)).max().unwrap_or(Fit::No)
}

/// The network of an address; `None` if the mask is of the other family.
fn masked(address: IpAddr, mask: IpAddr) -> Option<u128> {
    match (address, mask) {
        (IpAddr::V4(address), IpAddr::V4(mask)) => {
            Some((address.to_bits() & mask.to_bits()).into())
        }
        (IpAddr::V6(address), IpAddr::V6(mask)) => Some(address.to_bits() & mask.to_bits()),
        _ => None,
    }
}

/// Whether a value of `listen_addresses` contains an address (PostgreSQL manual, 19.3.1).
pub fn listens(value: &str, address: IpAddr) -> bool {
    value.split(',').map(str::trim).any(|entry| match entry {
        "*" => true,
        "0.0.0.0" => address.is_ipv4(),
        "::" => address.is_ipv6(),
        entry => entry.parse() == Ok(address),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(line: &str) -> Rule {
        let fields: Vec<&str> = line.split(' ').collect();
        let words = |at: usize| Some(fields[at].split(',').map(str::to_owned).collect());
        Rule {
            kind: Some(fields[0].to_owned()),
            database: words(1),
            user_name: words(2),
            address: Some(fields[3].to_owned()),
            netmask: (fields[4] != "-").then(|| fields[4].to_owned()),
            auth_method: Some(fields[5].to_owned()),
            ..Rule::default()
        }
    }

    fn decision(lines: &[&str], address: &str, encrypted: bool) -> String {
        let admission = Admission {
            rules: lines.iter().map(|line| rule(line)).collect(),
            ..Admission::default()
        };
        let client = Client {
            database: "synapse",
            role: "matrix",
            address: address.parse().unwrap(),
            encrypted,
        };
        match admission.decision(client) {
            Decision::Admitted => "admitted".to_owned(),
            Decision::Open => "open".to_owned(),
            Decision::Rejected(rule) => rule.auth_method.clone().unwrap(),
        }
    }

    #[test]
    fn the_first_rule_for_a_client_decides() {
        const REJECT: &str = "host all all all - reject";
        for (lines, address, expected) in [
            (&[][..], "10.0.0.2", "open"),
            (
                &["host all all 127.0.0.1 255.255.255.255 scram-sha-256"],
                "10.0.0.2",
                "open",
            ),
            (
                &["host all all 10.0.0.0 255.255.255.0 scram-sha-256", REJECT],
                "10.0.0.2",
                "admitted",
            ),
            (
                &["host all all 10.0.0.0 255.255.255.0 scram-sha-256", REJECT],
                "10.0.1.2",
                "reject",
            ),
            (
                &["hostssl synapse,x a,matrix all - md5"],
                "fd00::2",
                "admitted",
            ),
            (&["hostnossl all all all - reject"], "10.0.0.2", "open"),
            (&["host sameuser all all - reject"], "10.0.0.2", "open"),
            (&["host replication all all - reject"], "10.0.0.2", "open"),
            (
                &["host all all 10.0.0.2 255.255.255.255 ident"],
                "10.0.0.2",
                "ident",
            ),
            (&["local all all all - reject"], "10.0.0.2", "open"),
            (&["host all all fd00:: ffff:: reject"], "fd00::9", "reject"),
            (&["host all all fd00:: ffff:: reject"], "10.0.0.2", "open"),
            // A rule that may be for a client admits none for sure, and may reject it.
            (
                &["host all +admins all - md5", REJECT],
                "10.0.0.2",
                "reject",
            ),
            (&["host all +admins all - md5"], "10.0.0.2", "open"),
            (&["host all all db.test - cert"], "10.0.0.2", "cert"),
        ] {
            assert_eq!(
                decision(lines, address, true),
                expected,
                "{lines:?} {address}"
            );
        }
        assert_eq!(
            decision(&["hostssl all all all - md5"], "10.0.0.2", false),
            "open"
        );
    }

    #[test]
    fn a_value_of_listen_addresses_contains_an_address_or_all_of_its_family() {
        for (value, address, expected) in [
            ("localhost", "10.0.0.1", false),
            ("localhost, 10.0.0.1", "10.0.0.1", true),
            ("10.0.0.10", "10.0.0.1", false),
            ("*", "fd00::1", true),
            ("0.0.0.0", "10.0.0.1", true),
            ("0.0.0.0", "fd00::1", false),
            ("::", "fd00::1", true),
            ("FD00:0::1", "fd00::1", true),
            ("", "10.0.0.1", false),
        ] {
            assert_eq!(
                listens(value, address.parse().unwrap()),
                expected,
                "{value}"
            );
        }
    }
}
