//! The types of settings. A value that parses cannot break out of the files into which it is rendered.

mod acme;
mod addresses;
mod authority;
mod auto;
mod contact;
mod formats;
mod hosts;
mod mapping;
mod names;
mod numbers;
mod secret;
mod service_url;
mod text;
mod trees;
mod webhook;
mod words;

pub use acme::{Acme, Authority};
pub use addresses::{BaseUrl, Host, HostName, Network, ServerName};
pub use authority::{is_loopback, unbracketed};
pub use auto::Auto;
pub use contact::Contact;
pub use formats::{Calendar, Mailbox, Repository, Token, TurnUri};
pub use hosts::{Hosts, OtherHost};
pub use mapping::PathMapping;
pub use names::{AbsolutePath, AccountName, Identifier, PinnedPackage, UnitName, Version};
pub use numbers::{Duration, Factor, Interval, Port, Size, Span, UploadSize, Whole};
pub use secret::Secret;
pub use service_url::ServiceUrl;
pub use trees::{ClientKeys, Transport, Transports};
pub use webhook::{Webhook, is_webhook_url};
pub use words::{
    DatabaseKind, HttpVersion, LogLevel, MailTls, MemoryLimit, NetworkAccess, SslMode,
    Verification, WarmMode, WorkerList,
};
