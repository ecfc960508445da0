//! Trees that are passed on as JSON. The settings file contains them as YAML, a flag as JSON.

use crate::settings::value::{Raw, Refused, Value};
use serde_json::{Map, Value as Json};

/// Declares a type for a tree of one shape. The function finds the problem of a value.
macro_rules! tree {
    ($(#[$about:meta])* $Name:ident, $Shape:ty, $kind:literal, $problem:path) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $Name($Shape);

        impl $Name {
            /// The validated tree.
            pub fn get(&self) -> &$Shape {
                &self.0
            }
        }

        impl Value for $Name {
            const BARE: bool = true;
            const TREE: bool = true;

            fn kind() -> String {
                $kind.to_owned()
            }

            fn parse(raw: &Raw) -> Result<Self, Refused> {
                let refused = |reason| Refused { item: None, reason };
                let tree: Option<$Shape> = match raw {
                    Raw::Text(text) if text.trim().is_empty() => return Ok(Self::default()),
                    Raw::Text(text) => serde_json::from_str(text).ok(),
                    Raw::List(_) => None,
                };
                let tree = tree.ok_or_else(|| refused(concat!("expected ", $kind).to_owned()))?;
                match $problem(&tree) {
                    Some(problem) => Err(refused(problem)),
                    None => Ok(Self(tree)),
                }
            }

            fn to_raw(&self) -> Option<Raw> {
                let text = || Raw::Text(Json::from(self.0.clone()).to_string());
                (!self.0.is_empty()).then(text)
            }

            fn unset() -> Option<Self> {
                Some(Self::default())
            }
        }
    };
}

tree! {
    /// Additional keys of /.well-known/matrix/client (Matrix specification, client-server API, "Well-known URIs").
    ClientKeys,
    Map<String, Json>,
    "a mapping of keys to values",
    reserved_key
}

/// The text of a key in a mapping; `None` if it is missing or empty.
pub(super) fn text_of<'a>(
    keys: &'a Map<String, Json>,
    key: &str,
) -> Result<Option<&'a str>, String> {
    match keys.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if text.is_empty() => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err("expected a text".to_owned()),
    }
}

/// A transport of MatrixRTC (MSC4143).
pub type Transport = Map<String, Json>;

tree! {
    /// A list of transports.
    Transports,
    Vec<Transport>,
    "a list of mappings, each with the key `type`",
    wrong_transport
}

/// Keys that Synapse sets itself, and here refuses (config/server.py) or ignores (rest/well_known.py), each with its
/// setting.
const RESERVED: [(&str, &str); 3] = [
    ("m.homeserver", "public_baseurl"),
    ("m.identity_server", "default_identity_server"),
    ("org.matrix.msc2965.authentication", "mas.endpoint"),
];

fn reserved_key(keys: &Map<String, Json>) -> Option<String> {
    let found = RESERVED.iter().find(|(key, _)| keys.contains_key(*key));
    found.map(|(key, setting)| {
        format!("Synapse sets `{key}` itself, from the setting `{setting}`; remove it here")
    })
}

/// The conditions of Synapse (config/matrixrtc.py, `TransportConfigModel`).
fn wrong_transport(transports: &[Transport]) -> Option<String> {
    let wrong = |transport: &Transport| {
        let text = |key: &str| transport.get(key).map(|value| value.as_str().unwrap_or(""));
        let urls = ["url", "livekit_service_url"].map(text);
        match text("type") {
            None | Some("") => Some("has no `type`".to_owned()),
            _ if urls.contains(&Some("")) => {
                Some("has a `url` or `livekit_service_url` that is not a string".to_owned())
            }
            Some("livekit") if urls == [None, None] => {
                Some("has the type livekit, but no `livekit_service_url`".to_owned())
            }
            Some(_) => None,
        }
    };
    let mut problems = transports.iter().map(wrong).enumerate();
    problems.find_map(|(index, problem)| Some(format!("transport {} {}", index + 1, problem?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_what_synapse_accepts() {
        let parse = |text: &str| Transports::parse(&Raw::Text(text.to_owned()));
        for text in [
            "",
            "[]",
            r#"[{"type": "livekit", "livekit_service_url": "https://r.test/jwt", "further": [1]}]"#,
            r#"[{"type": "livekit", "url": "wss://r.test"}, {"type": "org.example.mesh"}]"#,
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for (text, expected) in [
            ("livekit", "expected a list of mappings"),
            ("{}", "expected a list of mappings"),
            ("[1]", "expected a list of mappings"),
            ("[{}]", "transport 1 has no `type`"),
            (r#"[{"type": 1}]"#, "transport 1 has no `type`"),
            (
                r#"[{"type": "a"}, {"type": "livekit"}]"#,
                "transport 2 has the type livekit, but no `livekit_service_url`",
            ),
            (r#"[{"type": "a", "url": 1}]"#, "that is not a string"),
        ] {
            let reason = parse(text).unwrap_err().reason;
            assert!(reason.contains(expected), "{text}: {reason}");
        }
    }

    #[test]
    fn keys_that_synapse_sets_are_refused_with_their_setting() {
        for (key, setting) in RESERVED {
            let raw = Raw::Text(format!(r#"{{"a": 1, "{key}": {{}}}}"#));
            let reason = ClientKeys::parse(&raw).unwrap_err().reason;
            assert!(reason.contains(&format!("`{setting}`")), "{reason}");
        }
    }
}
