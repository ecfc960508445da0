//! The path of the Unix socket to which another reverse proxy connects. nginx becomes the owner of its directory.

use std::path::Path;

/// Directories that units cannot see or write to, that disappear with a process, or that belong to this program.
const UNSUITABLE: &[&str] = &[
    "/tmp",
    "/var/tmp",
    "/home",
    "/root",
    "/run/user",
    "/var/run",
    "/dev",
    "/proc",
    "/sys",
    "/boot",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/etc",
    "/run/synapse-workers",
    "/run/synapse-nginx",
    "/run/systemd",
    "/var/lib/synapse",
    "/var/lib/synapse-workers",
];

/// The reason why the path is unsuitable, as a relative clause; `None` if it is suitable.
pub(super) fn problem(path: &str) -> Option<&'static str> {
    let (directory, name) = path.rsplit_once('/')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-@".contains(c);
    // sun_path has 108 bytes, including the terminating null byte (unix(7)).
    if path.len() > 107 || !path.chars().all(plain) {
        Some(
            "which is longer than 107 characters, or contains others than letters, digits and /._-@",
        )
    } else if name.is_empty() || directory.matches('/').count() < 2 {
        Some("which is not in a directory of its own")
    } else if UNSUITABLE
        .iter()
        .any(|place| Path::new(directory).starts_with(place))
    {
        Some(
            "which is in a directory that nginx and the other proxy do not share or that nginx cannot write to",
        )
    } else {
        None
    }
}
