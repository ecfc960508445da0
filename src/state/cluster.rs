//! The PostgreSQL cluster of the host, as far as the files of this program in its configuration depend on it.

use super::Admission;
use super::paths::POSTGRES_CLUSTERS;
use std::collections::{BTreeMap, BTreeSet};

/// The name of this program's file with parameters among the configuration files of a cluster.
pub const PARAMETERS: &str = "synapse-workers.conf";

/// The name of this program's file with rules for clients, which `pg_hba.conf` includes.
pub const RULES: &str = "synapse-workers.hba";

/// A cluster in the layout of Debian's packages: its version and its name. Only such a cluster has a file of this
/// program, because PostgreSQL's own answers must not decide on a path that root writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebianCluster {
    version: String,
    name: String,
}

impl DebianCluster {
    /// The cluster with this configuration file, `VERSION/NAME/postgresql.conf` in Debian's directory.
    pub fn of(configuration: &str) -> Option<Self> {
        let place = configuration
            .strip_prefix(POSTGRES_CLUSTERS)?
            .strip_prefix('/')?;
        let (version, place) = place.split_once('/')?;
        let name = place.strip_suffix("/postgresql.conf")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let valid = !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_digit())
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(plain);
        valid.then(|| Self {
            version: version.to_owned(),
            name: name.to_owned(),
        })
    }

    fn place(&self) -> String {
        format!("{POSTGRES_CLUSTERS}/{}/{}", self.version, self.name)
    }

    /// The path of its configuration file.
    pub fn configuration(&self) -> String {
        format!("{}/postgresql.conf", self.place())
    }

    /// The directory of files that its configuration includes.
    pub fn directory(&self) -> String {
        format!("{}/conf.d", self.place())
    }

    /// The path of this program's file with parameters.
    pub fn file(&self) -> String {
        format!("{}/{PARAMETERS}", self.directory())
    }

    /// The path of its own file with rules for clients.
    pub fn own_rules(&self) -> String {
        format!("{}/pg_hba.conf", self.place())
    }

    /// The path of this program's file with rules for clients.
    pub fn rules(&self) -> String {
        format!("{}/{RULES}", self.place())
    }

    /// The path of its server program.
    pub fn program(&self) -> String {
        format!("/usr/lib/postgresql/{}/bin/postgres", self.version)
    }

    /// The unit that runs it (postgresql-common, `pg_ctlcluster`).
    pub fn unit(&self) -> String {
        format!("postgresql@{}-{}.service", self.version, self.name)
    }

    /// The cluster to which a file of this program with parameters belongs.
    pub fn of_file(path: &str) -> Option<Self> {
        Self::beside(path, &format!("conf.d/{PARAMETERS}"))
    }

    /// The cluster to which a file of this program with rules belongs.
    pub fn of_rules(path: &str) -> Option<Self> {
        Self::beside(path, RULES)
    }

    fn beside(path: &str, name: &str) -> Option<Self> {
        let directory = path.strip_suffix(name)?;
        Self::of(&format!("{directory}postgresql.conf"))
    }
}

/// The cluster that serves Synapse's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The path of its configuration file (`config_file`).
    pub configuration: String,
    /// The place of this program's file; `None` if the configuration includes no directory for it.
    pub debian: Option<DebianCluster>,
    /// The parameters to which another file or the command line gives a value other than PostgreSQL's default.
    pub kept: BTreeSet<String>,
    /// The values in use, as PostgreSQL prints them.
    pub current: BTreeMap<String, String>,
    /// Whether its data are on a disk without moving parts; false if that is unknown.
    pub solid_state: bool,
    /// The clients that it admits.
    pub admission: Admission,
}

/// A value of a parameter as a number: bytes if it has a unit of memory (PostgreSQL manual, 19.1.1). A number without a
/// unit is multiplied by `unit`, that of the parameter, such as `8kB`.
pub fn number(value: &str, unit: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 5] = [
        ("kB", 1024.0),
        ("MB", 1_048_576.0),
        ("GB", 1_073_741_824.0),
        ("TB", 1_099_511_627_776.0),
        ("B", 1.0),
    ];
    let with_unit = |text: &str| {
        UNITS.iter().find_map(|(name, factor)| {
            let digits = text.strip_suffix(name)?.trim_end();
            // The unit of a parameter may be a multiple, and a factor of 1 is not written.
            let digits = if digits.is_empty() { "1" } else { digits };
            Some(digits.parse::<f64>().ok()? * factor)
        })
    };
    match value.parse::<f64>() {
        Ok(number) => Some(number * with_unit(unit).unwrap_or(1.0)),
        Err(_) => with_unit(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_debian_clusters_are_accepted() {
        let cluster = DebianCluster::of("/etc/postgresql/17/main/postgresql.conf").unwrap();
        assert_eq!(
            cluster.file(),
            "/etc/postgresql/17/main/conf.d/synapse-workers.conf"
        );
        assert_eq!(cluster.unit(), "postgresql@17-main.service");
        assert_eq!(
            cluster.rules(),
            "/etc/postgresql/17/main/synapse-workers.hba"
        );
        assert_eq!(DebianCluster::of_file(&cluster.rules()), None);
        assert_eq!(DebianCluster::of_rules(&cluster.file()), None);
        assert_eq!(
            DebianCluster::of_rules(&cluster.rules()),
            Some(cluster.clone())
        );
        assert_eq!(DebianCluster::of_file(&cluster.file()), Some(cluster));
        for path in [
            "/var/lib/pgsql/data/postgresql.conf",
            "/etc/postgresql/17/../../cron.d/postgresql.conf",
            "/etc/postgresql/17/../postgresql.conf",
            "/etc/postgresql/17/a/b/postgresql.conf",
            "/etc/postgresql/17//postgresql.conf",
            "/etc/postgresql/x/main/postgresql.conf",
            "/etc/postgresql/17/main/other.conf",
            "/etc/postgresql/17/ma\nin/postgresql.conf",
        ] {
            assert_eq!(DebianCluster::of(path), None, "{path}");
        }
    }

    #[test]
    fn values_are_compared_in_bytes() {
        for (value, unit, bytes) in [
            ("16384", "8kB", 134_217_728.0),
            ("128MB", "8kB", 134_217_728.0),
            ("1GB", "MB", 1_073_741_824.0),
            ("1024", "MB", 1_073_741_824.0),
            ("4096", "kB", 4_194_304.0),
            ("1.1", "", 1.1),
            ("100", "", 100.0),
        ] {
            assert_eq!(number(value, unit), Some(bytes), "{value} {unit}");
        }
        assert_eq!(number("on", ""), None);
    }
}
