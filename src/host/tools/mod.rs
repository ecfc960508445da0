//! Running other programs. Only this module starts any.
//!
//! Root works next to accounts that may be compromised, in directories that other accounts may write. So a program must
//! be one that only root can replace. It starts in `/`, with a clean environment, without a controlling terminal into
//! which it could type, without new privileges, and with a timeout. Programs of a service account are not started here
//! but by systemd, in the sandbox of that account's service: see [`super::confined`].

mod dialogue;
mod find;
mod lines;
mod output;
mod replace;
mod running;
mod stream;
mod tool;

pub use dialogue::Dialogue;
pub use find::find;
pub use output::{Output, journal, tail};
pub use replace::become_program;
pub use stream::Stream;
pub use tool::{PACKAGES, Tool};
