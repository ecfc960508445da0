//! The permissions of each service: one row of switches per unit.

use super::super::{Input, acme, backup, certificate, logrotate, logs, network, nginx};
use super::Network;
use crate::state::paths;
use crate::state::units;

/// The switches of one unit.
pub(super) struct Row {
    /// The name of the unit file.
    pub unit: &'static str,
    pub network: fn(&Input) -> Network,
    /// Addresses that it binds besides the ports of its unit, in the syntax of `SocketBindAllow=`; `None` allows all.
    pub binds: fn(&Input) -> Option<Vec<String>>,
    /// Capabilities that it keeps, depending on its network access; most rows have none.
    pub capabilities: fn(&Input, Network) -> &'static str,
    /// Whether it runs as a user other than root, so that it needs ambient capabilities.
    pub is_unprivileged: bool,
    pub umask: &'static str,
    /// Whether it reads files in home directories.
    pub sees_home: fn(&Input) -> bool,
    /// Whether it shares the host's temporary directories.
    pub shares_tmp: fn(&Input) -> bool,
    /// Whether it must distinguish the other users of the host.
    pub sees_users: bool,
    /// Whether it reads files in /proc that belong to no process.
    pub reads_proc: fn(&Input) -> bool,
    /// Whether it generates machine code at run time.
    pub writes_code: bool,
    /// Whether it opens Unix sockets, through which it can reach any service of this host that listens on one.
    pub unix: bool,
    /// Whether it queries the kernel for addresses and routes.
    pub netlink: bool,
    /// System calls, and groups of them, beyond those that every service may use.
    pub calls: &'static [&'static str],
    /// Whether a forbidden system call fails with an error; otherwise it kills the process.
    pub survives_refusal: bool,
    pub writable: fn(&Input) -> Vec<String>,
    /// Whether it prefixes every line of its log with a priority (sd-daemon(3)).
    pub prefixes_lines: fn(&Input) -> bool,
    /// Paths that are inaccessible to it. All of them exist, but those that begin with `-`.
    pub hidden: &'static [&'static str],
}

/// The minimum, on which most rows are based.
const ROW: Row = Row {
    unit: "",
    network: |_| Network::None,
    binds: |_| Some(Vec::new()),
    capabilities: |_, _| "",
    is_unprivileged: true,
    umask: "0077",
    sees_home: |_| false,
    shares_tmp: |_| false,
    sees_users: false,
    reads_proc: |_| false,
    writes_code: false,
    unix: true,
    netlink: false,
    calls: &[],
    survives_refusal: false,
    writable: |_| Vec::new(),
    prefixes_lines: |_| false,
    hidden: &[],
};

/// A process of Synapse. cffi's callbacks write code; the metrics of a process about itself need /proc/stat.
const SYNAPSE: Row = Row {
    network: |_| Network::Host,
    binds: network::binds,
    reads_proc: |input| input.settings.metrics.enabled,
    writes_code: true,
    prefixes_lines: |input| logs::python_path(input).is_some(),
    writable: synapse_writes,
    ..ROW
};

/// An exporter, which listens on a loopback address. Exporters built with Go 1.19, as in Debian 12, try to raise their
/// limit of open files, and continue if that is forbidden.
const EXPORTER: Row = Row {
    network: |_| Network::Loopback,
    reads_proc: |_| true,
    survives_refusal: true,
    hidden: &[paths::ETC, paths::DATA, paths::RUN],
    ..ROW
};

/// restic, which reads files of every account, and the programs of PostgreSQL, which run as the account of the database
/// that they read. restic tries to raise its limit of open files, and continues if that is forbidden.
const BACKUP: Row = Row {
    network: backup::network,
    capabilities: |_, _| "CAP_DAC_READ_SEARCH CAP_SETUID CAP_SETGID",
    is_unprivileged: false,
    sees_home: backup::sees_home,
    netlink: true,
    calls: &["@setuid"],
    survives_refusal: true,
    writable: backup::writes,
    ..ROW
};

