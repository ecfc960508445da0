//! Reads one key or value of the file: its text and its place.
//!
//! The YAML library reports the place of a value only in errors. Therefore a visitor reads each text, keeps it and then
//! fails: the error contains line and column, and the library has moved on to the next value.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::Place;
use super::reader::Reader;
use crate::settings::origin::SettingsError;
use crate::settings::row::Row;
use crate::settings::value::Raw;
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
fn text_and_place<'de, D: Deserializer<'de>>(
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

/// Reads the value of a key.
pub(super) struct ValueOf<'r> {
    pub reader: &'r Reader,
    pub row: &'static Row,
}

#[derive(Default)]
pub(super) struct Written {
    /// The first line of the value; the first line of a list is that of its key.
    pub line: Option<usize>,
    pub raw: Option<Raw>,
    pub items: Vec<Place>,
}

impl ValueOf<'_> {
    /// Reads a list, or a text with commas that stands for a list.
    fn list<'de, D: Deserializer<'de>>(&self, deserializer: D) -> Result<Written, D::Error> {
        let mut text = None;
        let visitor = ListOrText {
            reader: self.reader,
            text: &mut text,
        };
        match (deserializer.deserialize_any(visitor), text) {
            (Ok(items), _) => {
                let (texts, items) = items.into_iter().unzip();
                Ok(Written {
                    line: None,
                    raw: Some(Raw::List(texts)),
                    items,
                })
            }
            (Err(error), Some(text)) => Ok(Written {
                line: Some(Place::of(&error).line),
                raw: Some(Raw::Text(text)),
                items: Vec::new(),
            }),
            (Err(error), None) if self.reader.is_wrong_type(&error) => {
                self.wrong_type(Place::of(&error))
            }
            (Err(error), None) => Err(error),
        }
    }

    fn wrong_type<T, E: Error>(&self, place: Place) -> Result<T, E> {
        let (key, kind) = (self.row.key, self.row.kind());
        let problem = format!("`{key}` has the wrong type: expected {kind}");
        self.reader.fail(place.line, SettingsError::new(problem))
    }
}

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = Written;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for ValueOf<'_> {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_none<E>(self) -> Result<Written, E> {
        Ok(Written::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written, D::Error> {
        if self.row.list {
            return self.list(deserializer);
        }
        match text_and_place(deserializer)? {
            (Some(text), place) => Ok(Written {
                line: Some(place.line),
                raw: Some(Raw::Text(text)),
                items: Vec::new(),
            }),
            (None, place) => self.wrong_type(place),
        }
    }
}

struct ListOrText<'r, 't> {
    reader: &'r Reader,
    text: &'t mut Option<String>,
}

impl<'de> Visitor<'de> for ListOrText<'_, '_> {
    type Value = Vec<(String, Place)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        *self.text = Some(text.to_owned());
        Err(E::custom(""))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Word(self.reader))? {
            items.push(item);
        }
        Ok(items)
    }
}
