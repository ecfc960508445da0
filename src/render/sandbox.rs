//! The sandbox of every service: one template (`systemd/sandbox.conf`), and for each unit a row of switches.
//!
//! A row states what its program needs beyond the least. `systemd-analyze security` weighs the result.

use super::{Input, certificate, filters, network, nginx, ports};
use crate::paths;
use crate::plan::names;
use anyhow::{Context, Result};
use askama::Template;

/// Which network a service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// A namespace of its own, in which nobody else is. Sockets that systemd holds work all the same.
    None,
    /// This host's, but packets to and from loopback addresses only.
    Loopback,
    /// This host's.
    Host,
}

/// The switches of one unit.
struct Row {
    /// The unit file.
    unit: &'static str,
    network: fn(&Input) -> Network,
    /// What it binds beside the ports of its unit, as `SocketBindAllow=` has it; none: whatever it wants.
    binds: fn(&Input) -> Option<Vec<String>>,
    /// Capabilities that it keeps, given its network; none in most rows.
    capabilities: fn(&Input, Network) -> &'static str,
    /// Whether it runs as another user than root, so that it has to be given its capabilities.
    is_unprivileged: bool,
    umask: &'static str,
    /// Whether it reads files in home directories.
    sees_home: fn(&Input) -> bool,
    /// Whether it has the temporary directories of the host.
    shares_tmp: fn(&Input) -> bool,
    /// Whether it has to tell other users apart.
    sees_users: bool,
    /// Whether it reads files of /proc that belong to no process.
    reads_proc: fn(&Input) -> bool,
    /// Whether it makes code at run time.
    writes_code: bool,
    /// Whether it opens Unix sockets, which lead to whatever of this host listens on one.
    unix: bool,
    /// Whether it asks the kernel for addresses and routes.
    netlink: bool,
    /// System calls, and groups of them, beyond those of any service.
    calls: &'static [&'static str],
    /// Whether a call that is not allowed fails; otherwise it ends the process.
    survives_refusal: bool,
    writable: fn(&Input) -> Vec<String>,
    /// Paths out of its sight, which all exist.
    hidden: &'static [&'static str],
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

static ROWS: &[Row] = &[
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
        binds: |input| Some(super::coturn::binds(input)),
        capabilities: |input, _| match super::coturn::has_low_port(input) {
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

/// A rendered sandbox, to be put into a unit file.
#[derive(Template)]
#[template(path = "sandbox.conf")]
pub(super) struct Sandbox {
    row: &'static Row,
    network: Network,
    families: String,
    capabilities: &'static str,
    ambient: bool,
    /// Its user and root are the only ones of its user namespace; capabilities count outside of one only.
    private_users: bool,
    reads_proc: bool,
    shares_tmp: bool,
    sees_home: bool,
    writable: Vec<String>,
    /// What may be bound, as `SocketBindAllow=` has it; none: everything.
    binds: Option<Vec<String>>,
}

/// The network of a worker that sends nothing, as a drop-in beside the unit file of all workers.
#[derive(Template)]
#[template(path = "worker-network.conf")]
pub(super) struct WorkerNetwork {
    network: Network,
    families: String,
    binds: Option<Vec<String>>,
}

impl WorkerNetwork {
    /// The text of the file.
    ///
    /// # Errors
    /// Only when the template cannot be rendered.
    pub fn none() -> Result<String> {
        let file = Self {
            network: Network::None,
            families: families(row(names::WORKERS)?, Network::None),
            binds: Some(Vec::new()),
        };
        Ok(file.render()?)
    }
}

/// A program whose sandbox helpers get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The main process of Synapse.
    Synapse,
    Nginx,
}

/// The sandbox of a program as lines `Key=Value`, each of them a property for `systemd-run`, with the network that is
/// asked for instead of its own. Keys come several times, and the order counts.
///
/// # Errors
/// Only when the template cannot be rendered.
pub fn lines(input: &Input, program: Program, network: Network) -> Result<Vec<String>> {
    let unit = match program {
        Program::Synapse => names::MAIN,
        Program::Nginx => names::NGINX,
    };
    let text = made(input, row(unit)?, network).render()?;
    let settings = text.lines().filter(|line| !line.starts_with('#'));
    Ok(settings.map(str::to_owned).collect())
}

/// The sandbox of a unit file.
///
/// # Errors
/// Where the unit has no row, which a test excludes.
pub(super) fn of(input: &Input, unit: &str) -> Result<Sandbox> {
    let row = row(unit)?;
    Ok(made(input, row, (row.network)(input)))
}

fn made(input: &Input, row: &'static Row, network: Network) -> Sandbox {
    let capabilities = (row.capabilities)(input, network);
    Sandbox {
        row,
        network,
        families: families(row, network),
        capabilities,
        ambient: row.is_unprivileged && !capabilities.is_empty(),
        private_users: row.is_unprivileged && capabilities.is_empty() && !row.sees_users,
        reads_proc: (row.reads_proc)(input),
        shares_tmp: (row.shares_tmp)(input),
        sees_home: (row.sees_home)(input),
        writable: (row.writable)(input),
        binds: binds(input, row, network),
    }
}

/// The kinds of sockets that a service may open, as `RestrictAddressFamilies=` has them.
fn families(row: &Row, network: Network) -> String {
    let kinds = [
        ("AF_UNIX", row.unix),
        ("AF_INET AF_INET6", network != Network::None),
        ("AF_NETLINK", network == Network::Host && row.netlink),
    ];
    let open = kinds.into_iter().filter(|(_, open)| *open);
    let open: Vec<&str> = open.map(|(kind, _)| kind).collect();
    match open.is_empty() {
        true => "none".to_owned(),
        false => open.join(" "),
    }
}

/// What a service may bind: nothing where it has no network, and else its ports.
fn binds(input: &Input, row: &Row, network: Network) -> Option<Vec<String>> {
    let more = match network {
        Network::None => return Some(Vec::new()),
        Network::Loopback => Vec::new(),
        Network::Host => (row.binds)(input)?,
    };
    let bound = ports::bound(input).into_iter();
    let own = bound.filter(|bound| bound.unit == row.unit);
    Some(own.map(|bound| bound.rule()).chain(more).collect())
}

fn row(unit: &str) -> Result<&'static Row> {
    let mut rows = ROWS.iter();
    let row = rows.find(|row| row.unit == unit);
    row.with_context(|| format!("{unit} has no row of a sandbox"))
}

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
        super::logs::on_disk(input).then_some(paths::SYNAPSE_LOGS),
    ];
    let own = own.into_iter().flatten().map(str::to_owned);
    own.chain(input.adopted.writable()).collect()
}
