//! Reads the value of one key of the file.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::Place;
use super::reader::Reader;
use super::tree::{Progress, Tree};
use super::word::{Word, text_and_place};
use crate::settings::origin::SettingsError;
use crate::settings::row::Row;
use crate::settings::value::Raw;

/// Reads the value of a key.
pub(super) struct ValueOf<'r> {
    pub reader: &'r Reader,
    pub row: &'static Row,
}

#[derive(Default)]
pub(super) struct Written {
    /// The first line of the value; the first line of a list or tree is that of its key.
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

    /// Reads a tree as JSON; a text stands for the JSON that it contains.
    fn tree<'de, D: Deserializer<'de>>(&self, deserializer: D) -> Result<Written, D::Error> {
        let progress = Progress::default();
        let tree = Tree::new(self.reader, &progress).deserialize(deserializer);
        match (tree, progress.problem.get()) {
            (Ok(Json::String(text)), _) => Ok(Written {
                raw: Some(Raw::Text(text)),
                ..Written::default()
            }),
            (Ok(tree), _) => Ok(Written {
                raw: Some(Raw::Text(tree.to_string())),
                ..Written::default()
            }),
            (Err(error), Some(problem)) => {
                let problem = SettingsError::new(format!("`{}` {problem}", self.row.key));
                self.reader.fail(Place::of(&error).line, problem)
            }
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
        if self.row.tree {
            return self.tree(deserializer);
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
