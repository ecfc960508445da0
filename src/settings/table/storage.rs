//! The sections of data between and below the processes: caches, database, Redis and the state compressor.

use crate::settings::fragment::Values;
use crate::settings::origin::SettingsError;
use crate::settings::row::{Row, Section, section};
use crate::settings::types::{
    AbsolutePath, Auto, Calendar, DatabaseKind, Duration, Factor, Host, HostName, Identifier, Port,
    Size, SslMode, Token, Whole,
};
use crate::settings::value::{Raw, Value};

section! {
    /// Caches, which use memory to save database queries.
    caches: Caches {
        /// The factor by which the size of every cache of Synapse is multiplied. `auto`: 0.5, Synapse's own
        /// default, or 1 or 2 if this host has memory for it in every process.
        global_factor: Auto<Factor> = "auto", env "SYNAPSE_CACHES_GLOBAL_FACTOR";

        /// The number of events that each process caches, before the factor; 10K is 10,240 events.
        event_cache_size: Size = "10K", env "SYNAPSE_EVENT_CACHE_SIZE";
    }
}

section! {
    /// The database of Synapse.
    database: Database {
        /// `local` is the host's own PostgreSQL, `external` the PostgreSQL at `host`, `sqlite` a file,
        /// which cannot serve workers. `auto` is external if `host` is set, otherwise local with workers
        /// and sqlite without workers.
        kind: DatabaseKind = "auto";

        /// The host name, IP address or socket directory of an external PostgreSQL.
        host: Option<Host>, env "POSTGRES_HOST";

        /// The port of PostgreSQL.
        port: Port = "5432", env "POSTGRES_PORT";

        /// The name of the database.
        name: Identifier = "synapse", env "POSTGRES_DB";

        /// The PostgreSQL role that owns the database. `postgres` is refused in a PostgreSQL on this host.
        user: Identifier = "synapse", env "POSTGRES_USER";

        /// A file that contains the password of that role, as an alternative to postgres_password.
        password_file: Option<AbsolutePath>;

        /// The encryption of connections to an external PostgreSQL, as in libpq: disable, allow, prefer,
        /// require, verify-ca or verify-full. If empty, prefer, and require for other hosts with
        /// `database.open`. Only the last two detect another server in the place of yours. It has no effect
        /// on a Unix socket.
        sslmode: Option<SslMode>;

        /// The certificate of the authority that signed PostgreSQL's certificate (PEM), for verify-ca and
        /// verify-full. Every account must be able to read it.
        sslrootcert: Option<AbsolutePath>;

        /// The time without traffic after which a TCP connection to PostgreSQL is probed. If empty, that
        /// of the kernel, two hours. Shorten it if a firewall drops idle connections.
        keepalives_idle: Option<Duration>;

        /// The time after which an unanswered probe is repeated. If empty, that of the kernel.
        keepalives_interval: Option<Duration>;

        /// The number of unanswered probes after which a connection counts as lost. If empty, that of the
        /// kernel, as for the other two.
        keepalives_count: Option<Whole<1, 127>>;

        /// The number of transactions after which a connection is replaced, which limits the memory of
        /// PostgreSQL's processes. If empty, connections are not replaced.
        txn_limit: Option<Whole<1, 1_000_000_000>>;

        /// The number of connections that each process keeps open.
        cp_min: Whole<1, 100> = "1";

        /// The maximum number of connections of each process. The number of processes times this value
        /// must stay below PostgreSQL's max_connections. `auto`: 4, or less if PostgreSQL does not allow 4
        /// connections to every process.
        cp_max: Auto<Whole<1, 100>> = "auto";

        /// Let each transaction wait until PostgreSQL has written it to disk. If false, transactions are
        /// faster, and a power failure loses the last half second.
        synchronous_commit: bool = "true", env "SYNAPSE_POSTGRES_ENABLE_SYNCHRONOUS_COMMIT";

        /// Size the PostgreSQL of this host for its memory and the workers, with a file in PostgreSQL's
        /// directory conf.d. Parameters that you have set yourself stay as they are. PostgreSQL reads the
        /// file when you restart it. `install --tune-database` sets this to true.
        tune: bool = "false";

        /// Open the PostgreSQL of this host to the addresses in `hosts`, for the role of Synapse only and
        /// with a password. PostgreSQL restarts once. `install --open-database` sets this to true. It has
        /// no effect without `hosts`.
        open: bool = "false";
    }
}

section! {
    /// Redis, which connects the processes; used with workers only.
    redis: Redis {
        /// The host of an external Redis. If empty, synapse-workers runs one on a Unix socket.
        host: Option<HostName>;

        /// The port of the external Redis.
        port: Port = "6379";

        /// Connect to the external Redis over TLS. `install` and `verify` validate its certificate;
        /// Synapse encrypts, but does not validate it.
        tls: bool = "false";

        /// The certificate of the authority that signed the certificate of the external Redis. If empty,
        /// the authorities of this system.
        ca_file: Option<AbsolutePath>;

        /// The user name at the external Redis. If empty, its default user.
        username: Option<Token>;

        /// A file that contains the password at the external Redis.
        password_file: Option<AbsolutePath>;

        /// The maximum memory of the Redis that synapse-workers runs.
        memory: Size = "256M";
    }
}

section! {
    /// The state compressor, which shrinks the room state in the database.
    compressor: Compressor {
        /// Run the state compressor regularly. Requires PostgreSQL.
        enabled: bool = "false", env "SYNAPSE_ENABLE_COMPRESSOR";

        /// The times of its runs, in the format of OnCalendar= (systemd.time(7)).
        calendar: Calendar = "Sun 01:00";
    }
}

impl Database {
    /// The kind with `auto` resolved, given whether there are workers.
    pub fn decided(&self, workers: bool) -> DatabaseKind {
        match self.kind {
            DatabaseKind::Auto if self.host.is_some() => DatabaseKind::External,
            DatabaseKind::Auto if workers => DatabaseKind::Local,
            DatabaseKind::Auto => DatabaseKind::Sqlite,
            kind => kind,
        }
    }
}
