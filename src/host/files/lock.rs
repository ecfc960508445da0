//! Lock files. Only root can open them, since flock(2) requires no write permission: an account that may read a file
//! may also lock it.

use super::place::{self, Missing};
use super::{read, sys};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use std::fs::{File, TryLockError};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Interval between two attempts while another process holds the lock. The kernel has no way to wait for a lock with a
/// timeout.
const INTERVAL: Duration = Duration::from_millis(100);

/// A lock. It is released when it is dropped, or when this process ends.
pub struct Lock {
    _file: File,
}

/// Locks a file. The file is created if it is missing, and closed to other accounts if it was open to them.
///
/// # Errors
/// When another process holds the lock until the timeout; the error names that process.
pub fn lock(path: impl AsRef<Path>, timeout: Duration) -> Result<Lock> {
    let path = path.as_ref();
    let shown = path.display();
    let file = open(path).with_context(|| format!("cannot open {shown}"))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {shown}"));
            }
            Err(TryLockError::WouldBlock) if start.elapsed() < timeout => {
                std::thread::sleep(INTERVAL.min(timeout));
            }
            Err(TryLockError::WouldBlock) => bail!("{shown} is locked by {}", holder(&file)),
        }
    }
}

fn open(path: &Path) -> Result<File> {
    let place = place::parent(path, Missing::Fail)?;
    let file = sys::staying(place.directory.as_fd(), &place.name)?;
    if !sys::is_file(&sys::status(file.as_fd())?) {
        return Err(Errno::EINVAL).context("not a regular file");
    }
    // The file of an older release may be open to other accounts.
    sys::set_mode(file.as_fd(), 0o600)?;
    Ok(File::from(file))
}

/// The process that holds the lock of a file, if the kernel lists it (proc_locks(5)).
fn holder(file: &File) -> String {
    let unknown = "another process".to_owned();
    let Ok(status) = sys::status(file.as_fd()) else {
        return unknown;
    };
    let number = format!(":{}", status.st_ino);
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let process = locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [_, "FLOCK", _, _, process, inode, ..] if inode.ends_with(&number) => {
                process.parse::<u32>().ok()
            }
            _ => None,
        }
    });
    let Some(process) = process else {
        return unknown;
    };
    let name = read::of_process(process, "comm").unwrap_or_default();
    format!(
        "process {process} ({})",
        String::from_utf8_lossy(&name).trim()
    )
}
