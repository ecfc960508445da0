//! Raw values with their origin, and the effective value of each key.

use super::file::Place;
use super::origin::{Origin, SettingsError};
use super::row::Row;
use super::value::{Raw, Value};
use std::collections::BTreeMap;

/// A raw value and its origin.
#[derive(Clone, Debug)]
pub(super) struct Fragment {
    pub(super) row: &'static Row,
    pub(super) raw: Raw,
    pub(super) origin: Origin,
    /// The places of the items of a list in the file.
    pub(super) items: Vec<Place>,
}

impl Fragment {
    pub(super) fn new(row: &'static Row, text: &str, origin: Origin) -> Self {
        Self {
            row,
            raw: Raw::Text(text.to_owned()),
            origin,
            items: Vec::new(),
        }
    }

    /// The value in its normal form, or an error that names the exact line.
    pub(super) fn normal(&self) -> Result<Option<Raw>, SettingsError> {
        self.row.normal(&self.raw).map_err(|refused| {
            let mut origin = self.origin.clone();
            let place = refused.item.and_then(|item| self.items.get(item));
            if let (Origin::File { line, .. }, Some(place)) = (&mut origin, place) {
                *line = place.line;
            }
            self.row.refusal(&self.raw, &refused, &origin)
        })
    }
}

/// The effective value of each key.
pub(super) struct Values {
    pub(super) fragments: BTreeMap<&'static str, Fragment>,
    /// The file in which to write a missing setting, for messages.
    pub(super) file: String,
}

impl Values {
    /// The typed value of `key`.
    pub(super) fn typed<T: Value>(&self, key: &'static str) -> Result<T, SettingsError> {
        let Some(fragment) = self.fragments.get(key) else {
            return T::unset().ok_or_else(|| self.missing(key));
        };
        T::parse(&fragment.raw).map_err(|refused| {
            fragment
                .row
                .refusal(&fragment.raw, &refused, &fragment.origin)
        })
    }

    fn missing(&self, key: &str) -> SettingsError {
        let flag = key.replace(['_', '.'], "-");
        let word = key.rsplit('_').next().unwrap_or(key).to_uppercase();
        let file = &self.file;
        let help = format!("pass --{flag} {word}, or set `{key}` in {file}");
        SettingsError::new(format!("`{key}` is not set")).help(help)
    }
}
