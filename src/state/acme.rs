//! The order for a certificate: the names, and the authority that issues it.

use super::State;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The file of a generation that contains the order, as options of certbot.
pub const FILE: &str = "acme/certbot.ini";

/// The conditions that a certificate must fulfill. Equal orders need one certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The names of the certificate.
    pub names: Vec<String>,
    /// The URL of the authority's directory, `staging` for the test server of Let's Encrypt, or empty for certbot's
    /// default.
    pub server: String,
}

impl Order {
    /// The order of a state, if it has one.
    pub fn of_state(state: &State) -> Option<Self> {
        let options = state.files.get(FILE)?;
        Some(Self::of_options(&String::from_utf8_lossy(
            &options.contents,
        )))
    }

    /// The order in a file with options of certbot.
    pub fn of_options(text: &str) -> Self {
        let option = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(" = "));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let names = option("domains").unwrap_or_default().split(',');
        Self {
            names: names.map(|name| name.trim().to_owned()).collect(),
            server: match option("staging") {
                Some(_) => "staging".to_owned(),
                None => option("server").unwrap_or_default().to_owned(),
            },
        }
    }

    /// The name of the authority in messages.
    pub fn authority(&self) -> &str {
        match self.server.as_str() {
            "" => "Let's Encrypt",
            "staging" => "the test server of Let's Encrypt",
            url => {
                let rest = url.strip_prefix("https://").unwrap_or(url);
                rest.split('/').next().unwrap_or(rest)
            }
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.names.join(", "), self.authority())
    }
}
