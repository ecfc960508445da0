//! The other hosts of a cluster.

use super::addresses::HostName;
use super::trees::text_of;
use crate::settings::value::{Raw, Refused, Scalar, Value, items};
use crate::suggest::nearest;
use serde_json::{Map, Value as Json, json};
use std::net::IpAddr;

/// A host that runs workers besides the first host, which is the one that has the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherHost {
    /// The name: the prefix of the names of its workers.
    pub name: String,
    /// The address at which the other hosts reach it.
    pub address: IpAddr,
    /// The destination for ssh, `HOST` or `USER@HOST`, if it is not the address.
    pub ssh: Option<String>,
    /// Its workers, in the notation of `workers`.
    pub workers: Vec<String>,
}

/// The other hosts, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Vec<OtherHost>);

/// A name that no host has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownHost {
    /// The name.
    pub name: String,
    /// The names of all hosts.
    pub known: Vec<String>,
}

/// The maximum length of a name.
const MAX_NAME: usize = 16;

/// Names with another meaning: those of the main process, and that of the host which has the settings.
const RESERVED: [&str; 3] = ["main", "master", Hosts::FIRST];

const KEYS: [&str; 3] = ["address", "ssh", "workers"];

const KIND: &str =
    "a mapping of names to hosts, each with the keys address, workers and, if needed, ssh";

impl Hosts {
    /// The word for the host that has the settings, where a name of a host is needed.
    pub const FIRST: &str = "first";

    /// All of them.
    pub fn all(&self) -> &[OtherHost] {
        &self.0
    }

    /// Whether there is no other host.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The host with this name, to change it.
    pub fn named_mut(&mut self, name: &str) -> Option<&mut OtherHost> {
        self.0.iter_mut().find(|host| host.name == name)
    }

    /// Takes out the hosts with these names, and returns them.
    ///
    /// # Errors
    /// With the first name that no host has; nothing is taken out then.
    pub fn take(&mut self, names: &[String]) -> Result<Vec<OtherHost>, UnknownHost> {
        if let Some(name) = names.iter().find(|name| self.named(name).is_none()) {
            return Err(UnknownHost {
                name: name.clone(),
                known: self.0.iter().map(|host| host.name.clone()).collect(),
            });
        }
        let hosts = std::mem::take(&mut self.0).into_iter();
        let (taken, rest) = hosts.partition(|host| names.contains(&host.name));
        self.0 = rest;
        Ok(taken)
    }

    /// The host with this name.
    pub fn named(&self, name: &str) -> Option<&OtherHost> {
        self.0.iter().find(|host| host.name == name)
    }
}

impl OtherHost {
    /// The destination for ssh, `USER@HOST`. The user is root, unless the settings name another.
    pub fn destination(&self) -> String {
        match &self.ssh {
            Some(destination) if destination.contains('@') => destination.clone(),
            Some(host) => format!("root@{host}"),
            None => format!("root@{}", self.address),
        }
    }

    fn read(name: &str, value: &Json) -> Result<Self, String> {
        check_name(name)?;
        let keys = value
            .as_object()
            .ok_or_else(|| format!("`{name}`: expected a mapping with address and workers"))?;
        if let Some(unknown) = keys.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let hint = nearest(unknown, KEYS.into_iter())
                .map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
            return Err(format!("`{name}` has no key `{unknown}`{hint}"));
        }
        let wrong = |key: &'static str| move |reason: String| format!("`{name}.{key}`: {reason}");
        let address = text_of(keys, "address")
            .and_then(|text| {
                let text = text.ok_or_else(<IpAddr as Scalar>::expected)?;
                <IpAddr as Scalar>::parse(text)
            })
            .map_err(wrong("address"))?;
        let ssh = text_of(keys, "ssh")
            .and_then(|text| text.map(destination).transpose())
            .map_err(wrong("ssh"))?;
        let workers = workers(keys.get("workers")).map_err(wrong("workers"))?;
        Ok(Self {
            name: name.to_owned(),
            address,
            ssh,
            workers,
        })
    }

    /// The keys that are set.
    fn written(&self) -> Json {
        let mut keys = json!({"address": self.address.to_string(), "workers": self.workers});
        if let Some(ssh) = &self.ssh {
            keys["ssh"] = json!(ssh);
        }
        keys
    }
}

/// A name is a prefix of names of units, and is separated from the rest by the underscore that it cannot contain.
fn check_name(name: &str) -> Result<(), String> {
    let letters = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !letters || !begins || name.len() > MAX_NAME {
        return Err(format!(
            "{name:?} cannot be the name of a host: expected a lower-case letter, then lower-case letters and digits, \
             at most {MAX_NAME} together"
        ));
    }
    match RESERVED.contains(&name) {
        true => Err(format!(
            "`{name}` cannot be the name of a host: it has another meaning; choose another name"
        )),
        false => Ok(()),
    }
}

/// A destination for ssh, which must not be taken for an option.
fn destination(text: &str) -> Result<String, String> {
    let (user, host) = match text.split_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, text),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_user = |user: &str| {
        user.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && user.bytes().all(plain)
    };
    let right = user.is_none_or(is_user)
        && !host.starts_with('-')
        && <HostName as Scalar>::parse(host).is_ok();
    match right {
        true => Ok(text.to_owned()),
        false => Err("expected HOST or USER@HOST".to_owned()),
    }
}

/// The entries of a list or of a text with commas. Their grammar is checked together with that of `workers`.
fn workers(value: Option<&Json>) -> Result<Vec<String>, String> {
    const EXPECTED: &str = "expected a list of workers, as in `workers`";
    let raw = match value {
        Some(Json::String(text)) => Raw::Text(text.clone()),
        Some(Json::Array(entries)) => {
            let texts = entries
                .iter()
                .map(|entry| entry.as_str().map(str::to_owned));
            Raw::List(texts.collect::<Option<_>>().ok_or(EXPECTED)?)
        }
        _ => return Err(EXPECTED.to_owned()),
    };
    let entries: Vec<String> = items(&raw).into_iter().map(|(_, entry)| entry).collect();
    match entries.is_empty() {
        true => Err(EXPECTED.to_owned()),
        false => Ok(entries),
    }
}

impl Value for Hosts {
    const BARE: bool = true;
    const TREE: bool = true;

    fn kind() -> String {
        KIND.to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Refused> {
        let refused = |reason| Refused { item: None, reason };
        let hosts: Option<Map<String, Json>> = match raw {
            Raw::Text(text) if text.trim().is_empty() => return Ok(Self::default()),
            Raw::Text(text) => serde_json::from_str(text).ok(),
            Raw::List(_) => None,
        };
        let hosts = hosts.ok_or_else(|| refused(format!("expected {KIND}")))?;
        let hosts = hosts.iter().map(|(name, host)| OtherHost::read(name, host));
        let mut hosts: Vec<OtherHost> = hosts.collect::<Result<_, _>>().map_err(refused)?;
        hosts.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self(hosts))
    }

    fn to_raw(&self) -> Option<Raw> {
        let hosts = self
            .0
            .iter()
            .map(|host| (host.name.clone(), host.written()));
        let hosts: Map<String, Json> = hosts.collect();
        (!hosts.is_empty()).then(|| Raw::Text(Json::from(hosts).to_string()))
    }

    fn unset() -> Option<Self> {
        Some(Self::default())
    }
}

#[cfg(test)]
mod tests;
