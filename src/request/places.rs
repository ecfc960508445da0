//! Paths of settings and of the administrator's files that a unit cannot use.

use crate::state::paths;
use std::path::Path;

/// The units that use a path.
pub(super) struct Units {
    /// Their name in messages.
    name: &'static str,
    /// Directories that must stay private to this server.
    private: &'static [&'static str],
}

/// The processes of Synapse, which own the directories of this server.
pub(super) const SYNAPSE: Units = Units {
    name: "Synapse's units",
    private: &[],
};

/// nginx, which publishes what it reads.
pub(super) const NGINX: Units = Units {
    name: "nginx's unit",
    private: &[paths::ETC, paths::STATE, paths::DATA],
};

impl Units {
    /// The reason why they cannot use files at this path; completes the sentence "PATH is …".
    pub fn refuse(&self, path: &Path) -> Option<String> {
        if paths::HOMES.iter().any(|home| path.starts_with(home)) {
            let homes = paths::HOMES.join(", ");
            return Some(format!(
                "hidden from {}, which cannot access {homes}",
                self.name
            ));
        }
        let mut volatile = paths::VOLATILE.iter();
        if let Some((directory, reason)) =
            volatile.find(|(directory, _)| path.starts_with(directory))
        {
            return Some(format!("below {directory}, {reason}"));
        }
        let mut private = self.private.iter();
        let contained = |private: &&&str| {
            let private = Path::new(private);
            path.starts_with(private) || private.starts_with(path)
        };
        let directory = private.find(contained)?;
        Some(match path.starts_with(directory) {
            true => format!("in {directory}, which is private to this server"),
            false => format!("a parent of {directory}, which is private to this server"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nginx_publishes_no_private_directory() {
        let refused = |path: &str| NGINX.refuse(Path::new(path));
        assert_eq!(refused("/srv/element"), None);
        assert_eq!(refused("/usr/share/element-web"), None);
        for (path, reason) in [
            ("/home/a/www", "hidden from nginx's unit"),
            ("/tmp/www", "below /tmp, "),
            ("/", "a parent of /etc/synapse-workers"),
            ("/var/lib", "a parent of /var/lib/synapse-workers"),
            ("/var/lib/synapse/media_store", "in /var/lib/synapse, "),
            (
                "/var/lib/synapse-workers/tls",
                "in /var/lib/synapse-workers, ",
            ),
        ] {
            assert!(refused(path).unwrap().starts_with(reason), "{path}");
        }
    }
}
