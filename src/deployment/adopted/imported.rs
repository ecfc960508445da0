//! Settings that are imported from adopted files.

use crate::pyyaml;
use serde_yaml::Value;

/// Imported settings, and notes for the administrator.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Key and value, in the notation of the settings file.
    pub settings: Vec<(&'static str, String)>,
    /// Options that have no effect after adoption, each with its replacement.
    pub notes: Vec<String>,
}

impl Imported {
    pub(super) fn set(&mut self, key: &'static str, value: impl Into<String>) {
        self.settings.push((key, value.into()));
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// A string, number or boolean as text; `None` for null, lists and mappings.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// Whether an option has no effect: it is empty, null, false or disabled.
pub(super) fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) if text.is_empty() => true,
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(keys) => {
            let enabled = keys.get("enabled").and_then(pyyaml::truth);
            keys.is_empty() || enabled == Some(false)
        }
        value => pyyaml::truth(value) == Some(false),
    }
}

/// Like [`scalar`], for a number: an integer of YAML 1.1 in decimal digits.
pub(super) fn number(value: &Value) -> Option<String> {
    match pyyaml::integer(value) {
        Some(number) => Some(number.to_string()),
        None => scalar(value),
    }
}
