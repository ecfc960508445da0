//! Files: the one place that reads, writes, gives away and removes them.
//!
//! Everything works on descriptors, from the root of the file system down, so that no account can lead root to another
//! place by changing names meanwhile; see [`place`].

mod kept;
mod lock;
mod place;
#[cfg(test)]
mod race;
mod read;
mod remove;
mod scratch;
mod sys;
mod write;

pub use kept::{Kept, keep};
pub use lock::{Lock, lock};
pub use read::{
    exists, is_directory, is_link, is_socket, metadata, mode, names, of_process,
    only_root_can_replace, pointed, random, read, read_text, working_directory,
};
pub use remove::{remove, remove_empty, remove_tree, remove_with_drop_ins};
pub use scratch::Scratch;
pub use write::{Access, directory, point, publish, rename, replace, rewrite};

use anyhow::Result;
use nix::errno::Errno;

/// `None` for what failed because a directory on the way, or the file itself, is not there.
fn absent<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if error.downcast_ref() == Some(&Errno::ENOENT) => Ok(None),
        result => result.map(Some),
    }
}
