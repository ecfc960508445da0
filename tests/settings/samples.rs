//! Fixtures for the tests of settings: samples for every row, and a builder for sources.

use std::collections::BTreeMap;
use std::path::Path;

use synapse_workers::deployment::secrets::SECRETS;
use synapse_workers::settings::file::read;
use synapse_workers::settings::value::Raw;
use synapse_workers::settings::{Loaded, Row, SettingsError, Sources, load, new_file};

/// For every key, a valid value that is not the default, and an invalid one.
pub const SAMPLES: &[(&str, &str, &str)] = &[
    (
        "server_name",
        "matrix.example.org:8448",
        "matrix.example.org/x",
    ),
    ("report_stats", "Yes", "maybe"),
    ("public_baseurl", "https://m.example.org/", "m.example.org"),
    ("serve_server_wellknown", "on", "perhaps"),
    (
        "default_identity_server",
        "https://id.example.org",
        "id.example.org",
    ),
    ("workers", "synchrotron:2, pusher", "a\u{1}b"),
    ("address", "10.0.0.1", "10.0.0.256"),
    (
        "hosts",
        r#"{"app2":{"address":"10.0.0.2","ssh":"admin@app2.internal","workers":["synchrotron:3"]}}"#,
        r#"{"app2":{"address":"10.0.0.2"}}"#,
    ),
    ("http_port", "8080", "65536"),
    ("http_federation_port", "8448", "0"),
    ("bind_addresses", "10.0.0.1, fe80::1", "10.0.0.256"),
    ("http_bind_addresses", "127.0.0.1, ::1", "localhost"),
    ("trusted_proxies", "10.0.0.0/8, ::1", "10.0.0.0/33"),
    ("open_admin_api", "T", "anything"),
    ("max_upload_size", "1g", "3G"),
    ("media_store_path", "/srv/media store", "media"),
    ("media_store_shared", "yes", "nfs"),
    ("log_level", "debug", "LOUD"),
    ("log_sensitive", "1", "sensitive"),
    ("log_to_disk", "yes", "2"),
    ("log_config", "/etc/matrix/log.yaml", "log.yaml"),
    ("tcp_ports", "30000", "60000"),
    ("postgres_password", "no: 'secret'", "two\u{7}bells"),
    ("turn_shared_secret", "turn", "two\u{7}bells"),
    ("registration_shared_secret", "yes", "two\u{7}bells"),
    ("macaroon_secret_key", "0", "two\u{7}bells"),
    ("form_secret", "null", "two\u{7}bells"),
    ("recaptcha_private_key", "6Lc-private", "two\u{7}bells"),
    ("smtp_password", "p%a:ss\"word", "two\u{7}bells"),
    ("registration.enabled", "y", "open"),
    ("registration.verification", "none", "trust"),
    ("registration.allow_guests", "TRUE", "some"),
    (
        "registration.recaptcha_public_key",
        "6Lc-public",
        "two words",
    ),
    (
        "mas.endpoint",
        "http://127.0.0.1:8090/",
        "http://auth.example.org/",
    ),
    ("mas.secret_file", "/etc/mas-secret", "secret"),
    ("mas.allowed_addresses", "172.17.0.0/16, fd00::2", "mas"),
    ("email.enabled", "On", "mail"),
    ("email.smtp_host", "mail.example.org", "mail;drop"),
    ("email.smtp_port", "587", "0"),
    ("email.smtp_user", "synapse@example.org", "two words"),
    ("email.smtp_password_file", "/etc/smtp-password", "password"),
    ("email.tls", "starttls", "ssl"),
    ("email.tls_name", "mail.example.org", "mail;drop"),
    ("email.require_transport_security", "f", "tls"),
    ("email.from", "Example <noreply@example.org>", "Example"),
    ("url_previews.enabled", "true", "all"),
    ("app_services.directory", "/etc/matrix/bridges", "bridges"),
    ("app_services.files", "/etc/a.yaml, /etc/b.yaml", "a.yaml"),
    ("caches.global_factor", "1.25", "-1"),
    ("caches.event_cache_size", "20K", "many"),
    ("database.kind", "sqlite", "mysql"),
    ("database.host", "/run/postgresql", "db;drop"),
    ("database.port", "5433", "0"),
    ("database.name", "matrix", "matrix\"db"),
    ("database.user", "off", "1user"),
    ("database.password_file", "/etc/pw", "../pw"),
    ("database.sslmode", "require", "on"),
    ("database.sslrootcert", "/etc/ssl/db.pem", "db.pem"),
    ("database.keepalives_idle", "10s", "never"),
    ("database.keepalives_interval", "5", "0"),
    ("database.keepalives_count", "3", "200"),
    ("database.txn_limit", "10000", "0"),
    ("database.cp_min", "2", "0"),
    ("database.cp_max", "10", "101"),
    ("database.synchronous_commit", "false", "sometimes"),
    ("database.tune", "true", "a little"),
    ("database.open", "true", "a little"),
    ("redis.host", "redis.example.org", "redis;drop"),
    ("redis.port", "6380", "0"),
    ("redis.tls", "true", "1.3"),
    ("redis.ca_file", "/etc/ssl/redis.pem", "redis.pem"),
    ("redis.username", "synapse", "two words"),
    ("redis.password_file", "/etc/redis-password", "~/pw"),
    ("redis.memory", "1G", "lots"),
    ("cluster.encrypted", "true", "wireguard"),
    ("sockets.public", "no", "tcp"),
    ("sockets.replication", "off", "tcp"),
    ("sockets.held", "no", "systemd"),
    ("sockets.drain_timeout", "30s", "0"),
    ("warm.mode", "Auto", "on"),
    ("sandbox.network", "all", "none"),
    ("tls.certificate", "/etc/ssl/example.pem", "example.pem"),
    ("tls.key", "/etc/ssl/example.key", "example.key"),
    (
        "tls.acme",
        r#"{"email":"admin@example.org","server":"staging"}"#,
        r#"{"mail":"admin@example.org"}"#,
    ),
    ("tls.port", "8443", "https"),
    ("tls.federation_port", "8449", "0"),
    ("tls.redirect", "true", "308"),
    ("tls.hsts", "true", "max-age=1"),
    (
        "support.contacts",
        "admin @alice:example.org alice@example.org",
        "alice@example.org",
    ),
    (
        "support.page",
        "https://example.org/help",
        "https://example.org/?help",
    ),
    (
        "well_known.client",
        r#"{"io.element.e2ee":{"default":true},"org.example":["a",1,0.5,null]}"#,
        r#"{"m.homeserver":{}}"#,
    ),
    ("metrics.enabled", "1", "some"),
    ("metrics.port", "8061", "0"),
    ("metrics.prometheus_port", "9090", "70000"),
    ("metrics.scrape_interval", "30s", "10m"),
    ("metrics.retention", "30d", "for ever"),
    ("metrics.retention_size", "100G", "all"),
    ("metrics.redis", "yes", "redis"),
    ("metrics.postgres", "yes", "postgres"),
    (
        "alerts.email",
        "ops@example.org, Admin <admin@example.org>",
        "ops",
    ),
    ("alerts.from", "Alerts <alerts@example.org>", "alerts"),
    ("alerts.smtp_host", "smtp.example.org", "smtp example"),
    ("alerts.smtp_port", "25", "0"),
    ("alerts.smtp_user", "alerts", "two words"),
    (
        "alerts.smtp_password_file",
        "/etc/alerts-password",
        "alerts-password",
    ),
    ("alerts.tls", "none", "ssl"),
    ("alerts.tls_name", "mail.example.org", "two words"),
    ("alerts.webhook", "/etc/alerts-webhook", "webhook"),
    (
        "turn.uris",
        "turn:turn.example.org:3478?transport=tcp, turns:turn.example.org",
        "https://turn.example.org",
    ),
    ("coturn.enabled", "on", "turn"),
    ("coturn.min_port", "49152", "80"),
    ("coturn.max_port", "65535", "65536"),
    ("coturn.external_ip", "192.0.2.1", "example.org"),
    ("coturn.internal_ip", "10.0.0.2", "eth0"),
    ("coturn.port", "3479", "0"),
    ("coturn.tls_port", "5350", "0"),
    ("coturn.metrics", "t", "some"),
    (
        "rtc.livekit_service_url",
        "https://rtc.example.org/livekit/jwt",
        "rtc.example.org",
    ),
    (
        "rtc.transports",
        r#"[{"type":"livekit","url":"wss://rtc.example.org/sfu"},{"type":"org.example"}]"#,
        r#"[{"type":"livekit"}]"#,
    ),
    ("rtc.max_event_delay_duration", "7d", "never"),
    ("compressor.enabled", "true", "weekly"),
    ("compressor.calendar", "*-*-* 03:30", "at night; rm"),
    (
        "backup.repository",
        "rest:https://backup.example.org/synapse",
        "rest:https://me:secret@backup.example.org/",
    ),
    ("backup.environment_file", "/root/backup.env", "backup.env"),
    ("backup.calendar", "*-*-* 03:30", "at night; rm"),
    ("backup.check_calendar", "Sun 04:00", "$(now)"),
    ("backup.remote_media", "yes", "some"),
    ("backup.keep_daily", "14", "-1"),
    ("backup.keep_weekly", "0", "all"),
    ("backup.keep_monthly", "24", "10001"),
    ("backup.max_age", "36h", "soon"),
    ("manhole.main", "yes", "open"),
    ("manhole.workers", "yes", "open"),
    (
        "adopt.config",
        "/etc/matrix-synapse/homeserver.yaml, /etc/matrix-synapse/conf.d",
        "homeserver.yaml",
    ),
    ("adopt.service", "matrix-synapse.service", "matrix-synapse"),
    (
        "adopt.paths",
        "/data=/srv/synapse, /media=/mnt/media",
        "/data",
    ),
    (
        "synapse.python",
        "/opt/venvs/matrix-synapse/bin/python",
        "python3",
    ),
    ("synapse.version", "1.170.0rc1", "latest"),
    (
        "synapse.packages",
        "synapse-s3-storage-provider==1.7.0, Some.Module==2!1.0rc1+x",
        "module>=1",
    ),
    ("synapse.jemalloc", "off", "2"),
    ("synapse.user", "matrix-synapse", "two words"),
    ("synapse.uid", "991", "0"),
    ("synapse.gid", "991", "root"),
    ("limits.memory_high", "6G", "50%"),
    ("limits.main_memory", "2G", "2X"),
    ("limits.worker_memory", "512M", "-1"),
    ("limits.log_burst", "20000", "many"),
    ("limits.tasks", "1024", "015"),
    ("nginx.worker_processes", "4", "0"),
    ("nginx.worker_connections", "4096", "many"),
    ("nginx.connections_per_client", "0", "-1"),
    (
        "nginx.listen_unix_socket",
        "/run/matrix/nginx.sock",
        "nginx.sock",
    ),
    ("nginx.page_size", "8192", "4k"),
    ("nginx.client_body_buffer_size", "65536", "1"),
    ("nginx.client_keepalive", "False", "maybe"),
    ("nginx.client_keepalive_timeout", "75", "a while"),
    ("nginx.upstream_keepalive", "False", "maybe"),
    ("nginx.upstream_keepalive_timeout", "90s", "0"),
    ("nginx.upstream_keepalive_multiplier", "2", "0"),
    ("nginx.worker_shutdown_timeout", "5m", "never"),
    ("nginx.gzip_comp_level", "9", "10"),
    ("nginx.gzip_http_version", "1.0", "2"),
    ("nginx.gzip_min_length", "1400", "short"),
    ("nginx.map_hash_max_size", "8192", "1"),
    ("nginx.proxy_buffering", "OFF", "slow"),
    ("nginx.proxy_request_buffering", "Off", "slow"),
    ("nginx.proxy_buffer_size", "16384", "16k"),
    ("nginx.buffering_disabled_multiplier", "4", "0"),
    ("nginx.proxy_busy_buffers_size", "32768", "-1"),
    ("nginx.proxy_temp_file_write_size", "32768", "all"),
    ("nginx.proxy_read_timeout", "90", "90 minutes"),
    ("nginx.disable_logrotate", "true", "rotate"),
    ("nginx.access_log", "true", "/var/log/access.log"),
    ("nginx.include", "/etc/a.conf, /etc/b.conf", "a.conf"),
    ("nginx.web_root", "/srv/element", "element"),
    ("nginx.proxy_protocol_ports", "8444, 8445", "https"),
];

