//! The request: settings, flags, environment and the administrator's files, loaded and validated into a deployment. Of
//! the host's state, only the records of the running server are read.

mod adoption;
mod another_host;
mod calls;
mod container;
mod database;
mod edits;
mod files;
mod generation;
mod homeserver_d;
mod load;
mod mas;
mod model;
mod new_server;
mod nginx_files;
mod places;
pub mod referenced_files;
mod sources;
mod specs;
mod unanswered;

pub use another_host::{Sent, of_another_host, of_first_host};
pub use edits::{Restored, SettingsEdit};
pub use files::rooted;
pub use generation::{of_current, of_generation};
pub use load::{load, load_or_placeholder, of_installed};
pub use model::Request;
pub use sources::acme;
pub use unanswered::{Unanswered, check_answers, unanswered};
