//! The sections of how Synapse's processes run and are observed.

use crate::settings::fragment::Values;
use crate::settings::origin::SettingsError;
use crate::settings::row::{Row, Section, section};
use crate::settings::types::{
    AbsolutePath, AccountName, Auto, Duration, Interval, MemoryLimit, NetworkAccess, PathMapping,
    PinnedPackage, Port, Size, Span, UnitName, Version, WarmMode, Whole,
};
use crate::settings::value::{Raw, Value};

section! {
    /// Unix sockets between the processes, in place of TCP on 127.0.0.1.
    sockets: Sockets {
        /// Let nginx reach Synapse's processes over Unix sockets.
        public: bool = "true", env "SYNAPSE_PUBLIC_UNIX_SOCKETS";

        /// Let Synapse's processes reach each other over Unix sockets.
        replication: bool = "true", env "SYNAPSE_HTTP_REPLICATION_UNIX_SOCKETS";

        /// Let systemd open nginx's ports and the Unix sockets of Synapse's processes (socket
        /// activation). Connections then wait while a process restarts. If false, they are refused.
        held: bool = "true";

        /// The time that a process has to finish its in-flight requests when it stops, with socket
        /// activation. Requests that take longer are cut off.
        drain_timeout: Duration = "10s";
    }
}

section! {
    /// Warm start: processes of Synapse that are forked from one which has imported Synapse.
    warm: Warm {
        /// `off`: each process imports Synapse itself. `fork`: a fork server imports Synapse once, and
        /// processes share the memory of the import, which saves about half of the memory of all
        /// processes, and start in a fraction of the time. `immortal`: as `fork`, but with CPython 3.12
        /// and 3.13 a process that only reads an object keeps sharing its memory, which saves a third
        /// more. `auto`: `fork` with at least four processes, CPython 3.11 to 3.13 and systemd 252 to 257,
        /// which the tests cover, otherwise `off`. Processes that decode media always import Synapse
        /// themselves. Requires sockets.held and sockets.public.
        mode: WarmMode = "off";
    }
}

section! {
    /// Privileges of Synapse's processes.
    sandbox: Sandbox {
        /// The workers that have network access. `auto`: those that need it, by their roles and by known
        /// options in homeserver.d. `senders`: fewer, because all requests to other homeservers go through
        /// the federation_sender workers. `all`: every worker.
        network: NetworkAccess = "auto";
    }
}

section! {
    /// Metrics, and a Prometheus that stores them.
    metrics: Metrics {
        /// Collect metrics. A change to false deletes the stored metrics.
        enabled: bool = "false", env "SYNAPSE_METRICS";

        /// The port on 127.0.0.1 of the main process's metrics, if sockets.public is false; the ports of
        /// the workers follow from tcp_ports. If sockets.public is true, nginx forwards all metrics, and
        /// this port is not used.
        port: Port = "8060", env "SYNAPSE_METRICS_HTTP_PORT";

        /// The port of Prometheus on 127.0.0.1.
        prometheus_port: Port = "9095";

        /// The interval at which Prometheus collects metrics.
        scrape_interval: Interval = "15s", env "PROMETHEUS_SCRAPE_INTERVAL";

        /// The time after which Prometheus deletes metrics.
        retention: Span = "1y", env "PROMETHEUS_STORAGE_RETENTION_TIME";

        /// The size of all stored metrics, in units of 1024, above which Prometheus deletes the oldest,
        /// even if they are younger than metrics.retention. `auto`: 1G to 10G, by the size of the file
        /// system with /var/lib.
        retention_size: Auto<Size> = "auto";

        /// Also collect the metrics of Redis.
        redis: bool = "false", env "SYNAPSE_ENABLE_REDIS_METRIC_EXPORT";

        /// Also collect the metrics of PostgreSQL. A PostgreSQL on another host must support TLS, which
        /// the exporter requires.
        postgres: bool = "false", env "SYNAPSE_ENABLE_POSTGRES_METRIC_EXPORT";
    }
}

section! {
    /// A Python console in running processes, over SSH on 127.0.0.1, for developers of Synapse.
    manhole: Manhole {
        /// Open a console in the main process.
        main: bool = "false", env "SYNAPSE_MANHOLE_MASTER";

        /// Open a console in each worker. All workers then have network access.
        workers: bool = "false", env "SYNAPSE_MANHOLE_WORKERS";
    }
}

section! {
    /// The Synapse of this host that `install --adopt` adopted.
    adopt: Adopt {
        /// Its configuration files, in the order in which it read them. They stay in their places and are
        /// read before all others.
        config: Vec<AbsolutePath>;

        /// Its service, which is stopped while this server runs.
        service: Option<UnitName>;

        /// If it ran in a container: each directory of the container with the directory of this host that
        /// was mounted there, as in /data=/srv/synapse. Paths in its files are read accordingly.
        paths: Vec<PathMapping>;
    }
}

section! {
    /// The installation of Synapse.
    synapse: Synapse {
        /// A Python that contains Synapse. If empty, the Synapse that the host has; if it has none, one is
        /// installed from PyPI.
        python: Option<AbsolutePath>;

        /// The version to install from PyPI if the host has no Synapse.
        version: Version = "1.163.2";

        /// Python packages to install together with this Synapse, such as modules, each written
        /// NAME==VERSION. If the host has a Synapse, they are only checked: install them yourself. Packages
        /// that options of Synapse need, such as oidc_providers, are installed without being listed.
        packages: Vec<PinnedPackage>;

        /// Use jemalloc, which saves memory, if the host has it.
        jemalloc: bool = "true";

        /// The system user that Synapse runs as and that owns its data. root, the accounts of PostgreSQL
        /// and of other services, and members of privileged groups such as docker are refused.
        user: AccountName = "synapse";

        /// The numeric ID of that user if it is created. If empty, the system chooses. UID is read from an
        /// env-file only, because shells set it themselves.
        uid: Option<Whole<1, 60_000>>, env "UID";

        /// The numeric ID of its group if it is created. If empty, the system chooses. GID is read from an
        /// env-file only.
        gid: Option<Whole<1, 60_000>>, env "GID";
    }
}

section! {
    /// Resource limits of Synapse's processes, enforced by systemd.
    limits: Limits {
        /// The memory of each process, in units of 1024, above which the kernel slows the process down and
        /// takes memory back from it (MemoryHigh=). `auto`: a third to three quarters of the memory of this
        /// host, by the number of processes, so that no single process can take the whole host.
        memory_high: Auto<MemoryLimit> = "auto";

        /// The maximum memory of the main process (MemoryMax=). systemd kills a process that exceeds it.
        main_memory: MemoryLimit = "infinity";

        /// The maximum memory of each worker (MemoryMax=).
        worker_memory: MemoryLimit = "infinity";

        /// The number of lines in 30 seconds above which the journal drops lines of a process
        /// (LogRateLimitBurst=). `auto`: 25000 to 100000, by the number of processes.
        log_burst: Auto<Whole<1_000, 10_000_000>> = "auto";

        /// The maximum number of threads and child processes of each process (TasksMax=).
        tasks: Whole<16, 100_000> = "512";
    }
}