/// Values that depend on another setting: the key, the other key and its value.
const COMPANIONS: &[(&str, &str, &str)] = &[
    ("hosts", "address", "10.0.0.1"),
    ("hosts", "database.host", "db.example.org"),
    ("database.cp_min", "database.cp_max", "20"),
    ("alerts.email", "metrics.enabled", "true"),
    ("alerts.webhook", "metrics.enabled", "true"),
    ("alerts.smtp_user", "alerts.smtp_host", "smtp.example.org"),
    ("database.sslrootcert", "database.sslmode", "verify-full"),
    (
        "serve_server_wellknown",
        "public_baseurl",
        "https://m.example.org/",
    ),
    (
        "well_known.client",
        "public_baseurl",
        "https://m.example.org/",
    ),
    (
        "rtc.livekit_service_url",
        "public_baseurl",
        "https://m.example.org/",
    ),
    ("rtc.transports", "public_baseurl", "https://m.example.org/"),
    ("tls.certificate", "tls.key", "/etc/ssl/example.key"),
    ("tls.key", "tls.certificate", "/etc/ssl/example.pem"),
];

pub const FILE: &str = "/etc/synapse-workers/settings.yaml";

/// A builder for the sources of settings.
#[derive(Default)]
pub struct Provided {
    pub file: Option<String>,
    pub env_file: Option<String>,
    pub environment: BTreeMap<String, String>,
    pub flags: Vec<(&'static str, &'static str, String)>,
}

