//! The types of settings. A value that parses cannot break out of the files into which it is rendered.

mod contact;
mod formats;
mod names;
mod numbers;
mod words;

pub use contact::Contact;
pub use formats::{Calendar, Mailbox, Token, TurnUri};
pub use names::{
    AbsolutePath, AccountName, BaseUrl, Host, HostName, Identifier, Network, Secret, ServerName,
    UnitName, Version,
};
pub use numbers::{Duration, Factor, Port, Size, Span, Whole};
pub use words::{
    DatabaseKind, HttpVersion, LogLevel, MemoryLimit, NetworkAccess, Processes, Verification,
    WorkerList,
};
