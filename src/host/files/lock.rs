//! Lock files, which root alone can open: flock(2) asks for no right to write, so one that others may read they may lock.

use super::place::{self, Missing};
use super::{read, sys};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use std::fs::{File, TryLockError};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a lock is tried while another process has it. The kernel has no way to wait for one for a limited time.
const INTERVAL: Duration = Duration::from_millis(100);

/// Held until it is dropped, or until this process ends.
pub struct Lock {
    _file: File,
}

/// Takes the lock of a file, which is made where it is missing and closed to others where it was open to them.
///
/// # Errors
/// When another process has it for all of this time; the error names the process.
pub fn lock(path: impl AsRef<Path>, patience: Duration) -> Result<Lock> {
    let path = path.as_ref();
    let shown = path.display();
    let file = open(path).with_context(|| format!("cannot open {shown}"))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {shown}"));
            }
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => {
                std::thread::sleep(INTERVAL.min(patience));
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
    // One of an older release may be open to others.
    sys::set_mode(file.as_fd(), 0o600)?;
    Ok(File::from(file))
}

/// The process that has the lock of a file, as far as the kernel says it (proc_locks(5)).
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
