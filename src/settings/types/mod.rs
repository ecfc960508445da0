//! The types of settings. What parses cannot break out of the files it is rendered into.

mod names;
mod numbers;
mod words;

pub use names::{AbsolutePath, BaseUrl, Host, Identifier, Network, Secret, ServerName, Version};
pub use numbers::{Duration, Factor, Port, Size, Whole};
pub use words::{DatabaseKind, LogLevel, MemoryLimit, Processes, WorkerList};
