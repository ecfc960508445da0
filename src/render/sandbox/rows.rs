//! What each service may do: a row of switches for each.

use super::super::{Input, certificate, network, nginx};
use super::Network;
use crate::paths;
use crate::plan::names;

/// The switches of one unit.
pub(super) struct Row {
    /// The unit file.
    pub unit: &'static str,
    pub network: fn(&Input) -> Network,
    /// What it binds beside the ports of its unit, as `SocketBindAllow=` has it; none: whatever it wants.
    pub binds: fn(&Input) -> Option<Vec<String>>,
    /// Capabilities that it keeps, given its network; none in most rows.
    pub capabilities: fn(&Input, Network) -> &'static str,
    /// Whether it runs as another user than root, so that it has to be given its capabilities.
    pub is_unprivileged: bool,
    pub umask: &'static str,
    /// Whether it reads files in home directories.
    pub sees_home: fn(&Input) -> bool,
    /// Whether it has the temporary directories of the host.
    pub shares_tmp: fn(&Input) -> bool,
    /// Whether it has to tell other users apart.
    pub sees_users: bool,
    /// Whether it reads files of /proc that belong to no process.
    pub reads_proc: fn(&Input) -> bool,
    /// Whether it makes code at run time.
    pub writes_code: bool,
    /// Whether it opens Unix sockets, which lead to whatever of this host listens on one.
    pub unix: bool,
    /// Whether it asks the kernel for addresses and routes.
    pub netlink: bool,
    /// System calls, and groups of them, beyond those of any service.
    pub calls: &'static [&'static str],
    /// Whether a call that is not allowed fails; otherwise it ends the process.
    pub survives_refusal: bool,
    pub writable: fn(&Input) -> Vec<String>,
    /// Paths out of its sight, which all exist.
    pub hidden: &'static [&'static str],
}

/// The least, which most rows start from.
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
    hidden: &[],
};

/// A process of Synapse. cffi's callbacks write code; the metrics of a process about itself need /proc/stat.
const SYNAPSE: Row = Row {
    network: |_| Network::Host,
    binds: network::binds,
    reads_proc: |input| input.settings.metrics.enabled,
    writes_code: true,
    writable: synapse_writes,
    ..ROW
};

/// An exporter, which listens on a loopback address. Those made with Go 1.19, as Debian 12 has them, try to raise their
/// limit of open files, and go on where they may not.
const EXPORTER: Row = Row {
    network: |_| Network::Loopback,
    reads_proc: |_| true,
    survives_refusal: true,
    hidden: &[paths::ETC, paths::DATA, paths::RUN],
    ..ROW
};

