//! Synapse options of the administrator: those in homeserver.d, and those of an adopted server.

use super::Deployment;
use crate::pyyaml;
use serde_yaml::Value;

impl Deployment {
    /// The value of a top-level key of Synapse in the administrator's files. Of two files that set it, the later one
    /// counts, as for Synapse (config/_base.py, `read_config_files`).
    pub fn option(&self, key: &str) -> Option<Value> {
        let in_file = |contents: &Vec<u8>| pyyaml::options(contents).ok()?.mapping.remove(key);
        let own = self.homeserver_d.values().rev().find_map(in_file);
        own.or_else(|| self.adopted.option(key).cloned())
    }
}

/// Whether Python counts a value as true. Synapse reads YAML 1.1, in which `no` and `off` are booleans.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty() && pyyaml::truth(value) != Some(false),
        Value::Sequence(items) => !items.is_empty(),
        Value::Mapping(options) => !options.is_empty(),
        Value::Tagged(_) => true,
    }
}
