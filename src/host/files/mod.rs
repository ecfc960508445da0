//! Files. Only this module reads and writes files, changes their ownership, and removes them.
//!
//! All operations use file descriptors, starting at the root of the file system. So no account can redirect root to
//! another path by changing names meanwhile; see [`place`].

mod backup;
mod give;
mod lock;
mod place;
#[cfg(test)]
mod race;
mod read;
mod remove;
mod scratch;
mod sys;
mod write;

pub use backup::{Backup, back_up};
pub use give::give_tree;
pub use lock::{Lock, lock};
pub use read::{
    exists, is_directory, is_link, is_socket, link_target, metadata, mode, names, namespace,
    of_process, only_root_can_replace, random, read, read_text, space, working_directory,
};
pub use remove::{remove, remove_empty, remove_tree, remove_with_drop_ins};
pub use scratch::Scratch;
pub use write::{Access, directory, publish, rename, replace, replace_link, rewrite};

use anyhow::Result;
use nix::errno::Errno;

/// Turns the error of a missing file or parent directory into `None`.
fn absent<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if error.downcast_ref() == Some(&Errno::ENOENT) => Ok(None),
        result => result.map(Some),
    }
}
