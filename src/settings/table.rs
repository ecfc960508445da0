//! The settings table: every key, declared once.

// `[:COUNT]` is no link: users read these texts as they are.
#![allow(rustdoc::broken_intra_doc_links)]

use super::fragment::Values;
use super::origin::SettingsError;
use super::row::{Row, settings};
use super::types::{
    AbsolutePath, AccountName, BaseUrl, Calendar, DatabaseKind, Duration, Factor, Host, HostName,
    HttpVersion, Identifier, LogLevel, Mailbox, MemoryLimit, Network, NetworkAccess, Port,
    Processes, Secret, ServerName, Size, Span, Token, TurnUri, UnitName, Verification, Version,
    Whole, WorkerList,
};
use super::value::{Raw, Value};
use std::net::IpAddr;

/// A number of bytes for one of nginx's buffers.
pub(super) type Buffer = Whole<1_024, 1_073_741_824>;

settings! {
    top {
        /// The name of this homeserver, the part of user IDs after the colon, as in
        /// @alice:example.org. It cannot be changed after the first start.
        server_name: ServerName, env "SYNAPSE_SERVER_NAME";

        /// Whether Synapse reports anonymous usage statistics to its makers.
        report_stats: bool = "false", env "SYNAPSE_REPORT_STATS";

        /// The address under which clients reach this server; empty means https://SERVER_NAME/.
        public_baseurl: Option<BaseUrl>, env "SYNAPSE_PUBLIC_BASEURL";

        /// Whether nginx tells other servers, under /.well-known/matrix/server, that this server is
        /// reached at public_baseurl. Needs public_baseurl.
        serve_server_wellknown: bool = "false", env "SYNAPSE_SERVE_SERVER_WELLKNOWN";

        /// The identity server that clients are told of; empty means none.
        default_identity_server: Option<BaseUrl>, env "SYNAPSE_DEFAULT_IDENTITY_SERVER";

        /// The worker processes, each [NAME=]ROLE[+ROLE...][:COUNT], or a preset such as medium;
        /// `synapse-workers presets` lists these. Empty means the main process alone.
        workers: WorkerList, env "SYNAPSE_WORKER_TYPES";

        /// The port on which nginx serves clients and other servers over plain HTTP.
        http_port: Port = "8008", env "SYNAPSE_HTTP_PORT";

        /// One more port for the same over plain HTTP, for a proxy that keeps other servers apart;
        /// empty means none.
        http_federation_port: Option<Port>, env "SYNAPSE_HTTP_FED_PORT";

        /// The addresses on which nginx listens.
        bind_addresses: Vec<IpAddr> = "0.0.0.0, ::";

        /// The proxies in front of nginx whose X-Forwarded-For header is believed.
        trusted_proxies: Vec<Network> = "127.0.0.1, ::1";

        /// Whether Synapse's admin API answers everybody who has an administrator's token; else only
        /// this host itself.
        open_admin_api: bool = "false";

        /// The largest file that can be uploaded, for Synapse and nginx alike.
        max_upload_size: Size = "50M", env "SYNAPSE_MAX_UPLOAD_SIZE";

        /// The directory of uploaded files and of those fetched from other servers.
        media_store_path: AbsolutePath = "/var/lib/synapse/media_store", env "SYNAPSE_MEDIA_STORE_PATH";

        /// How much Synapse writes to its log.
        log_level: LogLevel = "INFO", env "SYNAPSE_LOG_LEVEL";

        /// Whether the log shows database queries with people's data in them. For a search for errors
        /// only; needs log_level DEBUG to show anything.
        log_sensitive: bool = "false", env "SYNAPSE_LOG_SENSITIVE";

        /// Whether each Synapse process also writes a file below /var/log/synapse, renewed every
        /// midnight and kept for three days; the journal has the log in any case.
        log_to_disk: bool = "false", env "SYNAPSE_WORKERS_WRITE_LOGS_TO_DISK";

        /// A logging configuration of your own, in the format of Python's logging.config, which then
        /// counts instead of the log_ settings above. Files that it writes can be below
        /// /var/log/synapse. A change of it restarts every Synapse process.
        log_config: Option<AbsolutePath>, env "SYNAPSE_LOG_CONFIG";

        /// The first of the TCP ports on 127.0.0.1 on which programs listen: for metrics, and for
        /// everything else that is not a Unix socket. 12,000 ports from here on are set aside.
        tcp_ports: Whole<1_024, 53_000> = "20000";

        /// The password of an external PostgreSQL. Taken from the environment or an env-file only;
        /// it is not kept here but among the secrets.
        postgres_password: Option<Secret>, env "POSTGRES_PASSWORD";

        /// The secret shared with TURN servers. Taken from the environment or an env-file only; it is
        /// kept among the secrets, and made where none is given.
        turn_shared_secret: Option<Secret>, env "SYNAPSE_TURN_SECRET";

        /// The secret by which accounts are registered at the command line. Taken and kept as the
        /// one before it.
        registration_shared_secret: Option<Secret>, env "SYNAPSE_REGISTRATION_SHARED_SECRET";

        /// The secret that signs access tokens of guests and links to log in. Taken and kept as the
        /// one before it.
        macaroon_secret_key: Option<Secret>, env "SYNAPSE_MACAROON_SECRET_KEY";

        /// The secret that signs forms. Taken and kept as the one before.
        form_secret: Option<Secret>, env "SYNAPSE_FORM_SECRET";

        /// The secret key of reCAPTCHA. Taken from the environment or an env-file only; it is kept
        /// among the secrets.
        recaptcha_private_key: Option<Secret>, env "SYNAPSE_RECAPTCHA_PRIVATE_KEY";

        /// The password for the mail server. Taken and kept as the one before.
        smtp_password: Option<Secret>, env "SYNAPSE_EMAIL_SMTP_PASS";
    }

    /// Who may open an account.
    registration: Registration {
        /// Whether people can register by themselves.
        enabled: bool = "false", env "SYNAPSE_ENABLE_REGISTRATION";

        /// What they have to show, since Synapse refuses registration open to everybody: `token`, one
        /// that an administrator made; `email`, an address (needs `email`); `captcha` (needs
        /// `recaptcha_public_key`); `none`, open to spammers too. `auto` is captcha where there is a
        /// key for it, else token.
        verification: Verification = "auto";

        /// Whether people can look around as guests without an account.
        allow_guests: bool = "false", env "SYNAPSE_ALLOW_GUEST";

        /// The public key of reCAPTCHA.
        recaptcha_public_key: Option<Token>, env "SYNAPSE_RECAPTCHA_PUBLIC_KEY";
    }

    /// E-mail, for lost passwords, registration and notifications.
    email: Email {
        /// Whether Synapse sends e-mail.
        enabled: bool = "false", env "SYNAPSE_EMAIL";

        /// The mail server.
        smtp_host: HostName = "localhost", env "SYNAPSE_EMAIL_SMTP_HOST";

        /// The port there.
        smtp_port: Port = "25", env "SYNAPSE_EMAIL_SMTP_PORT";

        /// The name to log in with there; empty means without.
        smtp_user: Option<Token>, env "SYNAPSE_EMAIL_SMTP_USER";

        /// A file with the password for it.
        smtp_password_file: Option<AbsolutePath>;

        /// Whether mail goes out over an encrypted connection only. A mail server on this host can
        /// do without.
        require_transport_security: bool = "true";

        /// The sender, as in Example <noreply@example.org>; empty means noreply@SERVER_NAME.
        from: Option<Mailbox>;
    }

    /// Previews of web pages that are linked in messages.
    url_previews: UrlPreviews {
        /// Whether Synapse fetches them. It then asks any public address; private ones are denied.
        enabled: bool = "false", env "SYNAPSE_URL_PREVIEW_ENABLED";
    }

    /// Bridges and bots that Synapse knows as application services.
    app_services: AppServices {
        /// A directory whose files that end in .yaml or .yml are registrations.
        directory: Option<AbsolutePath>, env "SYNAPSE_AS_REGISTRATION_DIR";

        /// Registration files elsewhere.
        files: Vec<AbsolutePath>, env "SYNAPSE_APPSERVICES";
    }

    /// Memory used to save database queries.
    caches: Caches {
        /// Multiplies the size of every cache of Synapse.
        global_factor: Factor = "0.5", env "SYNAPSE_CACHES_GLOBAL_FACTOR";

        /// How many events each process keeps, as in 10K; it is multiplied by the factor too.
        event_cache_size: Size = "10K", env "SYNAPSE_EVENT_CACHE_SIZE";
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

        /// The PostgreSQL role that owns the database. Not `postgres` in a PostgreSQL of this host.
        user: Identifier = "synapse", env "POSTGRES_USER";

        /// A file with the password of that role; empty means none is needed.
        password_file: Option<AbsolutePath>;

        /// Connections that each process keeps open.
        cp_min: Whole<1, 100> = "1";

        /// Connections that each process opens at most. The number of processes times this must
        /// fit into PostgreSQL's max_connections.
        cp_max: Whole<1, 100> = "4";

        /// Whether PostgreSQL answers only when data is on disk. Off is faster, and loses the last
        /// half second when the power fails.
        synchronous_commit: bool = "true", env "SYNAPSE_POSTGRES_ENABLE_SYNCHRONOUS_COMMIT";
    }

    /// The channel between processes; used with workers only.
    redis: Redis {
        /// A Redis of your own; empty means one is run for Synapse, on a Unix socket.
        host: Option<HostName>;

        /// The port there.
        port: Port = "6379";

        /// Whether it is reached over TLS. `install` and `verify` check its certificate; Synapse itself
        /// only encrypts.
        tls: bool = "false";

        /// The authority that signed its certificate, as a file; empty means those of this system.
        ca_file: Option<AbsolutePath>;

        /// The user to log in as; empty means Redis' default user.
        username: Option<Token>;

        /// A file with the password.
        password_file: Option<AbsolutePath>;

        /// The memory that the one run for Synapse uses at most.
        memory: Size = "256M";
    }

    /// Unix sockets between processes, or TCP on 127.0.0.1.
    sockets: Sockets {
        /// Whether nginx reaches Synapse's processes over Unix sockets.
        public: bool = "true", env "SYNAPSE_PUBLIC_UNIX_SOCKETS";

        /// Whether Synapse's processes reach each other over Unix sockets.
        replication: bool = "true", env "SYNAPSE_HTTP_REPLICATION_UNIX_SOCKETS";

        /// Whether systemd holds nginx's ports and the Unix sockets of Synapse's processes: requests then wait
        /// while these are restarted, instead of being refused.
        held: bool = "true";

        /// How long a process that stops goes on with requests under way, where systemd holds its sockets.
        drain_timeout: Duration = "10s";
    }

    /// What Synapse's processes may do.
    sandbox: Sandbox {
        /// Which workers have the network: with `auto` those that need it, by their roles and by the options of your own
        /// that are known to need it; with `senders` fewer, since all requests to other homeservers go through the
        /// federation_sender workers; with `all` every one.
        network: NetworkAccess = "auto";
    }

    /// HTTPS at nginx itself; without a certificate it speaks plain HTTP only.
    tls: Tls {
        /// The certificate with its chain (PEM). nginx takes a new one when the file changes.
        certificate: Option<AbsolutePath>, env "SYNAPSE_TLS_CERT";

        /// Its private key (PEM), readable by root.
        key: Option<AbsolutePath>, env "SYNAPSE_TLS_KEY";

        /// The port for clients.
        port: Port = "443";

        /// The port for other servers.
        federation_port: Port = "8448";
    }

    /// Metrics, and a Prometheus of its own that keeps them.
    metrics: Metrics {
        /// Whether there are metrics. Switching them off removes what was kept of them.
        enabled: bool = "false", env "SYNAPSE_METRICS";

        /// The port on 127.0.0.1 of the main process's metrics, where sockets.public is off; those of
        /// the others are from tcp_ports on. With sockets.public nginx hands on the metrics of them all.
        port: Port = "8060", env "SYNAPSE_METRICS_HTTP_PORT";

        /// The port on 127.0.0.1 of Prometheus.
        prometheus_port: Port = "9095";

        /// How often metrics are collected.
        scrape_interval: Span = "15s", env "PROMETHEUS_SCRAPE_INTERVAL";

        /// How long they are kept.
        retention: Span = "1y", env "PROMETHEUS_STORAGE_RETENTION_TIME";

        /// Whether Redis' metrics are among them.
        redis: bool = "false", env "SYNAPSE_ENABLE_REDIS_METRIC_EXPORT";

        /// Whether PostgreSQL's metrics are among them. One on another host has to speak TLS, since its
        /// exporter asks for it.
        postgres: bool = "false", env "SYNAPSE_ENABLE_POSTGRES_METRIC_EXPORT";
    }

    /// TURN servers, which let calls through firewalls.
    turn: Turn {
        /// Where clients find TURN servers, as in turn:turn.example.org?transport=udp; empty means the
        /// one of `coturn`, if that is enabled.
        uris: Vec<TurnUri>, env "SYNAPSE_TURN_URIS";
    }

    /// A TURN server on this host.
    coturn: Coturn {
        /// Whether there is one.
        enabled: bool = "false", env "SYNAPSE_ENABLE_BUILTIN_COTURN";

        /// The first port for relayed calls; each call takes two or more.
        min_port: Whole<1_024, 65_535> = "49153", env "COTURN_MIN_PORT";

        /// The last one.
        max_port: Whole<1_024, 65_535> = "49173", env "COTURN_MAX_PORT";

        /// The address under which the internet reaches this host; empty means internal_ip.
        external_ip: Option<IpAddr>, env "COTURN_EXTERNAL_IP";

        /// The address of this host to use; empty means the one of its default route.
        internal_ip: Option<IpAddr>, env "COTURN_INTERNAL_IP";

        /// The port, UDP and TCP.
        port: Port = "3478";

        /// The port for TLS, served where `tls` has a certificate.
        tls_port: Port = "5349";

        /// Whether its metrics are collected too: its own where it was built with Prometheus, else how
        /// many relays are in use.
        metrics: bool = "false", env "COTURN_METRICS";
    }

    /// Synapse's state compressor, which makes a part of the database smaller.
    compressor: Compressor {
        /// Whether it runs. Needs PostgreSQL.
        enabled: bool = "false", env "SYNAPSE_ENABLE_COMPRESSOR";

        /// When, as systemd's OnCalendar= (systemd.time(7)).
        calendar: Calendar = "Sun 01:00";
    }

    /// A Python console in running processes, over ssh on 127.0.0.1, for developers of Synapse.
    manhole: Manhole {
        /// Whether the main process has one.
        main: bool = "false", env "SYNAPSE_MANHOLE_MASTER";

        /// Whether workers have one.
        workers: bool = "false", env "SYNAPSE_MANHOLE_WORKERS";
    }

    /// A Synapse that this host had before and that `install --adopt` took over.
    adopt: Adopt {
        /// Its configuration files, in the order in which it read them; they stay where they are and
        /// are read before everything else.
        config: Vec<AbsolutePath>;

        /// Its service, which is stopped while this one runs.
        service: Option<UnitName>;
    }

    /// Synapse itself.
    synapse: Synapse {
        /// A Python that has Synapse; empty means the host's own, else one installed from PyPI.
        python: Option<AbsolutePath>;

        /// The version to install from PyPI when the host has no Synapse.
        version: Version = "1.163.2";

        /// Whether Synapse's processes use jemalloc where the host has it; it saves memory.
        jemalloc: bool = "true";

        /// The system user that Synapse runs as, and that owns its data. Refused are root, PostgreSQL's
        /// account and those of other services, and users in groups that have the host, such as docker.
        user: AccountName = "synapse";

        /// The number of that user, where it is made; empty means the system chooses. (UID is read
        /// from an env-file only: a shell has one of its own.)
        uid: Option<Whole<1, 60_000>>, env "UID";

        /// The number of its group.
        gid: Option<Whole<1, 60_000>>, env "GID";
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

        /// The connections that each of them holds at most, to clients and to Synapse together. Clients
        /// that send half a request and then nothing occupy a connection for ten seconds, so this is far
        /// more than a server needs otherwise.
        worker_connections: Whole<16, 1_000_000> = "16384", env "NGINX_WORKER_CONNECTIONS";

        /// How many requests of one client can be in progress at the same time, long polls included;
        /// nginx answers further ones with 429. A client is an IPv4 address or an IPv6 network of 64 bits,
        /// such as an office behind one router, where each running Matrix client needs two or three. Requests
        /// from this host, from trusted_proxies and over listen_unix_socket are not counted; 0 switches the limit off.
        connections_per_client: Whole<0, 1_000_000> = "512";

        /// One more way in: a Unix socket in a directory of its own, such as
        /// /run/matrix/nginx.sock, for a proxy on this host, whose X-Forwarded-For is believed.
        listen_unix_socket: Option<AbsolutePath>, env "NGINX_LISTEN_UNIX_SOCKET";

        /// The unit from which the sizes of buffers follow that have none of their own.
        page_size: Whole<1_024, 1_048_576> = "4096", env "NGINX_GENERAL_PAGE_SIZE_BYTES";

        /// How much of a request stays in memory; empty means 1024 pages.
        client_body_buffer_size: Option<Buffer>, env "NGINX_CLIENT_BODY_BUFFER_SIZE_BYTES";

        /// Whether clients may keep their connection open.
        client_keepalive: bool = "true", env "NGINX_CLIENT_KEEPALIVE_ENABLE";

        /// For how long without a request.
        client_keepalive_timeout: Duration = "60s", env "NGINX_CLIENT_KEEPALIVE_TIMEOUT_SECONDS";

        /// Whether connections to Synapse are kept open; never those to sockets that systemd holds.
        upstream_keepalive: bool = "true", env "NGINX_UPSTREAM_KEEPALIVE_ENABLE";

        /// For how long without a request. Synapse itself closes them after 60 seconds, and a request
        /// that is sent just then fails, so this is less.
        upstream_keepalive_timeout: Duration = "50s", env "NGINX_UPSTREAM_KEEPALIVE_TIMEOUT_SECONDS";

        /// How many for each Synapse process, times two.
        upstream_keepalive_multiplier: Whole<1, 1_000> = "1", env "NGINX_UPSTREAM_KEEPALIVE_CONNECTION_MULTIPLIER";

        /// How long an nginx process goes on with requests under way after a reload.
        worker_shutdown_timeout: Duration = "120s";

        /// How hard answers are compressed; 1 takes the least CPU.
        gzip_comp_level: Whole<1, 9> = "1", env "NGINX_GZIP_COMP_LEVEL";

        /// The lowest HTTP version that gets compressed answers.
        gzip_http_version: HttpVersion = "1.1", env "NGINX_GZIP_HTTP_VERSION";

        /// The shortest answer that is compressed, in bytes.
        gzip_min_length: Whole<0, 1_000_000> = "200", env "NGINX_GZIP_MIN_LENGTH";

        /// The size of nginx's tables of exact words; empty means as large as they need.
        map_hash_max_size: Option<Whole<512, 16_777_216>>, env "NGINX_MAP_HASH_MAX_SIZE";

        /// Whether answers of Synapse are read as fast as they come.
        proxy_buffering: bool = "true", env "NGINX_PROXY_BUFFERING";

        /// Whether requests are read whole before Synapse gets them.
        proxy_request_buffering: bool = "true", env "NGINX_PROXY_REQUEST_BUFFERING";

        /// The buffer for the first part of an answer; empty means one page, or
        /// buffering_disabled_multiplier pages without proxy_buffering.
        proxy_buffer_size: Option<Buffer>, env "NGINX_PROXY_BUFFER_SIZE_BYTES";

        /// See proxy_buffer_size.
        buffering_disabled_multiplier: Whole<1, 1_000> = "1", env "NGINX_PROXY_BUFFERING_DISABLED_PAGE_MULTIPLIER";

        /// How much of an answer may be on its way to the client while more is read; empty means two
        /// pages, or proxy_buffer_size where that is more.
        proxy_busy_buffers_size: Option<Buffer>, env "NGINX_PROXY_BUSY_BUFFERS_SIZE_BYTES";

        /// How much of a long answer is written to disk at once; empty means two pages, or
        /// proxy_buffer_size where that is more.
        proxy_temp_file_write_size: Option<Buffer>, env "NGINX_PROXY_TEMP_FILE_WRITE_SIZE_BYTES";

        /// How long nginx waits for an answer of Synapse; joining a large room takes minutes.
        proxy_read_timeout: Duration = "3m", env "NGINX_PROXY_READ_TIMEOUT";

        /// Whether the access log that metrics are made from is left to you to rotate.
        disable_logrotate: bool = "false", env "NGINX_DISABLE_LOGROTATE";
    }
}

impl Registration {
    /// What people have to show, with `auto` decided.
    pub fn decided(&self) -> Verification {
        match self.verification {
            Verification::Auto if self.recaptcha_public_key.is_some() => Verification::Captcha,
            Verification::Auto => Verification::Token,
            verification => verification,
        }
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
