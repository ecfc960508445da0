//! One row of the settings table, and the macros that generate the rows and the structs from one declaration.

use super::fragment::Values;
use super::origin::{Origin, SettingsError};
use super::table::ROWS;
use super::value::{Raw, Refused, Value};

/// The properties of one setting.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The YAML key; a dot stands for one level: `database.host`.
    pub key: &'static str,
    /// The environment names; the first that is set counts.
    pub env: &'static [&'static str],
    /// The default as it would be written in the file; `None` if the setting is unset by default or required, see
    /// [`Row::is_required`].
    pub default: Option<&'static str>,
    /// Lines of explanation.
    pub explanation: &'static [&'static str],
    /// Whether it is written as a list.
    pub list: bool,
    /// Whether it is written as a tree of YAML.
    pub tree: bool,
    /// Whether neither the settings file nor a message contains the value.
    pub secret: bool,
    bare: bool,
    required: fn() -> bool,
    kind: fn() -> String,
    normal: fn(&Raw) -> Result<Option<Raw>, Refused>,
}

impl Row {
    /// The row of a setting of type `T`.
    pub const fn new<T: Value>(
        key: &'static str,
        explanation: &'static [&'static str],
        default: Option<&'static str>,
        env: &'static [&'static str],
    ) -> Self {
        Self {
            key,
            env,
            default,
            explanation,
            required: || T::unset().is_none(),
            list: T::LIST,
            tree: T::TREE,
            secret: T::SECRET,
            bare: T::BARE,
            kind: T::kind,
            normal: |raw| T::parse(raw).map(|value| value.to_raw()),
        }
    }

    /// The row of `key`.
    pub fn of(key: &str) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.key == key)
    }

    /// The section and the name: `database.host` is `host` in `database`.
    pub fn path(&self) -> (Option<&'static str>, &'static str) {
        match self.key.split_once('.') {
            Some((section, name)) => (Some(section), name),
            None => (None, self.key),
        }
    }

    /// Whether the setting must be set.
    pub fn is_required(&self) -> bool {
        (self.required)()
    }

    /// A description of the valid values, for errors and documentation.
    pub fn kind(&self) -> String {
        (self.kind)()
    }

    /// The default in its normal form; `None` if there is none.
    pub fn default_raw(&self) -> Option<Raw> {
        let written = Raw::Text(self.default?.to_owned());
        self.normal(&written).unwrap_or(Some(written))
    }

    /// The value in its normal form, or the reason why it is refused.
    ///
    /// # Errors
    /// With the reason, and the index of the wrong item of a list.
    pub fn normal(&self, raw: &Raw) -> Result<Option<Raw>, Refused> {
        let control = |text: &String| text.chars().any(char::is_control);
        match raw.texts().iter().position(control) {
            Some(item) => Err(Refused {
                item: Some(item),
                reason: "control characters such as line breaks are not allowed".to_owned(),
            }),
            None => (self.normal)(raw),
        }
    }

    /// The value as one line of YAML that readers of YAML 1.1 and 1.2 interpret alike.
    pub fn yaml(&self, raw: Option<&Raw>) -> String {
        match raw {
            None => String::new(),
            Some(Raw::Text(text)) if self.bare => text.clone(),
            Some(Raw::Text(text)) if is_plain(text) => text.clone(),
            Some(Raw::Text(text)) => quoted(text),
            Some(Raw::List(texts)) => {
                let items: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }

    /// The error for a refused value; a secret is not repeated.
    pub fn refusal(&self, raw: &Raw, refused: &Refused, origin: &Origin) -> SettingsError {
        let shown = match (self.secret, refused.item, raw) {
            (true, ..) => "the given secret".to_owned(),
            (_, Some(item), raw) => raw
                .texts()
                .get(item)
                .map_or_else(String::new, |text| short(text)),
            (_, None, Raw::Text(text)) => short(text),
            (_, None, Raw::List(_)) => "a list".to_owned(),
        };
        let (key, reason) = (self.key, &refused.reason);
        SettingsError::at(origin, format!("`{key}` cannot be {shown}: {reason}"))
    }
}

/// The value quoted for a message, truncated if it is long.
fn short(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// JSON strings are valid in every version of YAML.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether every reader interprets the bare text as the same string: a word that is not a boolean or null, a path, or a
/// number with one unit letter.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    if let Some(unit) = text.chars().last().filter(char::is_ascii_alphabetic) {
        let number = text.trim_end_matches(unit);
        if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            return true;
        }
    }
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// A section of the settings file.
pub(super) trait Section: Sized {
    const NAME: &'static str;
    /// Lines of explanation.
    const ABOUT: &'static [&'static str];
    const ROWS: &'static [Row];
    /// Parses the raw values.
    fn assemble(values: &Values) -> Result<Self, SettingsError>;
    /// The values to write, in the order of the rows.
    fn raws(&self) -> Vec<Option<Raw>>;
}

