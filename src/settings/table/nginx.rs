//! The sections of nginx: TLS, well-known files, connections and buffers.

use crate::settings::fragment::Values;
use crate::settings::origin::SettingsError;
use crate::settings::row::{Row, Section, section};
use crate::settings::types::{
    AbsolutePath, Acme, Auto, BaseUrl, ClientKeys, Contact, Duration, HttpVersion, Port, Whole,
};
use crate::settings::value::{Raw, Value};

/// The size of one of nginx's buffers in bytes.
pub(in crate::settings) type Buffer = Whole<1_024, 1_073_741_824>;

section! {
    /// HTTPS at nginx. Without a certificate, nginx serves plain HTTP only.
    tls: Tls {
        /// The certificate with its chain (PEM). A renewed certificate takes effect without a restart.
        certificate: Option<AbsolutePath>, env "SYNAPSE_TLS_CERT";

        /// The private key of the certificate (PEM). It may be readable by root alone.
        key: Option<AbsolutePath>, env "SYNAPSE_TLS_KEY";

        /// Obtain the certificate from an authority that speaks ACME, and renew it, instead of certificate and
        /// key. With {}, the authority is Let's Encrypt. The keys are: email, an address for the account; server,
        /// the URL of another ACME directory, or staging for the test server of Let's Encrypt; ca_file, the
        /// certificate that the server of an internal authority is verified with (PEM); names, the names of the
        /// certificate, by default those under which clients and servers reach this host. The authority must
        /// reach port 80 of each name. By setting this you agree to the authority's terms of service.
        acme: Option<Acme>;

        /// The HTTPS port for clients.
        port: Port = "443";

        /// The HTTPS port for other homeservers.
        federation_port: Port = "8448";

        /// Redirect requests over plain HTTP to HTTPS. For browsers, set http_port to 80. Requests from this
        /// host and from trusted_proxies are not redirected. No effect without a certificate.
        redirect: bool = "false";

        /// Send Strict-Transport-Security over HTTPS: browsers then use this host name over HTTPS only, for
        /// one year after each visit. No effect without a certificate.
        hsts: bool = "false";
    }
}

section! {
    /// The file /.well-known/matrix/support, in which users and other servers find the administrators.
    support: Support {
        /// The contacts, each a role with a Matrix ID, an e-mail address, or both:
        /// admin @alice:example.org alice@example.org. The roles are admin and security, and roles of your
        /// own such as org.example.moderator.
        contacts: Vec<Contact>;

        /// The URL of a page with help for users of this server.
        page: Option<BaseUrl>;
    }
}

section! {
    /// The other files below /.well-known/matrix.
    well_known: WellKnown {
        /// Additional keys of the file /.well-known/matrix/client, in which clients find this server, besides
        /// those from public_baseurl, default_identity_server and rtc. Requires public_baseurl.
        client: ClientKeys;
    }
}

