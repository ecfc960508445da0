//! Settings: from raw values to validated ones.
//!
//! One table ([`table`]) declares every setting once: field, type, YAML key, environment names, default and
//! explanation. Everything else follows from it. *Fragments* are raw values with their [`Origin`], read from the
//! settings file ([`mod@file`]), an env-file, the environment ([`mod@env`]) and flags. The overlay ([`mod@load`])
//! applies their precedence (flag, environment, env-file, file, default) and produces typed [`Settings`]. [`mod@write`]
//! prints the commented file, [`edit`] changes single keys in it, and [`reference`](reference()) generates the
//! reference page.

pub mod buffers;
pub mod certificate;
pub(crate) mod consistency;
pub mod edit;
pub mod env;
pub mod file;
mod fragment;
pub mod load;
pub mod mail_server;
pub mod origin;
mod reference;
pub mod retired;
pub mod row;
mod socket_path;
pub mod table;
pub mod types;
mod unknown;
pub mod value;
pub mod write;

pub use consistency::{TCP_PORTS, TRANSPORTS_KEY};
pub use edit::edit_file;
pub use env::read_env_file;
pub use load::{Loaded, Sources, load};
pub use origin::{Origin, SettingsError};
pub use reference::reference;
pub use row::Row;
pub use table::{Database, Settings};
pub use write::new_file;
