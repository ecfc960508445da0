//! Enumerations of a few words, and the list of workers.

use std::fmt;

use super::numbers::{Port, Size};
use crate::settings::value::{Raw, Refused, Scalar, Value, items};

/// An enumeration of words, matched regardless of case and written as listed.
macro_rules! words {
    ($(#[$about:meta])* $Name:ident { $($(#[$variant_about:meta])* $Variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Name { $($(#[$variant_about])* $Variant,)+ }

        impl Scalar for $Name {
            fn kind() -> String {
                format!("one of {}", [$($word),+].join(", "))
            }

            fn parse(text: &str) -> Result<Self, String> {
                $(if text.eq_ignore_ascii_case($word) {
                    return Ok(Self::$Variant);
                })+
                Err(Self::expected())
            }

            fn show(&self) -> String {
                match self { $(Self::$Variant => $word,)+ }.to_owned()
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.show())
            }
        }
    };
}

words! {
    /// The log level of Synapse.
    LogLevel {
        /// Details for the diagnosis of a fault (Python manual, `logging`, for all four levels).
        Debug = "DEBUG",
        /// Confirmations that things work, such as the line for each request.
        Info = "INFO",
        /// Unexpected events after which Synapse still works.
        Warning = "WARNING",
        /// Problems because of which Synapse could not do something.
        Error = "ERROR",
    }
}

words! {
    /// The kind of database that Synapse uses.
    DatabaseKind {
        /// External if a host is set; otherwise local with workers, and SQLite without workers.
        Auto = "auto",
        /// A role and a database in this host's own PostgreSQL, with peer authentication.
        Local = "local",
        /// A PostgreSQL that the administrator runs.
        External = "external",
        /// A single file, for a server without workers.
        Sqlite = "sqlite",
    }
}

words! {
    /// The encryption of the connection to the mail server (Synapse: `force_tls`, `enable_tls`).
    MailTls {
        /// Implicit on port 465, otherwise STARTTLS.
        Auto = "auto",
        /// TLS from the first byte (RFC 8314).
        Implicit = "implicit",
        /// TLS after a greeting in clear text (RFC 3207).
        Starttls = "starttls",
        /// Clear text.
        None = "none",
    }
}

impl MailTls {
    /// The port that is registered for implicit TLS (RFC 8314, 7.3).
    pub const IMPLICIT_PORT: u32 = 465;

    /// The encryption of connections to this port, with `auto` resolved.
    pub fn at(self, port: Port) -> Self {
        match self {
            Self::Auto if port.get() == Self::IMPLICIT_PORT => Self::Implicit,
            Self::Auto => Self::Starttls,
            tls => tls,
        }
    }
}

words! {
    /// The encryption of connections to PostgreSQL (PostgreSQL manual, 32.19.3).
    SslMode {
        /// Clear text.
        Disable = "disable",
        /// Clear text, or TLS if the server requires it.
        Allow = "allow",
        /// TLS, or clear text if the server has none.
        Prefer = "prefer",
        /// TLS, with any certificate.
        Require = "require",
        /// TLS, with a certificate of a known authority.
        VerifyCa = "verify-ca",
        /// TLS, with a certificate of a known authority for the name of the host.
        VerifyFull = "verify-full",
    }
}

impl SslMode {
    /// Whether a connection without encryption is refused.
    pub fn encrypts(self) -> bool {
        self == Self::Require || self.verifies()
    }

    /// Whether the certificate of the server is verified.
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}

words! {
    /// The Synapse processes that have network access.
    NetworkAccess {
        /// The processes that need it.
        Auto = "auto",
        /// As `auto`, but the federation senders send all requests to other homeservers.
        Senders = "senders",
        /// Every process.
        All = "all",
    }
}

words! {
    /// How processes of Synapse come to be.
    WarmMode {
        /// As `fork` with enough processes on a host that the tests cover, otherwise as `off`.
        Auto = "auto",
        /// Each process imports Synapse itself.
        Off = "off",
        /// Processes are forked from one that has imported Synapse.
        Fork = "fork",
        /// As `fork`, and reading an object does not write to its memory.
        Immortal = "immortal",
    }
}

words! {
    /// The verification that users must pass to register.
    Verification {
        /// Captcha if its key is set, otherwise token.
        Auto = "auto",
        /// A token that an administrator created (Synapse: `registration_requires_token`).
        Token = "token",
        /// A link in an email (Synapse: `registrations_require_3pid`).
        Email = "email",
        /// Google reCAPTCHA (Synapse: `enable_registration_captcha`).
        Captcha = "captcha",
        /// No verification.
        None = "none",
    }
}

words! {
    /// A version of HTTP, as in nginx's `gzip_http_version`.
    HttpVersion {
        /// nginx also compresses responses to HTTP/1.0 requests, which some proxies send.
        V10 = "1.0",
        /// nginx compresses only responses to requests of HTTP/1.1 and newer.
        V11 = "1.1",
    }
}

/// A limit for the memory of a process, systemd's `MemoryHigh=` or `MemoryMax=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// No limit.
    Infinity,
    /// A limit in bytes.
    Size(Size),
}

impl Scalar for MemoryLimit {
    fn kind() -> String {
        format!("infinity or {}", <Size as Scalar>::kind())
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("infinity") {
            return Ok(Self::Infinity);
        }
        <Size as Scalar>::parse(text)
            .map(Self::Size)
            .map_err(|_| Self::expected())
    }

    fn show(&self) -> String {
        match self {
            Self::Infinity => "infinity".to_owned(),
            Self::Size(size) => size.show(),
        }
    }
}

/// Worker specs as written, split at commas and trimmed; the topology parses their grammar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerList(pub Vec<String>);

impl Value for WorkerList {
    const LIST: bool = true;

    fn kind() -> String {
        "a list of workers such as synchrotron:2".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Refused> {
        Ok(Self(items(raw).into_iter().map(|(_, spec)| spec).collect()))
    }

    fn to_raw(&self) -> Option<Raw> {
        Some(Raw::List(self.0.clone()))
    }

    fn unset() -> Option<Self> {
        Some(Self::default())
    }
}