section! {
    /// nginx, the reverse proxy in front of all processes.
    nginx: Nginx {
        /// The number of nginx processes that serve requests; auto is one for each core.
        worker_processes: Auto<Whole<1, 256>> = "auto", env "NGINX_WORKER_PROCESSES";

        /// The maximum number of connections of each nginx process, to clients and to Synapse together; a
        /// client that waits for messages occupies one of each. `auto`: 8192 to 32768, by the memory of this
        /// host, which is far more than ordinary use requires, because a client that stops in the middle of
        /// a request occupies a connection for ten seconds.
        worker_connections: Auto<Whole<16, 1_000_000>> = "auto", env "NGINX_WORKER_CONNECTIONS";

        /// The maximum number of requests in progress per client, including long polls. nginx answers
        /// further ones with 429. A client is an IPv4 address or an IPv6 network of 64 bits, such as an
        /// office behind one router, where each Matrix client needs two or three requests at a time.
        /// Requests from this host, from trusted_proxies and over listen_unix_socket are not counted.
        /// 0 removes the limit.
        connections_per_client: Whole<0, 1_000_000> = "512";

        /// An additional Unix socket on which nginx listens, for a reverse proxy on this host. nginx trusts
        /// its X-Forwarded-For header. The socket needs a directory of its own, as in
        /// /run/matrix/nginx.sock.
        listen_unix_socket: Option<AbsolutePath>, env "NGINX_LISTEN_UNIX_SOCKET";

        /// The size of a page in bytes, from which the sizes of the buffers follow that are empty.
        page_size: Whole<1_024, 1_048_576> = "4096", env "NGINX_GENERAL_PAGE_SIZE_BYTES";

        /// The part of a request body, in bytes, that is kept in memory; a longer body is written to disk.
        /// If empty, 1024 pages.
        client_body_buffer_size: Option<Buffer>, env "NGINX_CLIENT_BODY_BUFFER_SIZE_BYTES";

        /// Allow clients to keep connections open between requests.
        client_keepalive: bool = "true", env "NGINX_CLIENT_KEEPALIVE_ENABLE";

        /// The time after which an idle connection of a client is closed.
        client_keepalive_timeout: Duration = "60s", env "NGINX_CLIENT_KEEPALIVE_TIMEOUT_SECONDS";

        /// Keep connections to Synapse open between requests. Connections to sockets that systemd opens
        /// (sockets.held) are always closed after one request.
        upstream_keepalive: bool = "true", env "NGINX_UPSTREAM_KEEPALIVE_ENABLE";

        /// The time after which an idle connection to Synapse is closed. Keep it below the 60 seconds after
        /// which Synapse closes the connection, because a request that is sent at that moment fails.
        upstream_keepalive_timeout: Duration = "50s", env "NGINX_UPSTREAM_KEEPALIVE_TIMEOUT_SECONDS";

        /// Half the number of idle connections that are kept open to each Synapse process.
        upstream_keepalive_multiplier: Whole<1, 1_000> = "1", env "NGINX_UPSTREAM_KEEPALIVE_CONNECTION_MULTIPLIER";

        /// The time that an old nginx process has to finish its in-flight requests after a reload.
        worker_shutdown_timeout: Duration = "120s";

        /// The compression level of responses; 1 uses the least CPU.
        gzip_comp_level: Whole<1, 9> = "1", env "NGINX_GZIP_COMP_LEVEL";

        /// The lowest HTTP version of a request whose response is compressed.
        gzip_http_version: HttpVersion = "1.1", env "NGINX_GZIP_HTTP_VERSION";

        /// The minimum length in bytes of a response that is compressed.
        gzip_min_length: Whole<0, 1_000_000> = "200", env "NGINX_GZIP_MIN_LENGTH";

        /// nginx's map_hash_max_size. If empty, nginx's default, which is sufficient because routes are not
        /// in a hash table.
        map_hash_max_size: Option<Whole<512, 16_777_216>>, env "NGINX_MAP_HASH_MAX_SIZE";

        /// Read responses from Synapse as fast as they arrive, and buffer them for slow clients.
        proxy_buffering: bool = "true", env "NGINX_PROXY_BUFFERING";

        /// Read a request completely before it is passed to Synapse. If false, the main process cannot
        /// answer in place of a worker that is down.
        proxy_request_buffering: bool = "true", env "NGINX_PROXY_REQUEST_BUFFERING";

        /// The buffer for the first part of a response, in bytes. All headers of a response must fit. If
        /// empty, 16384, or one page if that is larger; without proxy_buffering,
        /// buffering_disabled_multiplier pages.
        proxy_buffer_size: Option<Buffer>, env "NGINX_PROXY_BUFFER_SIZE_BYTES";

        /// The number of pages of proxy_buffer_size if proxy_buffering is false.
        buffering_disabled_multiplier: Whole<1, 1_000> = "1", env "NGINX_PROXY_BUFFERING_DISABLED_PAGE_MULTIPLIER";

        /// The part of a response, in bytes, that may be in transit to the client while the rest is read.
        /// If empty, two pages, or proxy_buffer_size if that is larger.
        proxy_busy_buffers_size: Option<Buffer>, env "NGINX_PROXY_BUSY_BUFFERS_SIZE_BYTES";

        /// The part of a long response, in bytes, that is written to disk at once while a slow client
        /// reads. If empty, nginx writes no response to disk, and Synapse waits for the client.
        proxy_temp_file_write_size: Option<Buffer>, env "NGINX_PROXY_TEMP_FILE_WRITE_SIZE_BYTES";

        /// The time that nginx waits for a response from Synapse. Joining a large room takes minutes, and
        /// some bots sync with a timeout of several minutes.
        proxy_read_timeout: Duration = "10m", env "NGINX_PROXY_READ_TIMEOUT";

        /// Do not rotate nginx's logs, which it writes with metrics and with access_log. You then rotate
        /// them yourself.
        disable_logrotate: bool = "false", env "NGINX_DISABLE_LOGROTATE";

        /// Write a log of all requests, without their queries, to
        /// /var/log/synapse-workers/requests/access.log. It contains the addresses of clients, and its
        /// lines are kept for at most seven days.
        access_log: bool = "false";

        /// Files with location blocks of your own for paths that do not belong to Matrix, such as those of
        /// another service on this host. Every account of this host can read the copies.
        include: Vec<AbsolutePath>;

        /// A directory with a web client such as Element Web, which nginx serves at /. Paths of Matrix are
        /// not served from it.
        web_root: Option<AbsolutePath>;

        /// Further ports, on which each connection begins with the address of the client in the PROXY
        /// protocol (version 1 or 2). They serve HTTPS if there is a certificate, otherwise plain HTTP.
        /// nginx closes connections that do not come from trusted_proxies.
        proxy_protocol_ports: Vec<Port>;
    }
}