impl Provided {
    /// Adds the other settings that a value of this key depends on.
    pub fn with_companions(mut self, key: &str) -> Self {
        let of_key = COMPANIONS.iter().filter(|(other, ..)| *other == key);
        self.flags
            .extend(of_key.map(|(_, companion, value)| ("--x", *companion, (*value).to_owned())));
        self
    }

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

/// The normalized form of a value that is provided as text.
pub fn normal(key: &str, text: &str) -> Option<Raw> {
    row(key)
        .normal(&Raw::Text(text.to_owned()))
        .expect("a right value")
}

/// A settings file with `key: value` and, unless that is the key, a server name.
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

/// The value of one loaded setting, read back from the file that is written for the loaded settings.
pub fn value_of(loaded: &Loaded, key: &str) -> Option<Raw> {
    if row(key).secret {
        let row = SECRETS.iter().find_map(|secret| {
            let value = (secret.provided)(&loaded.settings)?;
            key.ends_with(secret.name).then_some(value)
        });
        return row.map(|value| Raw::Text(value.reveal().to_owned()));
    }
    let document = read(Path::new(FILE), &new_file(&loaded.settings)).expect("our own file");
    let raw = document.entry(row(key))?.raw.clone()?;
    row(key).normal(&raw).expect("our own value")
}
