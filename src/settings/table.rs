//! The settings table: every key, declared once.

use super::load::Values;
use super::origin::SettingsError;
use super::row::{Row, settings};
use super::types::{
    AbsolutePath, BaseUrl, DatabaseKind, Duration, Factor, Host, Identifier, LogLevel, MemoryLimit,
    Network, Port, Processes, Secret, ServerName, Size, Version, Whole, WorkerList,
};
use super::value::{Raw, Value};
use std::net::IpAddr;

settings! {
    top {
        /// The name of this homeserver, the part of user IDs after the colon, as in
        /// @alice:example.org. It cannot be changed after the first start.
        server_name: ServerName, env "SYNAPSE_SERVER_NAME";

        /// Whether Synapse reports anonymous usage statistics to its makers.
        report_stats: bool = "false", env "SYNAPSE_REPORT_STATS";

        /// The address under which clients reach this server; empty means https://SERVER_NAME/.
        public_baseurl: Option<BaseUrl>, env "SYNAPSE_PUBLIC_BASEURL";

        /// The worker processes, each [NAME=]ROLE[+ROLE...][:COUNT], or a preset such as medium;
        /// `synapse-workers presets` lists these. Empty means the main process alone.
        workers: WorkerList, env "SYNAPSE_WORKER_TYPES";

        /// The port on which nginx serves clients and other servers over plain HTTP.
        http_port: Port = "8008", env "SYNAPSE_HTTP_PORT";

        /// The addresses on which nginx listens.
        bind_addresses: Vec<IpAddr> = "0.0.0.0, ::";

        /// The proxies in front of nginx whose X-Forwarded-For header is believed.
        trusted_proxies: Vec<Network> = "127.0.0.1, ::1";

        /// The largest file that can be uploaded.
        max_upload_size: Size = "50M", env "SYNAPSE_MAX_UPLOAD_SIZE";

        /// The directory of uploaded files and of those fetched from other servers.
        media_store_path: AbsolutePath = "/var/lib/synapse/media_store", env "SYNAPSE_MEDIA_STORE_PATH";

        /// How much Synapse writes to its log.
        log_level: LogLevel = "INFO", env "SYNAPSE_LOG_LEVEL";

        /// The password of an external PostgreSQL. Taken from the environment or an env-file only;
        /// it is not kept here but among the secrets.
        postgres_password: Option<Secret>, env "POSTGRES_PASSWORD";
    }

    /// Memory used to save database queries.
    caches: Caches {
        /// Multiplies the size of every cache of Synapse.
        global_factor: Factor = "0.5", env "SYNAPSE_CACHES_GLOBAL_FACTOR";
    }

    /// Where Synapse keeps its data.
    database: Database {
        /// `local` is this host's PostgreSQL, `external` one at `host`, `sqlite` a file. `auto` is
        /// external when `host` is set, else local with workers and sqlite without.
        kind: DatabaseKind = "auto";

        /// The host, address or socket directory of an external PostgreSQL.
        host: Option<Host>, env "POSTGRES_HOST";

        /// The port of PostgreSQL.
        port: Port = "5432", env "POSTGRES_PORT";

        /// The name of the database.
        name: Identifier = "synapse", env "POSTGRES_DB";

        /// The PostgreSQL role that owns the database.
        user: Identifier = "synapse", env "POSTGRES_USER";

        /// A file with the password of that role; empty means none is needed.
        password_file: Option<AbsolutePath>;

        /// Connections that each process keeps open.
        cp_min: Whole<1, 100> = "1";

        /// Connections that each process opens at most. The number of processes times this must
        /// fit into PostgreSQL's max_connections.
        cp_max: Whole<1, 100> = "4";
    }

    /// Synapse itself.
    synapse: Synapse {
        /// A Python that has Synapse; empty means the host's own, else one installed from PyPI.
        python: Option<AbsolutePath>;

        /// The version to install from PyPI when the host has no Synapse.
        version: Version = "1.163.2";

        /// Whether Synapse's processes use jemalloc where the host has it; it saves memory.
        jemalloc: bool = "true";
    }

    /// What one process may use, enforced by systemd.
    limits: Limits {
        /// The memory of the main process (MemoryMax).
        main_memory: MemoryLimit = "infinity";

        /// The memory of each worker (MemoryMax).
        worker_memory: MemoryLimit = "infinity";

        /// The threads and processes of each service (TasksMax).
        tasks: Whole<16, 100_000> = "512";
    }

    /// The proxy in front of all processes.
    nginx: Nginx {
        /// How many processes nginx serves with; auto is one for each core.
        worker_processes: Processes = "auto", env "NGINX_WORKER_PROCESSES";

        /// The connections that each of them holds at most.
        worker_connections: Whole<16, 1_000_000> = "2048", env "NGINX_WORKER_CONNECTIONS";

        /// How long nginx waits for an answer of Synapse; joining a large room takes minutes.
        proxy_read_timeout: Duration = "3m", env "NGINX_PROXY_READ_TIMEOUT";
    }
}

impl Database {
    /// The kind with `auto` decided, given whether there are workers.
    pub fn decided(&self, workers: bool) -> DatabaseKind {
        match self.kind {
            DatabaseKind::Auto if self.host.is_some() => DatabaseKind::External,
            DatabaseKind::Auto if workers => DatabaseKind::Local,
            DatabaseKind::Auto => DatabaseKind::Sqlite,
            kind => kind,
        }
    }
}
