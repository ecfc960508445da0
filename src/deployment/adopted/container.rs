//! A server that ran in a container: its configuration has paths of the container, and names of other containers.

use super::Adopted;
use super::imported::scalar;
use crate::pyyaml;
use crate::settings::types::PathMapping;
use serde_yaml::Value;
use std::collections::BTreeSet;

/// The files with the paths of this host in the place of those of the container.
pub fn mapped(files: Vec<(String, Vec<u8>)>, paths: &[PathMapping]) -> Vec<(String, Vec<u8>)> {
    let files = files.into_iter();
    files
        .map(|(path, contents)| (path, rewrite(&contents, paths)))
        .collect()
}

/// Replaces a directory of the container where it begins a scalar. The lines of the text keep their numbers.
fn rewrite(contents: &[u8], paths: &[PathMapping]) -> Vec<u8> {
    let mut rewritten = Vec::with_capacity(contents.len());
    let mut place = 0;
    while let Some(byte) = contents.get(place) {
        let rest = &contents[place..];
        let found = match begins_scalar(&contents[..place]) {
            true => longest(rest, paths),
            false => None,
        };
        match found {
            Some(mapping) => {
                rewritten.extend(mapping.host().as_bytes());
                place += mapping.container().len();
            }
            None => {
                rewritten.push(*byte);
                place += 1;
            }
        }
    }
    rewritten
}

/// Whether a scalar can begin after this text.
fn begins_scalar(before: &[u8]) -> bool {
    let last = before.last();
    last.is_none_or(|last| last.is_ascii_whitespace() || b"\"'[{,:".contains(last))
}

/// The longest directory of the container that the text begins with.
fn longest<'p>(text: &[u8], paths: &'p [PathMapping]) -> Option<&'p PathMapping> {
    let ends = |rest: &[u8]| {
        let first = rest.first();
        first.is_none_or(|byte| byte.is_ascii_whitespace() || b"/\"',]}".contains(byte))
    };
    let matching = paths.iter().filter(|mapping| {
        let rest = text.strip_prefix(mapping.container().as_bytes());
        rest.is_some_and(ends)
    });
    matching.max_by_key(|mapping| mapping.container().len())
}

impl Adopted {
    /// The names of hosts, other than this one, that only the network of the containers knows: names without a dot in
    /// the options, and in the URLs of these registrations of application services.
    pub fn container_names<'c>(
        &self,
        registrations: impl Iterator<Item = &'c [u8]>,
    ) -> BTreeSet<String> {
        let option = |section: &str, key: &str| -> Option<String> {
            scalar(self.option(section)?.get(key)?)
        };
        let database = self.option("database").and_then(|it| it.get("args"));
        let database = database.and_then(|arguments| scalar(arguments.get("host")?));
        let urls = registrations.filter_map(|contents| {
            let options = pyyaml::options(contents).ok()?.mapping;
            let url = options.get("url").and_then(Value::as_str)?;
            let (_, rest) = url.split_once("://")?;
            let host = rest.split(['/', ':']).next()?;
            Some(host.to_owned())
        });
        let named = [database, option("email", "smtp_host")];
        let names = named.into_iter().flatten().chain(urls);
        let outside = |name: &String| {
            !name.is_empty() && name != "localhost" && !name.contains(['.', ':', '/', '['])
        };
        names.filter(outside).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::value::Scalar;

    fn paths() -> Vec<PathMapping> {
        let paths = [
            "/data=/srv/synapse",
            "/data/media=/mnt/media",
            "/store=/data",
        ];
        paths.map(|path| PathMapping::parse(path).unwrap()).to_vec()
    }

    #[test]
    fn paths_of_the_container_are_replaced_where_a_value_begins() {
        for (before, after) in [
            ("a: /data/k\n", "a: /srv/synapse/k\n"),
            (
                "a: \"/data/k\"\nb: '/data'",
                "a: \"/srv/synapse/k\"\nb: '/srv/synapse'",
            ),
            ("{\"a\":\"/data/k\"}", "{\"a\":\"/srv/synapse/k\"}"),
            ("a: [/data/x,/data/y]", "a: [/srv/synapse/x,/srv/synapse/y]"),
            ("- /data/media/x", "- /mnt/media/x"),
            ("a: /store/x", "a: /data/x"),
        ] {
            let rewritten = rewrite(before.as_bytes(), &paths());
            assert_eq!(String::from_utf8(rewritten).unwrap(), after);
        }
        for same in [
            "a: /database/x",
            "a: /srv/data/x",
            "a: https://x.test/data/y",
            "a: b/data",
            "a: /data.old",
        ] {
            assert_eq!(
                rewrite(same.as_bytes(), &paths()),
                same.as_bytes(),
                "{same}"
            );
        }
    }

    #[test]
    fn names_of_other_containers_have_no_dot() {
        let file = "server_name: a.test\nsigning_key_path: /k\nmedia_store_path: /m\nemail: {smtp_host: mail}\n\
                    database: {name: psycopg2, args: {host: db, user: u}}\n";
        let adopted = Adopted::new(vec![("/h.yaml".to_owned(), file.into())]).unwrap();
        let registrations = [
            "url: http://bridge:29318/x\n",
            "url: http://127.0.0.1:1\n",
            "url: http://localhost:1\n",
            "url: null\n",
        ];
        let names = adopted.container_names(registrations.iter().map(|text| text.as_bytes()));
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            ["bridge", "db", "mail"]
        );
    }
}
