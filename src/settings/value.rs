//! The traits of the types of settings: a value is parsed from a raw value and can be written back.
//!
//! A [`Scalar`] is one word or number. A [`Value`] is the type of a field of [`Settings`](super::Settings): a scalar, a
//! scalar that may be unset, a list of scalars, or a tree.

/// A value as written, before its type is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// A scalar, or a tree as JSON. In an environment variable or a flag, it may stand for a list, with commas between
    /// the items.
    Text(String),
    /// A list in the settings file.
    List(Vec<String>),
}

impl Raw {
    /// The items of a list; a text is one item, even if it contains commas.
    pub fn texts(&self) -> &[String] {
        match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::List(texts) => texts,
        }
    }
}

/// The reason why a raw value is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The index of the wrong item of the list, from 0; `None` if the whole value is wrong.
    pub item: Option<usize>,
    /// Completes the sentence "the value is wrong: …".
    pub reason: String,
}

/// A type of a single value.
pub trait Scalar: Sized {
    /// Whether YAML contains it without quotes, like numbers and booleans.
    const BARE: bool = false;
    /// A description of the valid values with their bounds, for errors and documentation.
    fn kind() -> String;
    /// Parses a trimmed text.
    ///
    /// # Errors
    /// The reason, in the form of [`Refused::reason`].
    fn parse(text: &str) -> Result<Self, String>;
    /// The text that [`Scalar::parse`] parses as this value again.
    fn show(&self) -> String;

    /// The reason that states only what was expected.
    fn expected() -> String {
        format!("expected {}", Self::kind())
    }
}

/// A type of a setting.
pub trait Value: Sized {
    /// Whether YAML contains it without quotes, see [`Scalar::BARE`].
    const BARE: bool = false;
    /// Whether the settings file writes it as a list.
    const LIST: bool = false;
    /// Whether the settings file may contain it as a tree of YAML.
    const TREE: bool = false;
    /// Whether neither the settings file nor a message contains the value.
    const SECRET: bool = false;
    /// A description of the valid values, see [`Scalar::kind`].
    fn kind() -> String;
    /// Parses a raw value. Blanks around a text count only in a secret.
    ///
    /// # Errors
    /// With the reason, and the index of the wrong item of a list.
    fn parse(raw: &Raw) -> Result<Self, Refused>;
    /// The value to write; `None` leaves the key empty.
    fn to_raw(&self) -> Option<Raw>;
    /// The value if nothing was written and the table has no default; `None` if the setting is required.
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
        format!("a list, each item {}", T::kind())
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

/// The trimmed items, also split at commas, each with the index of its raw item. A blank text is the empty list.
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
        "true or false, or one of yes, no, on, off".to_owned()
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
