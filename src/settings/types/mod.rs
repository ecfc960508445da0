//! The types of settings. A value that parses cannot break out of the files into which it is rendered.

mod contact;
mod formats;
mod mapping;
mod names;
mod numbers;
mod words;

pub use contact::Contact;
pub use formats::{Calendar, Mailbox, Token, TurnUri};
pub use mapping::PathMapping;
pub use names::{
    AbsolutePath, AccountName, BaseUrl, Host, HostName, Identifier, Network, PinnedPackage, Secret,
    ServerName, UnitName, Version,
};
pub use numbers::{Duration, Factor, Interval, Port, Size, Span, UploadSize, Whole};
pub use words::{
    DatabaseKind, HttpVersion, LogLevel, MailTls, MemoryLimit, NetworkAccess, Processes, SslMode,
    Verification, WorkerList,
};
