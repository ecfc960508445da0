//! What the tests of settings share: a sample of every row, and sources under construction.

use std::collections::BTreeMap;
use std::path::Path;

use synapse_workers::settings::file::read;
use synapse_workers::settings::value::Raw;
use synapse_workers::settings::{Loaded, Row, SettingsError, Sources, load, new_file};

/// For every key a value that is not the default, and one that is wrong.
pub const SAMPLES: &[(&str, &str, &str)] = &[
    (
        "server_name",
        "matrix.example.org:8448",
        "matrix.example.org/x",
    ),
    ("report_stats", "Yes", "maybe"),
    ("public_baseurl", "https://m.example.org/", "m.example.org"),
    ("workers", "synchrotron:2, pusher", "a\u{1}b"),
    ("http_port", "8080", "65536"),
    ("bind_addresses", "10.0.0.1, fe80::1", "10.0.0.256"),
    ("trusted_proxies", "10.0.0.0/8, ::1", "10.0.0.0/33"),
    ("max_upload_size", "1g", "50X"),
    ("media_store_path", "/srv/media store", "media"),
    ("log_level", "debug", "LOUD"),
    ("postgres_password", "no: 'secret'", "two\u{7}bells"),
    ("caches.global_factor", "1.25", "-1"),
    ("database.kind", "sqlite", "mysql"),
    ("database.host", "/run/postgresql", "db;drop"),
    ("database.port", "5433", "0"),
    ("database.name", "matrix", "matrix\"db"),
    ("database.user", "off", "1user"),
    ("database.password_file", "/etc/pw", "../pw"),
    ("database.cp_min", "2", "0"),
    ("database.cp_max", "10", "101"),
    (
        "synapse.python",
        "/opt/venvs/matrix-synapse/bin/python",
        "python3",
    ),
    ("synapse.version", "1.170.0rc1", "latest"),
    ("synapse.jemalloc", "off", "2"),
    ("limits.main_memory", "2G", "2X"),
    ("limits.worker_memory", "512M", "-1"),
    ("limits.tasks", "1024", "015"),
    ("nginx.worker_processes", "4", "0"),
    ("nginx.worker_connections", "4096", "many"),
    ("nginx.proxy_read_timeout", "90", "90 minutes"),
];

pub const FILE: &str = "/etc/synapse-workers/settings.yaml";

/// Sources under construction.
#[derive(Default)]
pub struct Given {
    pub file: Option<String>,
    pub env_file: Option<String>,
    pub environment: BTreeMap<String, String>,
    pub flags: Vec<(&'static str, &'static str, String)>,
}

impl Given {
    pub fn file(text: impl Into<String>) -> Self {
        Self {
            file: Some(text.into()),
            ..Self::default()
        }
    }

    pub fn load(&self) -> Result<Loaded, SettingsError> {
        load(&Sources {
            file: self.file.as_deref().map(|text| (Path::new(FILE), text)),
            env_file: self
                .env_file
                .as_deref()
                .map(|text| (Path::new("synapse.env"), text)),
            environment: &self.environment,
            flags: &self.flags,
        })
    }

    pub fn error(&self) -> String {
        self.load().expect_err("refused").to_string()
    }
}

pub fn row(key: &str) -> &'static Row {
    Row::of(key).unwrap_or_else(|| panic!("{key} is a setting"))
}

/// The usual form of a value given as text.
pub fn normal(key: &str, text: &str) -> Option<Raw> {
    row(key)
        .normal(&Raw::Text(text.to_owned()))
        .expect("a right value")
}

/// `key: value` as a file of its own, with a server name.
pub fn file_with(key: &str, yaml: &str) -> String {
    let name = if key == "server_name" {
        ""
    } else {
        "server_name: example.org\n"
    };
    match key.split_once('.') {
        Some((section, inner)) => format!("{name}{section}:\n  {inner}: {yaml}\n"),
        None => format!("{name}{key}: {yaml}\n"),
    }
}

/// A value of loaded settings, read from the file that would be written for them.
pub fn value_of(loaded: &Loaded, key: &str) -> Option<Raw> {
    if key == "postgres_password" {
        let secret = loaded.settings.postgres_password.as_ref()?;
        return Some(Raw::Text(secret.reveal().to_owned()));
    }
    let document = read(Path::new(FILE), &new_file(&loaded.settings)).expect("our own file");
    let raw = document.entry(row(key))?.raw.clone()?;
    row(key).normal(&raw).expect("our own value")
}