/// The number of rows of all parts.
pub(super) const fn count(parts: &[&[Row]]) -> usize {
    let (mut total, mut part) = (0, 0);
    while part < parts.len() {
        total += parts[part].len();
        part += 1;
    }
    total
}

/// The rows of all parts, `COUNT` together. A constant, so `for` and iterators are not available.
pub(super) const fn joined<const COUNT: usize>(parts: &[&[Row]]) -> [Row; COUNT] {
    let mut rows = [parts[0][0]; COUNT];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let mut row = 0;
        while row < parts[part].len() {
            rows[at] = parts[part][row];
            at += 1;
            row += 1;
        }
        part += 1;
    }
    rows
}

/// Declares a section: its struct and its rows.
///
/// The doc comments are the explanations. `= "…"` is the default as it would be written in the file, and `env` lists
/// the names in the environment.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $section:ident: $Section:ident {
            $($(#[doc = $doc:literal])+
            $field:ident: $type:ty $(= $default:literal)? $(, env $($env:literal)+)?;)*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $Section {
            $($(#[doc = $doc])+ pub $field: $type,)*
        }

        impl Section for $Section {
            const NAME: &'static str = stringify!($section);
            const ABOUT: &'static [&'static str] = &[$($about),+];
            const ROWS: &'static [Row] = &[
                $(Row::new::<$type>(
                    concat!(stringify!($section), ".", stringify!($field)), &[$($doc),+],
                    section!(@default $($default)?), &[$($($env),+)?],
                ),)*
            ];

            fn assemble(values: &Values) -> Result<Self, SettingsError> {
                Ok(Self {
                    $($field: values.typed(concat!(stringify!($section), ".", stringify!($field)))?,)*
                })
            }

            fn raws(&self) -> Vec<Option<Raw>> {
                vec![$(self.$field.to_raw(),)*]
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}
pub(super) use section;

/// Declares [`Settings`](super::Settings) from the keys without a section, in the notation of [`section`], and the
/// sections.
macro_rules! settings {
    (
        top {
            $($(#[doc = $doc:literal])+
            $field:ident: $type:ty $(= $default:literal)? $(, env $($env:literal)+)?;)*
        }
        sections { $($section:ident: $Section:ident,)* }
    ) => {
        /// Every setting, typed and validated.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $field: $type,)*
            $(
                #[doc = concat!("The section `", stringify!($section), "`.")]
                pub $section: $Section,
            )*
        }

        const PARTS: &[&[Row]] = &[
            &[$(Row::new::<$type>(
                stringify!($field), &[$($doc),+],
                settings!(@default $($default)?), &[$($($env),+)?],
            ),)*],
            $($Section::ROWS,)*
        ];

        /// Every setting, in the order of the settings file.
        pub static ROWS: &[Row] = &joined::<{ count(PARTS) }>(PARTS);

        /// The sections of the settings file, with their explanations.
        pub static SECTIONS: &[(&str, &[&str])] = &[$(($Section::NAME, $Section::ABOUT),)*];

        impl Settings {
            /// Parses the raw values.
            pub(super) fn assemble(values: &Values) -> Result<Self, SettingsError> {
                Ok(Self {
                    $($field: values.typed(stringify!($field))?,)*
                    $($section: $Section::assemble(values)?,)*
                })
            }

            /// The values to write, in the order of [`ROWS`].
            pub(super) fn raws(&self) -> Vec<Option<Raw>> {
                let mut raws = vec![$(self.$field.to_raw(),)*];
                $(raws.extend(self.$section.raws());)*
                raws
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}
pub(super) use settings;