/// One row per service.
pub(super) static ROWS: &[Row] = &[
    Row {
        unit: units::MAIN,
        ..SYNAPSE
    },
    // Workers that send nothing, or only to hosts of this server, have a drop-in (`worker-network.conf`).
    Row {
        unit: units::WORKERS,
        binds: network::workers_bind,
        ..SYNAPSE
    },
    // Its processes bind addresses as their own units allow; it binds none.
    Row {
        unit: units::WARM,
        binds: ROW.binds,
        ..SYNAPSE
    },
    Row {
        unit: units::COMPRESS,
        network: |input| match network::database_is_local(input) {
            true => Network::None,
            false => Network::Host,
        },
        binds: ROW.binds,
        writable: |_| Vec::new(),
        prefixes_lines: ROW.prefixes_lines,
        ..SYNAPSE
    },
    Row {
        unit: units::NGINX,
        network: nginx::network,
        capabilities: |input, _| match nginx::binds_low_port(input) {
            true => BIND,
            false => "",
        },
        // nginx's group reads the access log that nginx creates.
        umask: "0027",
        // PCRE may compile nginx's regular expressions to machine code.
        writes_code: true,
        writable: nginx::writes,
        hidden: &[paths::ETC, paths::DATA],
        ..ROW
    },
    Row {
        unit: units::REDIS,
        network: |input| match input.opens_redis() {
            true => Network::Hosts,
            false => Network::None,
        },
        // Redis runs with Synapse's group, whose members connect to its socket.
        umask: "0007",
        // Redis tries to raise its limit of open files and to set its processors, and continues if that is forbidden.
        survives_refusal: true,
        writable: |_| vec![paths::REDIS.to_owned()],
        hidden: &[paths::ETC, paths::DATA],
        ..ROW
    },
    Row {
        unit: units::PROMETHEUS,
        network: |input| match input.has_other_hosts() {
            true => Network::Hosts,
            false => Network::Loopback,
        },
        unix: false,
        writable: |_| vec![paths::PROMETHEUS.to_owned()],
        ..EXPORTER
    },
    Row {
        unit: units::ALERTMANAGER,
        network: |_| Network::Host,
        netlink: true,
        writable: |_| vec![paths::ALERTMANAGER.to_owned()],
        ..EXPORTER
    },
    Row {
        unit: units::NGINX_EXPORTER,
        unix: false,
        ..EXPORTER
    },
    Row {
        unit: units::NGINX_LOG_EXPORTER,
        unix: false,
        ..EXPORTER
    },
    Row {
        unit: units::REDIS_EXPORTER,
        network: |input| near(input.settings.redis.host.is_none()),
        // Of the sockets in /run/synapse-workers, the unit file leaves only the directory of Redis' visible.
        hidden: &[paths::ETC, paths::DATA, paths::STATE],
        ..EXPORTER
    },
    Row {
        unit: units::POSTGRES_EXPORTER,
        network: |input| near(network::database_is_local(input)),
        hidden: &[paths::ETC, paths::DATA, paths::STATE, paths::RUN],
        ..EXPORTER
    },
    Row {
        unit: units::COTURN,
        network: |_| Network::Host,
        binds: |input| Some(super::super::coturn::binds(input)),
        capabilities: |input, _| match super::super::coturn::has_low_port(input) {
            true => BIND,
            false => "",
        },
        netlink: true,
        // It drops its groups after the start, and continues if that is forbidden.
        survives_refusal: true,
        hidden: &[paths::ETC, paths::DATA],
        ..ROW
    },
    Row {
        unit: units::COTURN_EXPORTER,
        unix: false,
        // The kernel's list of sockets includes their users.
        sees_users: true,
        ..EXPORTER
    },
    Row {
        unit: units::LOGROTATE_SERVICE,
        unix: false,
        umask: "0027",
        writable: logrotate::writes,
        hidden: &[paths::ETC, paths::RUN],
        ..ROW
    },
    Row {
        unit: units::CERTIFICATE_SERVICE,
        // Any account may own the key; the copy belongs to its reader.
        capabilities: |_, _| "CAP_DAC_READ_SEARCH CAP_CHOWN CAP_FOWNER",
        is_unprivileged: false,
        sees_home: |input| certificate::is_below(input, paths::HOMES),
        shares_tmp: |input| certificate::is_below(input, TEMPORARY),
        calls: &["@chown"],
        writable: |_| vec![paths::TLS.to_owned()],
        ..ROW
    },
    Row {
        unit: units::ACME_SERVICE,
        network: |_| Network::Host,
        is_unprivileged: false,
        // nginx serves the proofs that certbot writes.
        umask: "0022",
        sees_home: |input| acme::reads_below(input, paths::HOMES),
        shares_tmp: |input| acme::reads_below(input, TEMPORARY),
        netlink: true,
        // certbot sets the owner of directories that it creates, and continues if other calls are forbidden.
        calls: &["@chown"],
        survives_refusal: true,
        writable: |_| [paths::ACME, paths::ACME_STATE].map(str::to_owned).into(),
        // Certificates and options of the administrator's own certbot are not for this one.
        hidden: &[paths::SECRETS, paths::DATA, paths::RUN, "-/etc/letsencrypt"],
        ..ROW
    },
    Row {
        unit: units::HOST_METRICS_SERVICE,
        unix: false,
        // The script also measures file systems of directories that other accounts may not enter.
        capabilities: |_, _| "CAP_DAC_READ_SEARCH",
        is_unprivileged: false,
        // nginx serves the file to Prometheus.
        umask: "0022",
        // The media store may be in a home directory.
        sees_home: |_| true,
        writable: |_| vec![paths::METRICS.to_owned()],
        ..ROW
    },
    Row {
        unit: units::BACKUP_SERVICE,
        ..BACKUP
    },
    Row {
        unit: units::BACKUP_CHECK_SERVICE,
        ..BACKUP
    },
    Row {
        unit: units::HOLD,
        unix: false,
        hidden: &[paths::ETC, paths::DATA, paths::STATE],
        ..ROW
    },
];

/// The directories that `PrivateTmp=` replaces (systemd.exec(5)).
const TEMPORARY: &[&str] = &["/tmp", "/var/tmp"];

/// The capability to bind ports below 1024.
const BIND: &str = "CAP_NET_BIND_SERVICE";

/// The network access of an exporter: loopback only if its server is on this host.
fn near(is_near: bool) -> Network {
    match is_near {
        true => Network::Loopback,
        false => Network::Host,
    }
}

fn synapse_writes(input: &Input) -> Vec<String> {
    let own = [
        Some(paths::DATA),
        input.media_store_path(),
        Some(paths::RUN),
        super::super::logs::on_disk(input).then_some(paths::SYNAPSE_LOGS),
    ];
    let own = own.into_iter().flatten().map(str::to_owned);
    own.chain(input.adopted.writable()).collect()
}
