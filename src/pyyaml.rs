//! Reads options as Synapse does, with PyYAML's SafeLoader (YAML 1.1): of a key that is written twice the later value
//! counts, `<<` merges mappings, and the forms of booleans and integers are those of YAML 1.1.
//!
//! Texts stay as written, because the YAML library does not report quotes; [`truth`] and [`integer`] interpret them
//! where a value is a boolean or a number.

use crate::yaml::{self, KeepAndFail};
use anyhow::{Context, Result, bail};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde_yaml::{Mapping, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// The options of a file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The options by key.
    pub mapping: Mapping,
    /// The line of each top-level key.
    pub lines: BTreeMap<String, usize>,
    /// A sentence for each key that is written twice in one mapping.
    pub repeated: Vec<String>,
}

/// Reads the options of a file; none if it is empty.
///
/// # Errors
/// When the document is nested too deeply, is not valid YAML, or is not a mapping.
pub fn options(text: &[u8]) -> Result<Options> {
    yaml::refuse_deep(text)?;
    let repeated = RefCell::new(Vec::new());
    let lines = RefCell::new(BTreeMap::new());
    let node = Node {
        repeated: &repeated,
        lines: Some(&lines),
    };
    let document = node.deserialize(serde_yaml::Deserializer::from_slice(text));
    let mapping = match document.context("invalid YAML")? {
        Value::Null => Mapping::new(),
        Value::Mapping(mapping) => mapping,
        _ => bail!("contains no options of Synapse; it must be a mapping, as homeserver.yaml is"),
    };
    Ok(Options {
        mapping,
        lines: lines.into_inner(),
        repeated: repeated.into_inner(),
    })
}

/// A boolean of YAML 1.1 (PyYAML's resolver.py).
pub fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => match text.as_str() {
            "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
            "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// An integer of YAML 1.1: also with underscores, and octal after a leading zero (PyYAML's constructor.py,
/// `construct_yaml_int`).
pub fn integer(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => return number.as_i64(),
        Value::String(text) => text.replace('_', ""),
        _ => return None,
    };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok();
    let number = match digits.as_bytes() {
        [b'0', b'b', ..] => radix(&digits[2..], 2),
        [b'0', b'x', ..] => radix(&digits[2..], 16),
        [b'0', _, ..] => radix(&digits[1..], 8),
        _ => radix(digits, 10),
    };
    Some(sign * number?)
}

/// Reads any node. `lines` receives the lines of the keys, if the node is a mapping.
#[derive(Clone, Copy)]
struct Node<'r> {
    repeated: &'r RefCell<Vec<String>>,
    lines: Option<&'r RefCell<BTreeMap<String, usize>>>,
}

impl Node<'_> {
    fn inner(&self) -> Self {
        Self {
            lines: None,
            ..*self
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
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

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self.inner())? {
            items.push(item);
        }
        Ok(Value::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let (mut own, mut merged) = (Mapping::new(), Mapping::new());
        let mut lines = BTreeMap::new();
        while let Some((key, line)) = map.next_key_seed(Key)? {
            let value = map.next_value_seed(self.inner())?;
            if key == "<<" {
                merge(&mut merged, value)?;
                continue;
            }
            if let Some(first) = lines.insert(key.clone(), line) {
                self.repeated.borrow_mut().push(format!(
                    "`{key}` is set on line {first} and again on line {line}, which counts"
                ));
            }
            own.insert(key.into(), value);
        }
        if let Some(all) = self.lines {
            all.replace(lines);
        }
        merged.extend(own);
        Ok(Value::Mapping(merged))
    }

    /// A node with a tag, whose value counts.
    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Value, A::Error> {
        let (_, contents) = data.variant::<String>()?;
        contents.newtype_variant_seed(self)
    }
}

/// Merges the value of a `<<` key: a mapping, or a list of mappings of which the earlier ones count.
fn merge<E: Error>(merged: &mut Mapping, value: Value) -> Result<(), E> {
    let mappings = match value {
        Value::Sequence(items) => items.into_iter().rev().collect(),
        mapping => vec![mapping],
    };
    for mapping in mappings {
        let Value::Mapping(mapping) = mapping else {
            return Err(E::custom("`<<` merges mappings only"));
        };
        merged.extend(mapping);
    }
    Ok(())
}

/// Reads a key with its line, which is in the error that [`KeepAndFail`] causes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = (String, usize);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let mut text = None;
        let error = match deserializer.deserialize_str(KeepAndFail(&mut text)) {
            Ok(never) => match never {},
            Err(error) => error,
        };
        let Some(text) = text else {
            return Err(error);
        };
        let message = error.to_string();
        let line = message.rsplit_once(" at line ").and_then(|(_, place)| {
            let (line, _) = place.split_once(' ')?;
            line.parse().ok()
        });
        // The library omits the place if it is the very first one.
        Ok((text, line.unwrap_or(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_of_two_values_counts_and_mappings_are_merged() {
        let text = "# Head.\na: 1\nb: &b {x: 1, y: 2}\nc:\n  <<: *b\n  y: 3\n  z: 4\n  z: 5\n\
                    d: {<<: [{x: 9}, *b]}\na: 2\n10: ten\n";
        let options = options(text.as_bytes()).unwrap();
        let expected: Mapping = serde_yaml::from_str(
            "{b: {x: 1, y: 2}, c: {x: 1, y: 3, z: 5}, d: {x: 9, y: 2}, a: 2, '10': ten}",
        )
        .unwrap();
        assert_eq!(options.mapping, expected);
        assert_eq!(
            options.repeated,
            [
                "`z` is set on line 7 and again on line 8, which counts",
                "`a` is set on line 2 and again on line 10, which counts",
            ]
        );
        assert_eq!((options.lines["a"], options.lines["d"]), (10, 9));
    }

    #[test]
    fn documents_that_are_no_mapping_are_refused() {
        for (text, good) in [
            ("", true),
            ("# nothing\n", true),
            ("a: !tag {b: 1}\n", true),
            ("- 1", false),
            ("a: [", false),
            ("a: 1\n--- \nb: 1\n", false),
            ("a: {<<: 1}", false),
            ("? [1]\n: 2\n", false),
        ] {
            assert_eq!(options(text.as_bytes()).is_ok(), good, "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(options(deep.as_bytes()).is_err());
    }

    #[test]
    fn booleans_and_integers_are_those_of_yaml_1_1() {
        let read = |text: &str| {
            let options = options(format!("k: {text}").as_bytes()).unwrap();
            options.mapping["k"].clone()
        };
        for (text, expected) in [
            ("yes", Some(true)),
            ("On", Some(true)),
            ("true", Some(true)),
            ("OFF", Some(false)),
            ("no", Some(false)),
            ("y", None),
            ("1", None),
        ] {
            assert_eq!(truth(&read(text)), expected, "{text}");
        }
        for (text, expected) in [
            ("8008", Some(8_008)),
            ("010", Some(8)),
            ("0x1F48", Some(8_008)),
            ("0b11", Some(3)),
            ("52_428_800", Some(52_428_800)),
            ("-5", Some(-5)),
            ("0", Some(0)),
            ("089", None),
            ("50M", None),
            ("a", None),
        ] {
            assert_eq!(integer(&read(text)), expected, "{text}");
        }
    }
}
