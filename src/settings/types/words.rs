//! Choices out of few words, and the list of workers.

use std::fmt;

use super::numbers::{Size, Whole};
use crate::settings::value::{Raw, Refused, Scalar, Value, items};

/// An enumeration of words, matched in any case and written as listed.
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
    /// How much Synapse logs.
    LogLevel {
        Debug = "DEBUG",
        Info = "INFO",
        Warning = "WARNING",
        Error = "ERROR",
    }
}

words! {
    /// Where Synapse's data lives.
    DatabaseKind {
        /// External when a host is given; else local with workers, SQLite without.
        Auto = "auto",
        /// Role and database on this host's own PostgreSQL, peer authentication.
        Local = "local",
        /// A PostgreSQL that someone else looks after.
        External = "external",
        /// One file, for a server without workers.
        Sqlite = "sqlite",
    }
}

words! {
    /// Which Synapse processes have the network.
    NetworkAccess {
        /// Those that need it.
        Auto = "auto",
        /// The same, but requests to other homeservers are sent by the federation senders.
        Senders = "senders",
        All = "all",
    }
}

words! {
    /// What people have to show to register.
    Verification {
        /// Captcha where there is a key for it, else token.
        Auto = "auto",
        Token = "token",
        Email = "email",
        Captcha = "captcha",
        /// Nothing at all.
        None = "none",
    }
}

words! {
    /// A version of HTTP as nginx' `gzip_http_version` knows it.
    HttpVersion {
        V10 = "1.0",
        V11 = "1.1",
    }
}

/// The memory a process may use; systemd's `MemoryMax=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    Infinity,
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

/// How many processes nginx serves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processes {
    /// One for each core.
    Auto,
    Count(Whole<1, 256>),
}

impl Scalar for Processes {
    const BARE: bool = true;

    fn kind() -> String {
        format!("auto or {}", <Whole<1, 256> as Scalar>::kind())
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        <Whole<1, 256> as Scalar>::parse(text)
            .map(Self::Count)
            .map_err(|_| Self::expected())
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Count(count) => count.show(),
        }
    }
}

/// Worker specs as written, split at commas and trimmed; the topology reads their grammar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerList(pub Vec<String>);

impl Value for WorkerList {
    const LIST: bool = true;

    fn kind() -> String {
        "a list of worker specs such as synchrotron:2".to_owned()
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
