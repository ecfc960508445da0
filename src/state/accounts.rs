//! System accounts: those that this program makes beside Synapse's, and those that Synapse must not be.

use super::units;

/// A system user without a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: &'static str,
    pub about: &'static str,
}

impl Account {
    /// Its line of sysusers.d.
    pub fn line(&self) -> String {
        format!(r#"u {} - "{}" /"#, self.name, self.about)
    }
}

pub const NGINX: Account = Account {
    name: "synapse-nginx",
    about: "nginx in front of Synapse",
};
pub const REDIS: Account = Account {
    name: "synapse-redis",
    about: "Redis between Synapse processes",
};
pub const PROMETHEUS: Account = Account {
    name: "synapse-prometheus",
    about: "Prometheus for Synapse",
};
/// Also the name of its role in PostgreSQL.
pub const POSTGRES_EXPORTER: Account = Account {
    name: "synapse-postgres-exporter",
    about: "Metrics of the PostgreSQL that Synapse uses",
};
pub const COTURN: Account = Account {
    name: "synapse-coturn",
    about: "TURN server of Synapse",
};

/// Every account that this program makes beside Synapse's own, whose name and number are settings.
pub static OURS: &[Account] = &[NGINX, REDIS, PROMETHEUS, POSTGRES_EXPORTER, COTURN];

/// The operating system's and PostgreSQL's own administrator of databases, on Debian and Fedora alike.
pub const POSTGRES: &str = "postgres";

/// The administrator, who has the number 0.
pub const ROOT: &str = "root";

/// Why Synapse must not run as this account: an attacker who takes over Synapse would have what the account has.
pub fn reserved(name: &str) -> Option<String> {
    match name {
        ROOT => Some("the administrator of this host".to_owned()),
        POSTGRES => Some("the administrator of this host's PostgreSQL".to_owned()),
        name => {
            let ours = OURS.iter().find(|account| account.name == name)?;
            Some(format!("the account of another service ({})", ours.about))
        }
    }
}

/// The names of all accounts that Synapse must not run as.
pub fn all_reserved() -> impl Iterator<Item = &'static str> {
    [ROOT, POSTGRES]
        .into_iter()
        .chain(OURS.iter().map(|account| account.name))
}

/// Groups whose members have this host, with the reason. Groups of [`all_reserved`] accounts come on top of these.
static PRIVILEGED_GROUPS: &[(&str, &str)] = &[
    (
        "root",
        "many files of the system can be read or written by it",
    ),
    (
        "disk",
        "its members read and write disks past all permissions",
    ),
    ("kmem", "its members read the memory of the kernel"),
    ("shadow", "its members read the passwords of this host"),
    ("sudo", "its members may become root"),
    ("wheel", "its members may become root"),
    ("admin", "its members may become root"),
    ("docker", "its members may become root, by a container"),
    ("lxd", "its members may become root, by a container"),
    ("incus-admin", "its members may become root, by a container"),
    (
        "libvirt",
        "its members may become root, by a virtual machine",
    ),
];

/// Why Synapse must not be in this group.
pub fn mighty_group(name: &str) -> Option<String> {
    let row = PRIVILEGED_GROUPS.iter().find(|(group, _)| *group == name);
    row.map(|(_, why)| (*why).to_owned())
        .or_else(|| Some(format!("it is that of {}", reserved(name)?)))
}

/// The names of all groups that Synapse must not be in.
pub fn mighty_groups() -> impl Iterator<Item = &'static str> {
    let named = PRIVILEGED_GROUPS.iter().map(|(group, _)| *group);
    named.chain(all_reserved().filter(|name| *name != ROOT))
}

/// The account that a unit reads its copy of certificate and key as; `None` where it reads none.
pub fn certificate_reader(unit: &str) -> Option<Account> {
    match unit {
        units::NGINX => Some(NGINX),
        units::COTURN => Some(COTURN),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_has_its_reason() {
        assert!(all_reserved().all(|name| reserved(name).is_some()));
        assert!(mighty_groups().all(|name| mighty_group(name).is_some()));
        for fine in [
            "synapse",
            "matrix-synapse",
            "nogroup",
            "ssl-cert",
            "www-data",
        ] {
            assert_eq!((reserved(fine), mighty_group(fine)), (None, None));
        }
    }
}