/// A row for each service.
pub(super) static ROWS: &[Row] = &[
    Row {
        unit: names::MAIN,
        ..SYNAPSE
    },
    // Workers that send nothing have a drop-in (`worker-network.conf`).
    Row {
        unit: names::WORKERS,
        binds: network::workers_bind,
        ..SYNAPSE
    },
    Row {
        unit: names::COMPRESS,
        network: |input| match network::database_is_near(input) {
            true => Network::None,
            false => Network::Host,
        },
        binds: ROW.binds,
        writable: |_| Vec::new(),
        ..SYNAPSE
    },
    Row {
        unit: names::NGINX,
        network: nginx::network,
        capabilities: |input, network| match network == Network::Host && nginx::has_low_port(input)
        {
            true => BIND,
            false => "",
        },
        // Its group reads the access log that it makes.
        umask: "0027",
        // Its regular expressions may be compiled to machine code.
        writes_code: true,
        writable: nginx::writes,
        hidden: &[paths::ETC, paths::DATA],
        ..ROW
    },
    Row {
        unit: names::REDIS,
        // Its group, Synapse's, reaches its socket.
        umask: "0007",
        // It asks for more open files and for processors, and goes on where it may not.
        survives_refusal: true,
        writable: |_| vec![paths::REDIS.to_owned()],
        hidden: &[paths::ETC, paths::DATA],
        ..ROW
    },
    Row {
        unit: names::PROMETHEUS,
        unix: false,
        writable: |_| vec![paths::PROMETHEUS.to_owned()],
        ..EXPORTER
    },
    Row {
        unit: names::NGINX_EXPORTER,
        unix: false,
        ..EXPORTER
    },
    Row {
        unit: names::NGINX_LOG_EXPORTER,
        unix: false,
        ..EXPORTER
    },
    Row {
        unit: names::REDIS_EXPORTER,
        network: |input| near(input.settings.redis.host.is_none()),
        // Its unit file leaves it the directory of Redis' socket alone.
        hidden: &[paths::ETC, paths::DATA, paths::STATE],
        ..EXPORTER
    },
    Row {
        unit: names::POSTGRES_EXPORTER,
        network: |input| near(network::database_is_near(input)),
        hidden: &[paths::ETC, paths::DATA, paths::STATE, paths::RUN],
        ..EXPORTER
    },
    Row {
        unit: names::COTURN,
        network: |_| Network::Host,
        binds: |input| Some(super::super::coturn::binds(input)),
        capabilities: |input, _| match super::super::coturn::has_low_port(input) {
            true => BIND,
            false => "",
        },
        netlink: true,
        // It gives up groups when it has started, and goes on where it may not.
        survives_refusal: true,
        hidden: &[paths::ETC, paths::DATA],
        ..ROW
    },
    Row {
        unit: names::COTURN_EXPORTER,
        unix: false,
        // The kernel's list of sockets has their users.
        sees_users: true,
        ..EXPORTER
    },
    Row {
        unit: names::LOGROTATE_SERVICE,
        unix: false,
        umask: "0027",
        writable: |_| vec![paths::NGINX_LOGS.to_owned()],
        hidden: &[paths::ETC, paths::RUN],
        ..ROW
    },
    Row {
        unit: names::HAND_OVER,
        // The key may be anybody's, and the copy becomes the reader's.
        capabilities: |_, _| "CAP_DAC_READ_SEARCH CAP_CHOWN CAP_FOWNER",
        is_unprivileged: false,
        sees_home: |input| certificate::is_below(input, HOMES),
        shares_tmp: |input| certificate::is_below(input, TEMPORARY),
        calls: &["@chown"],
        writable: |_| vec![paths::TLS.to_owned()],
        ..ROW
    },
    Row {
        unit: names::HOST_METRICS_SERVICE,
        unix: false,
        // Directories that others may not enter have a file system too.
        capabilities: |_, _| "CAP_DAC_READ_SEARCH",
        is_unprivileged: false,
        // nginx hands the file to Prometheus.
        umask: "0022",
        // Media may be in a home directory.
        sees_home: |_| true,
        writable: |_| vec![paths::METRICS.to_owned()],
        ..ROW
    },
    Row {
        unit: names::HOLD,
        unix: false,
        hidden: &[paths::ETC, paths::DATA, paths::STATE],
        ..ROW
    },
];

/// What `ProtectHome=` closes (systemd.exec(5)), and what `PrivateTmp=` does.
const HOMES: &[&str] = &["/home", "/root", "/run/user"];
const TEMPORARY: &[&str] = &["/tmp", "/var/tmp"];

/// Ports below 1024.
const BIND: &str = "CAP_NET_BIND_SERVICE";

/// An exporter reaches its server over a socket, or somewhere else.
fn near(is_near: bool) -> Network {
    match is_near {
        true => Network::Loopback,
        false => Network::Host,
    }
}

fn synapse_writes(input: &Input) -> Vec<String> {
    let own = [
        Some(paths::DATA),
        Some(input.settings.media_store_path.as_str()),
        Some(paths::RUN),
        super::super::logs::on_disk(input).then_some(paths::SYNAPSE_LOGS),
    ];
    let own = own.into_iter().flatten().map(str::to_owned);
    own.chain(input.adopted.writable()).collect()
}
