//! System accounts that this program creates in addition to Synapse's, and accounts and groups that Synapse must not
//! use.

use super::units;

/// A system user without a home directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name of the user and of its primary group.
    pub name: &'static str,
    /// The comment field of the account (passwd(5), GECOS).
    pub about: &'static str,
}

impl Account {
    /// The line of sysusers.d that creates the account.
    pub fn line(&self) -> String {
        format!(r#"u {} - "{}" /"#, self.name, self.about)
    }
}

/// Runs `synapse-nginx.service` and rotates its logs.
pub const NGINX: Account = Account {
    name: "synapse-nginx",
    about: "nginx in front of Synapse",
};
/// Runs `synapse-redis.service`.
pub const REDIS: Account = Account {
    name: "synapse-redis",
    about: "Redis between Synapse processes",
};
/// Runs `synapse-prometheus.service`.
pub const PROMETHEUS: Account = Account {
    name: "synapse-prometheus",
    about: "Prometheus for Synapse",
};
/// Runs `synapse-alertmanager.service`.
pub const ALERTMANAGER: Account = Account {
    name: "synapse-alertmanager",
    about: "Delivery of alerts for Synapse",
};
/// Its role in PostgreSQL has the same name.
pub const POSTGRES_EXPORTER: Account = Account {
    name: "synapse-postgres-exporter",
    about: "Metrics of the PostgreSQL that Synapse uses",
};
/// Runs `synapse-coturn.service`, and reads its copy of the certificate.
pub const COTURN: Account = Account {
    name: "synapse-coturn",
    about: "TURN server of Synapse",
};

/// Every account that this program creates, except Synapse's own, whose name and numeric ID are settings.
pub static OURS: &[Account] = &[
    NGINX,
    REDIS,
    PROMETHEUS,
    ALERTMANAGER,
    POSTGRES_EXPORTER,
    COTURN,
];

/// The file that packages install in /usr/lib/sysusers.d: the accounts of all services. Synapse's own account is not
/// included, because its name and number are settings. `install` writes a file of the same name to /etc/sysusers.d,
/// which overrides it.
pub fn sysusers() -> String {
    let mut lines: Vec<String> = OURS.iter().map(Account::line).collect();
    lines.sort();
    format!(
        "# Services beside Synapse; /etc/sysusers.d/synapse-workers.conf counts instead once `install` made it.\n{}\n",
        lines.join("\n")
    )
}

/// The system account and the PostgreSQL role of the database administrator, on Debian and Fedora alike.
pub const POSTGRES: &str = "postgres";

/// The superuser, user ID 0.
pub const ROOT: &str = "root";

/// Describes an account that Synapse must not run as, because an attacker who takes over Synapse would gain the
/// privileges of that account; `None` for any other account.
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

/// Groups whose members control this host, each with the reason. The groups of the [`all_reserved`] accounts are added
/// to these.
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

/// The reason why Synapse must not be a member of this group; `None` if it may.
pub fn privileged_group(name: &str) -> Option<String> {
    let row = PRIVILEGED_GROUPS.iter().find(|(group, _)| *group == name);
    row.map(|(_, why)| (*why).to_owned())
        .or_else(|| Some(format!("it is that of {}", reserved(name)?)))
}

/// The names of all groups that Synapse must not be a member of.
pub fn privileged_groups() -> impl Iterator<Item = &'static str> {
    let named = PRIVILEGED_GROUPS.iter().map(|(group, _)| *group);
    named.chain(all_reserved().filter(|name| *name != ROOT))
}

/// The account as which a unit reads its copy of the certificate and key; `None` if the unit reads no certificate.
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
        assert!(privileged_groups().all(|name| privileged_group(name).is_some()));
        for fine in [
            "synapse",
            "matrix-synapse",
            "nogroup",
            "ssl-cert",
            "www-data",
        ] {
            assert_eq!((reserved(fine), privileged_group(fine)), (None, None));
        }
    }
}
