//! The settings table: every key, declared once.
//!
//! Top-level keys are here, sections in the files of this folder. The doc comments are the documentation of the
//! settings: they become the comments of the settings file and the reference page.

// rustdoc takes `[:COUNT]` for a link; the settings file and the reference page print it as it is.
#![allow(rustdoc::broken_intra_doc_links)]

mod alerts;
mod backup;
mod calls;
mod cluster;
mod features;
mod mas;
mod nginx;
mod processes;
mod storage;

pub use alerts::Alerts;
pub use backup::Backup;
pub use calls::{Coturn, Rtc, Turn};
pub use cluster::Cluster;
pub use features::{AppServices, Email, Registration, UrlPreviews};
pub use mas::Mas;
pub(super) use nginx::Buffer;
pub use nginx::{Nginx, Support, Tls, WellKnown};
pub use processes::{Adopt, Limits, Manhole, Metrics, Sandbox, Sockets, Synapse, Warm};
pub use storage::{Caches, Compressor, Database, Redis};

use super::fragment::Values;
use super::origin::SettingsError;
use super::row::{Row, Section, count, joined, settings};
use super::types::{
    AbsolutePath, BaseUrl, Hosts, LogLevel, Network, Port, Secret, ServerName, UploadSize, Whole,
    WorkerList,
};
use super::value::{Raw, Value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

settings! {
    top {
        /// The name of this homeserver: the part of user IDs after the colon, as in
        /// @alice:example.org. It cannot be changed after the first start.
        server_name: ServerName, env "SYNAPSE_SERVER_NAME";

        /// Report anonymous usage statistics to the developers of Synapse.
        report_stats: bool = "false", env "SYNAPSE_REPORT_STATS";

        /// The URL at which clients reach this server. If empty, Synapse uses https://SERVER_NAME/ in its own
        /// links, and does not serve /.well-known/matrix/client, so clients find the server only if it is at
        /// https://SERVER_NAME/.
        public_baseurl: Option<BaseUrl>, env "SYNAPSE_PUBLIC_BASEURL";

        /// Serve /.well-known/matrix/server, which directs other homeservers to public_baseurl.
        /// Requires public_baseurl with https.
        serve_server_wellknown: bool = "false", env "SYNAPSE_SERVE_SERVER_WELLKNOWN";

        /// The identity server that is offered to clients, an https URL. If empty, none is offered.
        default_identity_server: Option<BaseUrl>, env "SYNAPSE_DEFAULT_IDENTITY_SERVER";

        /// The worker processes, each written [NAME=]ROLE[+ROLE...][:COUNT], or a preset such as medium.
        /// `synapse-workers presets` lists the presets. If empty, the main process runs alone.
        workers: WorkerList, env "SYNAPSE_WORKER_TYPES";

        /// The address of this host at which the other hosts in `hosts` reach it.
        address: Option<IpAddr>;

        /// Other hosts that run workers, by name, as in
        /// {app2: {address: 10.0.0.2, workers: [synchrotron:3]}}. `install` reaches each over ssh, as root at its
        /// address or as ssh: USER@HOST says. See synapse-workers-cluster(7).
        hosts: Hosts;

        /// The port on which nginx serves clients and other homeservers over plain HTTP.
        http_port: Port = "8008", env "SYNAPSE_HTTP_PORT";

        /// A second plain HTTP port with the same content, for a reverse proxy that forwards other
        /// homeservers separately. If empty, nginx does not open one.
        http_federation_port: Option<Port>, env "SYNAPSE_HTTP_FED_PORT";

        /// The addresses on which nginx listens. The default stands for all addresses of this host: without
        /// IPv6, it is 0.0.0.0 alone.
        bind_addresses: Vec<IpAddr> = "0.0.0.0, ::";

        /// The addresses on which nginx serves plain HTTP, if they differ from bind_addresses, as in
        /// 127.0.0.1 for a server that the internet reaches over HTTPS only.
        http_bind_addresses: Vec<IpAddr>;

        /// The reverse proxies whose X-Forwarded-For and X-Forwarded-Proto headers nginx trusts. All
        /// clients of a proxy that is missing here count as one client with the address of the proxy.
        trusted_proxies: Vec<Network> = "127.0.0.1, ::1";

        /// Serve Synapse's admin API to every client that has the access token of an administrator. If
        /// false, only this host can use it.
        open_admin_api: bool = "false";

        /// The maximum size of an uploaded file, for Synapse and nginx.
        max_upload_size: UploadSize = "50M", env "SYNAPSE_MAX_UPLOAD_SIZE";

        /// The directory of media: uploads, and copies from other homeservers.
        media_store_path: AbsolutePath = "/var/lib/synapse/media_store", env "SYNAPSE_MEDIA_STORE_PATH";

        /// Whether every host with a media_repository worker has the same files at media_store_path, as on a
        /// network file system. Has an effect only with `hosts`.
        media_store_shared: bool = "false";

        /// The lowest level that Synapse logs. A change needs no restart.
        log_level: LogLevel = "INFO", env "SYNAPSE_LOG_LEVEL";

        /// Log database queries with their values, which contain personal data. For debugging only; has
        /// an effect only with log_level DEBUG.
        log_sensitive: bool = "false", env "SYNAPSE_LOG_SENSITIVE";

        /// Also write the log of each Synapse process to a file in /var/log/synapse, which is rotated at
        /// midnight and kept for three days. The journal contains the log in any case.
        log_to_disk: bool = "false", env "SYNAPSE_WORKERS_WRITE_LOGS_TO_DISK";

        /// Your own logging configuration, in the format of Python's logging.config. It replaces the
        /// log_ settings above, and can write files below /var/log/synapse. All workers then have
        /// network access. A change of the file restarts every Synapse process.
        log_config: Option<AbsolutePath>, env "SYNAPSE_LOG_CONFIG";

        /// The first of 12,000 TCP ports on 127.0.0.1 that are reserved for metrics and for processes
        /// that do not listen on a Unix socket.
        tcp_ports: Whole<1_024, 53_000> = "20000";

        /// The password of an external PostgreSQL. Read from the environment or an env-file only, and
        /// stored in the secrets directory.
        postgres_password: Option<Secret>, env "POSTGRES_PASSWORD";

        /// The secret shared with TURN servers. Read from the environment or an env-file only, and
        /// stored in the secrets directory; created if none is provided.
        turn_shared_secret: Option<Secret>, env "SYNAPSE_TURN_SECRET";

        /// The secret that authorizes the registration of accounts on the command line. Read, stored and
        /// created like turn_shared_secret.
        registration_shared_secret: Option<Secret>, env "SYNAPSE_REGISTRATION_SHARED_SECRET";

        /// The secret that signs the access tokens of guests and login links. Read, stored and created
        /// like turn_shared_secret.
        macaroon_secret_key: Option<Secret>, env "SYNAPSE_MACAROON_SECRET_KEY";

        /// The secret that signs web forms. Read, stored and created like turn_shared_secret.
        form_secret: Option<Secret>, env "SYNAPSE_FORM_SECRET";

        /// The secret key for reCAPTCHA. Read from the environment or an env-file only, and stored in
        /// the secrets directory.
        recaptcha_private_key: Option<Secret>, env "SYNAPSE_RECAPTCHA_PRIVATE_KEY";

        /// The password for the mail server. Read and stored like recaptcha_private_key.
        smtp_password: Option<Secret>, env "SYNAPSE_EMAIL_SMTP_PASS";
    }
    sections {
        registration: Registration,
        mas: Mas,
        email: Email,
        url_previews: UrlPreviews,
        app_services: AppServices,
        caches: Caches,
        database: Database,
        redis: Redis,
        cluster: Cluster,
        sockets: Sockets,
        warm: Warm,
        sandbox: Sandbox,
        tls: Tls,
        support: Support,
        well_known: WellKnown,
        metrics: Metrics,
        alerts: Alerts,
        turn: Turn,
        coturn: Coturn,
        rtc: Rtc,
        compressor: Compressor,
        backup: Backup,
        manhole: Manhole,
        adopt: Adopt,
        synapse: Synapse,
        limits: Limits,
        nginx: Nginx,
    }
}

impl Settings {
    /// The addresses of HTTPS.
    pub fn tls_addresses(&self, ipv6: bool) -> Vec<IpAddr> {
        on_host(&self.bind_addresses, ipv6)
    }

    /// The addresses of plain HTTP.
    pub fn plain_addresses(&self, ipv6: bool) -> Vec<IpAddr> {
        match self.http_bind_addresses.is_empty() {
            true => self.tls_addresses(ipv6),
            false => on_host(&self.http_bind_addresses, ipv6),
        }
    }
}

/// The addresses of a list that a host listens on. The default of `bind_addresses` means every address of the host, so
/// it does not contain `::` if the host has no IPv6; `::` in another list is meant as written.
fn on_host(addresses: &[IpAddr], ipv6: bool) -> Vec<IpAddr> {
    let every = [
        IpAddr::from(Ipv4Addr::UNSPECIFIED),
        Ipv6Addr::UNSPECIFIED.into(),
    ];
    let all = addresses.len() == every.len() && every.iter().all(|one| addresses.contains(one));
    let wanted = |address: &&IpAddr| ipv6 || !all || address.is_ipv4();
    addresses.iter().filter(wanted).copied().collect()
}
