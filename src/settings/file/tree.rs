//! Reads a tree of YAML as JSON: the value of a setting whose keys other programs define.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

use super::reader::Reader;
use super::word::Word;

/// The maximum number of values in a tree. Aliases can make a short text a large tree.
const MAX_VALUES: usize = 1000;

/// Reads one value with everything below it.
#[derive(Clone, Copy)]
pub(super) struct Tree<'r> {
    reader: &'r Reader,
    progress: &'r Progress,
}

/// The number of values read so far, and the reason why the tree is refused.
#[derive(Default)]
pub(super) struct Progress {
    values: Cell<usize>,
    pub problem: Cell<Option<&'static str>>,
}

impl<'r> Tree<'r> {
    pub fn new(reader: &'r Reader, progress: &'r Progress) -> Self {
        Self { reader, progress }
    }

    fn refuse<T, E: Error>(self, problem: &'static str) -> Result<T, E> {
        self.progress.problem.set(Some(problem));
        Err(E::custom(problem))
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let values = self.progress.values.get() + 1;
        self.progress.values.set(values);
        if values > MAX_VALUES {
            return self.refuse("has too many values");
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        match Number::from_f64(value) {
            Some(number) => Ok(number.into()),
            None => self.refuse("contains a number that JSON does not have"),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some((key, _)) = map.next_key_seed(Word(self.reader))? {
            if key == "<<" {
                return self.refuse("contains `<<`, which is not supported here");
            }
            let value = map.next_value_seed(self)?;
            if values.insert(key, value).is_some() {
                return self.refuse("contains a key twice");
            }
        }
        Ok(values.into())
    }
}
