//! What every type of a setting can do: be read from a raw value and be written back.
//!
//! A [`Scalar`] is one word or number. A [`Value`] is what stands in a field of
//! [`Settings`](super::Settings): a scalar, a scalar that may be unset, or a list of scalars.

/// A value as written, before its type is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    Text(String),
    List(Vec<String>),
}

impl Raw {
    pub fn texts(&self) -> &[String] {
        match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::List(texts) => texts,
        }
    }
}

/// Why a raw value is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which item of the list is wrong, counted from 0; `None` for the whole value.
    pub item: Option<usize>,
    /// Completes the sentence "the value is wrong: …".
    pub reason: String,
}

/// A type of a single value.
pub trait Scalar: Sized {
    /// Printed in YAML without quotes: numbers and booleans.
    const BARE: bool = false;
    /// What is expected, with bounds; used in errors and in the documentation.
    fn kind() -> String;
    /// Reads a trimmed text; the error is the reason.
    fn parse(text: &str) -> Result<Self, String>;
    /// The text that [`Scalar::parse`] reads as this value again.
    fn show(&self) -> String;

    /// The reason that says no more than what was expected.
    fn expected() -> String {
        format!("expected {}", Self::kind())
    }
}

/// A type of a setting.
pub trait Value: Sized {
    const BARE: bool = false;
    const LIST: bool = false;
    /// Never written to the settings file, never part of a message.
    const SECRET: bool = false;
    fn kind() -> String;
    fn parse(raw: &Raw) -> Result<Self, Refused>;
    /// The value to write; `None` leaves the key empty.
    fn to_raw(&self) -> Option<Raw>;
    /// The value when nothing was written and the table has no default; `None`: it is required.
    fn unset() -> Option<Self> {
        None
    }
}

impl<T: Scalar> Value for T {
    const BARE: bool = T::BARE;

    fn kind() -> String {
        T::kind()
    }

    fn parse(raw: &Raw) -> Result<Self, Refused> {
        match raw {
            Raw::Text(text) => T::parse(text.trim()).map_err(whole),
            Raw::List(_) => Err(whole(T::expected())),
        }
    }

    fn to_raw(&self) -> Option<Raw> {
        Some(Raw::Text(self.show()))
    }
}

impl<T: Scalar> Value for Option<T> {
    const BARE: bool = T::BARE;

    fn kind() -> String {
        T::kind()
    }

    fn parse(raw: &Raw) -> Result<Self, Refused> {
        match raw {
            Raw::Text(text) if text.trim().is_empty() => Ok(None),
            raw => <T as Value>::parse(raw).map(Some),
        }
    }

    fn to_raw(&self) -> Option<Raw> {
        self.as_ref().and_then(Value::to_raw)
    }

    fn unset() -> Option<Self> {
        Some(None)
    }
}

impl<T: Scalar + PartialEq> Value for Vec<T> {
    const LIST: bool = true;

    fn kind() -> String {
        format!("a list of items, each {}", T::kind())
    }

    fn parse(raw: &Raw) -> Result<Self, Refused> {
        let mut values = Vec::new();
        for (item, text) in items(raw) {
            let refused = |reason| Refused {
                item: Some(item),
                reason,
            };
            let value = T::parse(&text).map_err(refused)?;
            if values.contains(&value) {
                return Err(refused(format!("{text} is listed twice")));
            }
            values.push(value);
        }
        Ok(values)
    }

    fn to_raw(&self) -> Option<Raw> {
        Some(Raw::List(self.iter().map(Scalar::show).collect()))
    }

    fn unset() -> Option<Self> {
        Some(Vec::new())
    }
}

/// Trimmed items, split at commas too, each with the index of the raw item it stood in.
/// A text without any word is the empty list.
pub(super) fn items(raw: &Raw) -> Vec<(usize, String)> {
    if matches!(raw, Raw::Text(text) if text.trim().is_empty()) {
        return Vec::new();
    }
    let texts = raw.texts().iter().enumerate();
    texts
        .flat_map(|(item, text)| {
            text.split(',')
                .map(move |part| (item, part.trim().to_owned()))
        })
        .collect()
}

fn whole(reason: String) -> Refused {
    Refused { item: None, reason }
}

impl Scalar for bool {
    const BARE: bool = true;

    fn kind() -> String {
        "true or false, also yes, no, on, off".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "yes" | "y" | "true" | "1" | "t" | "on" => Ok(true),
            "no" | "n" | "false" | "0" | "f" | "off" => Ok(false),
            _ => Err(Self::expected()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Scalar for std::net::IpAddr {
    fn kind() -> String {
        "an IP address".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| Self::expected())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}
