//! The size of this host.

use super::files;
use crate::state::HostSize;
use crate::state::paths;

/// The size of this host. PostgreSQL's part is added when PostgreSQL was queried.
pub fn size() -> HostSize {
    HostSize {
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        memory: meminfo("MemTotal:").unwrap_or(0),
        disk: files::space(paths::VAR_LIB).map_or(0, |space| space.total),
        connections: 0,
    }
}

/// An amount of memory of this host in bytes, by the name of its line with the colon (proc_meminfo(5), in units of 1024
/// bytes).
pub(super) fn meminfo(name: &str) -> Option<u64> {
    let text = files::read_text("/proc/meminfo").ok()??;
    let total = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(number * 1024)
}

/// The maximum of the limit of open files of one process, `fs.nr_open` (proc_sys_fs(5)).
pub(super) fn open_files() -> Option<u64> {
    let text = files::read_text("/proc/sys/fs/nr_open").ok()??;
    text.trim().parse().ok()
}

/// The free space in bytes of the file system with /var/lib.
pub(super) fn free_space() -> Option<u64> {
    files::space(paths::VAR_LIB).map(|space| space.free)
}
