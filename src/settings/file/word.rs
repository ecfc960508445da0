//! Reads one text of the file and its place.
//!
//! The YAML library reports the place of a value only in errors. Therefore a visitor reads each text, keeps it and then
//! fails: the error contains line and column, and the library has moved on to the next value.

use serde::de::{DeserializeSeed, Deserializer};

use super::Place;
use super::reader::Reader;
use crate::settings::origin::SettingsError;
use crate::yaml::KeepAndFail;

/// Reads a key or an item of a list: a text and its place.
pub(super) struct Word<'r>(pub &'r Reader);

impl<'de> DeserializeSeed<'de> for Word<'_> {
    type Value = (String, Place);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match text_and_place(deserializer)? {
            (Some(text), place) => Ok((text, place)),
            (None, place) => {
                let problem = SettingsError::new("expected a string, found a list or a mapping");
                let help = "write one word, or put the text in quotes";
                self.0.fail(place.line, problem.help(help))
            }
        }
    }
}

/// The text of a scalar as written, and its place; the text is `None` if the value is not a scalar.
pub(super) fn text_and_place<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<(Option<String>, Place), D::Error> {
    let mut text = None;
    match deserializer.deserialize_str(KeepAndFail(&mut text)) {
        Ok(never) => match never {},
        Err(error) if text.is_some() || error.to_string().contains("invalid type") => {
            Ok((text, Place::of(&error)))
        }
        Err(error) => Err(error),
    }
}
