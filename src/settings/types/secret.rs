//! The value of a setting that is a secret.

use std::fmt;

use crate::settings::value::{Raw, Refused, Value};

/// A secret value, which appears neither in messages nor in the settings file.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A value that does not come from a setting.
    pub fn new(value: &str) -> Self {
        Self(value.to_owned())
    }

    /// The value itself, for the file that stores it. It must not reach a message or a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Value for Option<Secret> {
    const SECRET: bool = true;

    fn kind() -> String {
        "a secret".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Refused> {
        match raw {
            Raw::Text(text) if text.is_empty() => Ok(None),
            Raw::Text(text) => Ok(Some(Secret(text.clone()))),
            Raw::List(_) => Err(Refused {
                item: None,
                reason: "expected a single value".to_owned(),
            }),
        }
    }

    fn to_raw(&self) -> Option<Raw> {
        None
    }

    fn unset() -> Option<Self> {
        Some(None)
    }
}
