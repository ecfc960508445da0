//! The preflight checks: each finds the problem that it is for, and none has a finding on a healthy host.

use super::setup::{Setup, cluster};
use std::collections::BTreeSet;
use synapse_workers::failure::Failure;
use synapse_workers::host::acme::{Certificate, Failed};
use synapse_workers::host::certificate::Pair;
use synapse_workers::host::facts::{Facts, PackageManager, Scope};
use synapse_workers::host::postgres::{Database, Postgres};
use synapse_workers::host::python::MissingPackage;
use synapse_workers::host::requirements::Requirement;
use synapse_workers::preflight::{CHECKS, Examined, examine};
use synapse_workers::settings::types::DatabaseKind;
use synapse_workers::state::admission::Rule;
use synapse_workers::state::host_facts::Installed;
use synapse_workers::state::ports::{BoundPort, Transport};
use synapse_workers::state::{Admission, HostSize, Resource, SynapseVenv};

fn healthy() -> Facts {
    Facts {
        root: true,
        systemd: true,
        synapse: Some(synapse("1.163.2")),
        redis: Some("redis-server"),
        jemalloc: true,
        ipv6: true,
        size: HostSize {
            memory: 16 << 30,
            processors: 16,
            disk: 200 << 30,
            connections: 0,
        },
        free_space: Some(100 << 30),
        open_files: Some(1 << 20),
        cluster: Some(cluster("/etc/postgresql/17/main/postgresql.conf")),
        address: Some(std::net::Ipv4Addr::new(10, 0, 0, 2).into()),
        packages: Some(PackageManager::Apt),
        postgres: Some(Ok(postgres())),
        ..Facts::default()
    }
}

fn synapse(version: &str) -> Installed {
    Installed {
        python: "/usr/bin/python3".into(),
        version: version.to_owned(),
    }
}

fn missing_package(name: &str, versions: &str, found: Option<&str>) -> MissingPackage {
    MissingPackage {
        requirement: Requirement {
            name: name.to_owned(),
            versions: versions.to_owned(),
        },
        found: found.map(str::to_owned),
    }
}

fn used_port(transport: Transport, port: u16, setting: &'static str) -> BoundPort {
    BoundPort {
        transport,
        address: ([0, 0, 0, 0], port).into(),
        unit: "synapse-nginx.service".to_owned(),
        setting,
    }
}

/// A server with room for 24 processes of four connections each.
fn postgres() -> Postgres {
    Postgres {
        version: 170_002,
        max_connections: 100,
        reserved: 3,
        shared_buffers: 2 << 30,
        roles: vec!["synapse".to_owned()],
        databases: vec![database("UTF8", "C")],
    }
}

fn database(encoding: &str, locale: &str) -> Database {
    Database {
        name: "synapse".to_owned(),
        owner: "synapse".to_owned(),
        encoding: encoding.to_owned(),
        collation: locale.to_owned(),
        character_type: locale.to_owned(),
    }
}

/// The names of the checks that have a finding, with its problem and remedy.
fn findings(facts: &Facts, lines: &str, processes: usize) -> Vec<(&'static str, String)> {
    let deployment = Setup::new("synchrotron").settings(lines).deployment();
    let scope = Scope {
        deployment: &deployment,
        units: ["synapse-main.socket", "synapse-warm@host.service"]
            .map(str::to_owned)
            .into(),
        local_database: deployment.database() == DatabaseKind::Local,
        database_is_ours: false,
        ports: Vec::new(),
        held: Vec::new(),
    };
    let examined = Examined {
        facts,
        scope: &scope,
        processes,
    };
    let found = examine(&examined).filter_map(|(check, finding)| Some((check.name, finding?)));
    found
        .map(|(name, finding)| (name, format!("{} => {}", finding.problem, finding.cure)))
        .collect()
}

/// The check of a server that opens its PostgreSQL, and its settings.
const OPENED: (&str, &str) = (
    "PostgreSQL can be opened to the other hosts",
    "address: 10.0.0.1\nhosts: {b: {address: 10.0.0.2, workers: [pusher]}}\ndatabase: {open: true}",
);

fn admission(facts: &mut Facts) -> &mut Admission {
    &mut facts.cluster.as_mut().unwrap().admission
}

#[test]
fn every_check_finds_its_problem() {
    assert_eq!(findings(&healthy(), "", 24), []);
    // The setting asks for a Synapse in our own venv, which a run installs even if the host has an older one of its
    // own.
    let ours = "synapse: {python: /opt/synapse-workers/venv/bin/python}";
    let none = Facts {
        synapse: None,
        ..healthy()
    };
    assert_eq!(findings(&none, ours, 24), []);
    let python = "synapse: {python: /opt/x/bin/python}";
    let mut seen = BTreeSet::new();
    type Damage = fn(&mut Facts);
    let cases: &[(&str, Damage, &str, usize, &str)] = &[
        (
            "coturn has an address to relay from",
            |facts| facts.address = None,
            "coturn: {enabled: true}",
            1,
            "no default route, so its address is unknown => set coturn.internal_ip",
        ),
        (
            "coturn has an address to relay from",
            |_| {},
            "coturn: {enabled: true, external_ip: 2a00::1}",
            1,
            "2a00::1 and 10.0.0.2, the address of this host's default route, are not of the same IP version",
        ),
        (
            "only root can read backup.environment_file",
            |facts| {
                facts.backup_environment = Some(Failure::preflight("open to all").help("chmod"))
            },
            "backup: {repository: /srv/backup, environment_file: /root/backup.env}",
            1,
            "open to all => chmod",
        ),
        (
            "the newest backup is recent",
            |facts| facts.backup_overdue = true,
            "backup: {repository: /srv/backup, max_age: 36h}",
            1,
            "older than backup.max_age, 36h => journalctl -e -u synapse-backup",
        ),
        (
            "the state compressor exists for this processor",
            |facts| facts.processor = "aarch64",
            "compressor: {enabled: true}",
            1,
            "only for x86_64, and this host is aarch64 => set compressor.enabled to false",
        ),
        (
            "Synapse's launcher is installed",
            |facts| facts.lacks_launcher = true,
            "",
            1,
            "package => install the package again; or set sockets.held to false (requests then fail",
        ),
        (
            "Synapse's launcher is installed",
            |facts| facts.lacks_launcher = true,
            "sockets: {held: false}\nmas: {endpoint: 'http://127.0.0.1:8090/'}",
            1,
            "/usr/libexec/synapse-workers/launcher is missing, a part of this program's package => install the package again",
        ),
        (
            "Synapse can start from a fork server",
            |facts| facts.lacks_warm_start = true,
            "warm: {mode: fork}",
            1,
            "/usr/libexec/synapse-workers/warm-start is missing, a part of this program's package => install the package again; \
             or set warm.mode to off",
        ),
        (
            "warm.mode has its effect with Synapse's Python",
            |facts| facts.python_version = Some((3, 11)),
            "warm: {mode: immortal}",
            1,
            "warm.mode is immortal, which here has the effect of fork: CPython is 3.11, and the tests cover 3.12 to 3.13 \
             => set warm.mode to fork",
        ),
        (
            "runs as root",
            |facts| facts.root = false,
            "",
            1,
            "sudo synapse-workers",
        ),
        (
            "booted with systemd",
            |facts| facts.systemd = false,
            "",
            1,
            "render --root DIR",
        ),
        (
            "programs are installed",
            |facts| facts.missing = vec!["nginx", "redis", "psycopg2"],
            "",
            1,
            "missing: nginx, redis, psycopg2 => apt-get install -y nginx redis-server python3-psycopg2 (or:",
        ),
        (
            "programs are installed",
            |facts| (facts.missing, facts.packages) = (vec!["redis"], Some(PackageManager::Dnf)),
            "",
            1,
            "dnf install -y valkey",
        ),
        (
            "programs are installed",
            |facts| (facts.missing, facts.packages) = (vec!["redis"], None),
            "",
            1,
            "this system's package manager",
        ),
        (
            "the Python in synapse.python has Synapse",
            |facts| facts.synapse = None,
            python,
            1,
            "/opt/x/bin/python has no Synapse",
        ),
        (
            "Synapse is recent enough",
            |facts| facts.synapse = Some(synapse("1.99.0")),
            "",
            1,
            "Synapse 1.99.0 at /usr/bin/python3 is older than 1.143, the oldest supported release (2025-11-25) => upgrade \
             it to 1.163.2, or set synapse.python to /opt/synapse-workers/venv/bin/python to have Synapse 1.163.2 installed",
        ),
        (
            "Synapse is recent enough",
            |facts| facts.synapse = None,
            "synapse: {version: 1.142.1}",
            1,
            "Synapse 1.142.1 in synapse.version is older than 1.143, the oldest supported release (2025-11-25) => set \
             synapse.version to 1.163.2",
        ),
        (
            "this program knows the release of Synapse",
            |facts| facts.synapse = Some(synapse("1.164.0")),
            "",
            1,
            "Synapse 1.164.0 at /usr/bin/python3 is newer than 1.163, the newest release that this synapse-workers knows",
        ),
        (
            "the release of Synapse has what the settings need",
            |facts| {
                facts.synapse = Some(synapse("1.161.0"));
                facts.stored.insert("redis_password".to_owned());
            },
            "redis: {host: cache.test, username: synapse}",
            1,
            "redis.username needs Synapse 1.162: Synapse 1.161.0 at /usr/bin/python3 logs in to Redis without a user name \
             => upgrade it to 1.163.2",
        ),
        (
            "ports are free",
            |facts| facts.ports_in_use = vec![used_port(Transport::Tcp, 8009, "http_port")],
            "http_port: 8009",
            1,
            "0.0.0.0 port 8009 (http_port) => find it with: ss -lntup 'sport = :8009'; stop it, or set another http_port",
        ),
        (
            "ports are free",
            |facts| {
                let rival = used_port(Transport::Udp, 3478, "coturn.port");
                let unit = "synapse-coturn.service".to_owned();
                facts.ports_in_use = vec![BoundPort { unit, ..rival }];
            },
            "",
            1,
            "0.0.0.0 UDP port 3478 (coturn.port) => find it with: ss -lntup 'sport = :3478'; stop it (the distribution's \
             service: systemctl disable --now coturn.service), or set another coturn.port",
        ),
        (
            "only root can replace this program",
            |facts| facts.replaceable = Some("/home/joe/synapse-workers".into()),
            "",
            1,
            "an account other than root can replace /home/joe/synapse-workers, which units would run as root, and there is \
             no /usr/bin/synapse-workers that they could run instead => install the package again",
        ),
        (
            "the certificate matches its key",
            |facts| {
                facts.certificate = Some((
                    Pair::default(),
                    Some(Failure::failed("key values mismatch")),
                ))
            },
            "",
            1,
            "key values mismatch => set tls.certificate to the certificate with its chain and tls.key to its key",
        ),
        (
            "the authority issues the certificate",
            |facts| {
                facts.acme = Some(Certificate {
                    failed: Some(Failed {
                        problem: "ca.test answers: a.test port 80 (dns): NXDOMAIN".to_owned(),
                        help: "create an A record".to_owned(),
                    }),
                    ..Certificate::default()
                });
            },
            "tls: {acme: {}}",
            1,
            "tls.acme: placeholder, because the last attempt failed: ca.test answers: a.test port 80 (dns): NXDOMAIN => create an \
             A record; then: synapse-workers install",
        ),
        (
            "nginx can read the web client in nginx.web_root",
            |facts| facts.web_root = Some("/srv/element/index.html does not exist".to_owned()),
            "nginx: {web_root: /srv/element}",
            1,
            "nginx.web_root: /srv/element/index.html does not exist => put the files of the web client into /srv/element",
        ),
        (
            "SELinux is permissive or off",
            |facts| facts.selinux = true,
            "",
            1,
            "SELinux is enforcing, and its policy may keep nginx from the sockets of Synapse's processes => after `install`",
        ),
        (
            "the host has the protocols of bind_addresses",
            |facts| facts.ipv6 = false,
            "bind_addresses: [\"::\"]",
            1,
            "bind_addresses: ::, and IPv6 is disabled",
        ),
        (
            "Synapse's user and group match the settings",
            |_| {},
            "synapse: {user: matrix}",
            1,
            "there is no user matrix => useradd --system",
        ),
        (
            "no other service or administrator uses Synapse's account",
            |facts| {
                (facts.accounts.uid, facts.accounts.same_user) = (Some(0), Some("root"));
            },
            "synapse: {user: toor}",
            1,
            "synapse.user: toor has the user ID of the administrator of this host => leave synapse.user empty",
        ),
        (
            "no other service or administrator uses Synapse's account",
            |facts| facts.accounts.same_user = Some("postgres"),
            "synapse: {uid: 105}",
            1,
            "synapse.uid: 105 is the user ID of the administrator of this host's PostgreSQL => leave synapse.uid empty",
        ),
        (
            "no other service or administrator uses Synapse's account",
            |facts| {
                (facts.accounts.uid, facts.accounts.same_user) = (Some(990), Some("synapse-nginx"));
            },
            "synapse: {user: web}",
            1,
            "web has the user ID of the account of another service (nginx in front of Synapse)",
        ),
        (
            "no other service or administrator uses Synapse's account",
            |facts| facts.accounts.same_group = Some("shadow"),
            "synapse: {gid: 42}",
            1,
            "synapse.gid: 42 is the group shadow, and its members read the passwords of this host => choose another",
        ),
        (
            "no other service or administrator uses Synapse's account",
            |facts| (facts.accounts.gid, facts.accounts.same_group) = (Some(0), Some("root")),
            "",
            1,
            "the group synapse has the group ID of root",
        ),
        (
            "no other service or administrator uses Synapse's account",
            |facts| facts.accounts.privileged_groups = vec!["docker", "synapse-redis"],
            "",
            1,
            "synapse is in the group docker, and its members may become root, by a container => gpasswd --delete synapse docker",
        ),
        (
            "Synapse's user and group match the settings",
            |facts| facts.accounts.uid = Some(991),
            "synapse: {uid: 612}",
            1,
            "synapse.uid: 612, but the user synapse already has the number 991 => set synapse.uid to 991",
        ),
        (
            "Synapse's user and group match the settings",
            |facts| facts.accounts.gid_holder = Some("www-data".to_owned()),
            "synapse: {gid: 33}",
            1,
            "synapse.gid: 33 is already the number of www-data",
        ),
        (
            "the directory of nginx's Unix socket belongs to nginx",
            |facts| facts.socket_owner = Some("root".to_owned()),
            "nginx: {listen_unix_socket: /run/caddy/nginx.sock}",
            1,
            "the directory of /run/caddy/nginx.sock exists and belongs to root => choose a directory that does not exist",
        ),
        (
            "the media store belongs to Synapse",
            |facts| facts.media_owner = Some("www-data".to_owned()),
            "media_store_path: /srv/files",
            1,
            "/srv/files exists and belongs to www-data => set it to a directory that does not exist, such as /srv/files/synapse",
        ),
        (
            "PostgreSQL answers",
            |facts| facts.postgres = Some(Err("no socket".to_owned())),
            "",
            1,
            "no socket => systemctl start postgresql",
        ),
        (
            "PostgreSQL answers",
            |facts| {
                facts.postgres = Some(Err("FATAL:  database \"matrix\" does not exist".to_owned()))
            },
            "database: {host: db.test, port: 5433, name: matrix, user: me}",
            1,
            "PostgreSQL at db.test port 5433 rejects Synapse's connection: FATAL:  database \"matrix\" does not exist => \
             on the database's host: sudo -u postgres createdb --encoding=UTF8 --locale=C --template=template0 --owner=me matrix",
        ),
        (
            "PostgreSQL answers",
            |facts| {
                facts.postgres = Some(Err(
                    "FATAL:  password authentication failed for user \"me\"".to_owned(),
                ))
            },
            "database: {host: db.test, user: me}",
            1,
            "set database.password_file, or set POSTGRES_PASSWORD once, in the environment or an --env-file; \
             if the role is missing, on the database's host: sudo -u postgres createuser --pwprompt me && \
             sudo -u postgres createdb",
        ),
        (
            "PostgreSQL answers",
            |facts| facts.postgres = Some(Err("connection refused".to_owned())),
            "database: {host: db.test}",
            1,
            "check database.host and database.port",
        ),
        (
            "secrets that cannot be generated are provided",
            |_| {},
            "registration: {enabled: true, recaptcha_public_key: k}",
            1,
            "the recaptcha private key is not provided => set SYNAPSE_RECAPTCHA_PRIVATE_KEY once",
        ),
        (
            "secrets that cannot be generated are provided",
            |_| {},
            "email: {enabled: true, smtp_user: me}",
            1,
            "the smtp password is not provided => set email.smtp_password_file, or set SYNAPSE_EMAIL_SMTP_PASS",
        ),
        (
            "secrets that cannot be generated are provided",
            |_| {},
            "redis: {host: r.test, username: me}",
            1,
            "the redis password is not provided => set redis.password_file",
        ),
        (
            "files of secrets contain a secret",
            |facts| facts.unusable = vec![("redis_password", "/etc/pw is missing".to_owned())],
            "redis: {host: r.test, password_file: /etc/pw}",
            1,
            "/etc/pw is missing => write the secret into it",
        ),
        (
            "the Matrix Authentication Service answers",
            |facts| facts.silent_mas = Some("Connection refused (os error 111)".to_owned()),
            "mas: {endpoint: \"http://127.0.0.1:8090/\"}",
            1,
            "mas.endpoint: http://127.0.0.1:8090/ does not answer: Connection refused (os error 111) => start the Matrix \
             Authentication Service, or correct mas.endpoint",
        ),
        (
            "Synapse's Python has the packages that the settings need",
            |facts| {
                facts.missing_packages = vec![missing_package(
                    "beautifulsoup4",
                    ">=4.13.0",
                    Some("4.11.2"),
                )]
            },
            "url_previews: {enabled: true}",
            1,
            "Synapse 1.163.2 at /usr/bin/python3 lacks packages that the settings need: beautifulsoup4>=4.13.0 (it has 4.11.2) => \
             apt-get install python3-bs4, or: /usr/bin/python3 -m pip install 'beautifulsoup4>=4.13.0'",
        ),
        (
            "Synapse's Python has the packages that the settings need",
            |facts| {
                facts.synapse = Some(Installed {
                    python: "/srv/env/bin/python".into(),
                    ..synapse("1.163.2")
                });
                facts.python_owner = Some("matrix".to_owned());
                facts.missing_packages = vec![
                    missing_package("hiredis", ">=0.3", None),
                    missing_package("psycopg2", ">=2.8", None),
                ];
            },
            "",
            2,
            "lacks packages that the settings need: hiredis>=0.3, psycopg2>=2.8 => \
             sudo -u matrix /srv/env/bin/python -m pip install 'hiredis>=0.3' 'psycopg2-binary>=2.8'",
        ),
        (
            "Synapse's Python has the packages that the settings need",
            |facts| facts.missing_packages = vec![missing_package("some-module", "==1.0", None)],
            "synapse: {packages: [some-module==1.0]}",
            1,
            "lacks packages that the settings need: some-module==1.0 => /usr/bin/python3 -m pip install 'some-module==1.0', or \
             set synapse.python to /opt/synapse-workers/venv/bin/python",
        ),
        (
            "Synapse and the state compressor are intact",
            |facts| {
                let venv = Resource::Venv(SynapseVenv::base("1.163.2"));
                facts.damaged = vec![(venv, "it lacks authlib".to_owned())];
            },
            "",
            1,
            "Synapse 1.163.2 in /opt/synapse-workers/venv-1.163.2 is damaged: it lacks authlib => synapse-workers install",
        ),
        (
            "the external Redis answers",
            |facts| facts.external_redis = Some(Err("Redis answers WRONGPASS".to_owned())),
            "redis: {host: r.test, port: 6380, tls: true}",
            1,
            "redis.host: r.test port 6380 does not serve Synapse: Redis answers WRONGPASS => check redis.host",
        ),
        (
            "PostgreSQL has enough connections for all processes",
            |_| {},
            "database: {host: db.test}",
            25,
            "on the database's host: sudo -u postgres psql -c 'alter system",
        ),
        (
            "the host has memory for all processes",
            |facts| facts.size.memory = 2 << 30,
            "",
            21,
            "21 processes of Synapse need about 3312 MiB of memory, with PostgreSQL and the system, and this host has 2048 MiB \
             => the preset small fits this host: synapse-workers install --preset small",
        ),
        (
            "the host has memory for all processes",
            |facts| facts.size.memory = 1 << 30,
            "",
            4,
            "need about 1102 MiB of memory, with PostgreSQL and the system, and this host has 1024 MiB => no preset fits",
        ),
        (
            "the host has processors for all processes",
            |facts| facts.size.processors = 2,
            "",
            9,
            "9 processes of Synapse share 2 processors, more than 3 processes for each => the preset small fits this host",
        ),
        (
            "PostgreSQL uses the memory of this host",
            |facts| {
                facts.postgres = Some(Ok(Postgres {
                    shared_buffers: 128 << 20,
                    ..postgres()
                }))
            },
            "",
            9,
            "shared_buffers of 128 MB, its default, for 9 processes of Synapse => synapse-workers install --tune-database && \
             systemctl restart postgresql@17-main.service; it writes these lines to \
             /etc/postgresql/17/main/conf.d/synapse-workers.conf:\n        shared_buffers = 4GB\n        effective_cache_size = 8GB",
        ),
        (
            "PostgreSQL uses the memory of this host",
            |facts| {
                facts.cluster = Some(cluster("/var/lib/pgsql/data/postgresql.conf"));
                facts.postgres = Some(Ok(Postgres {
                    shared_buffers: 128 << 20,
                    ..postgres()
                }))
            },
            "",
            9,
            "=> append these lines to /var/lib/pgsql/data/postgresql.conf, and restart PostgreSQL:\n        shared_buffers = 4GB",
        ),
        (
            "PostgreSQL can be tuned by a file",
            |_| {},
            "database: {tune: true, host: db.test}",
            1,
            "database.kind is external, so PostgreSQL of this host is not used => set database.tune to false",
        ),
        (
            "PostgreSQL can be tuned by a file",
            |facts| facts.cluster = Some(cluster("/var/lib/pgsql/data/postgresql.conf")),
            "database: {tune: true}",
            1,
            "includes no directory conf.d in /etc/postgresql for a file of this program => set database.tune to false, append \
             these lines to /var/lib/pgsql/data/postgresql.conf yourself",
        ),
        (
            "PostgreSQL can be tuned by a file",
            |facts| facts.cluster = None,
            "database: {tune: true}",
            1,
            "does not answer the query for its configuration => sudo -u postgres psql -c 'table pg_file_settings'",
        ),
        (
            "PostgreSQL has read the file of database.tune",
            |facts| facts.tuned = true,
            "database: {tune: true}",
            1,
            "PostgreSQL still has shared_buffers = 128MB, and /etc/postgresql/17/main/conf.d/synapse-workers.conf has 4GB => \
             systemctl restart postgresql@17-main.service",
        ),
        (
            "nginx can open as many files as it needs",
            |facts| facts.open_files = Some(1024),
            "",
            1,
            "nginx needs a limit of 65536 open files, and the kernel allows 1024 (fs.nr_open) => sysctl -w fs.nr_open=65536",
        ),
        (
            "the host has space for Synapse and its metrics",
            |facts| facts.free_space = Some(100 << 20),
            "",
            1,
            "has 100 MiB of free space, and a server without users needs 1024 MiB => free space there",
        ),
        (
            "the host has space for Synapse and its metrics",
            |facts| facts.size.disk = 12 << 30,
            "metrics: {enabled: true, retention_size: 8G}",
            1,
            "stored metrics may take 8 GiB of the 12 GiB of the file system with /var/lib => set metrics.retention_size to auto",
        ),
        (
            "PostgreSQL is recent enough",
            |facts| {
                facts.postgres = Some(Ok(Postgres {
                    version: 130_011,
                    ..postgres()
                }))
            },
            "",
            1,
            "PostgreSQL 13 is older than 14",
        ),
        (
            "PostgreSQL has enough connections for all processes",
            |_| {},
            "",
            25,
            "25 processes with database.cp_max 4 need 100 connections, and PostgreSQL allows 97 => \
             sudo -u postgres psql -c 'alter system set max_connections = 113'",
        ),
        (
            "PostgreSQL has enough connections for all processes",
            |_| {},
            "database: {cp_max: 10}",
            10,
            "need 100 connections",
        ),
        (
            "the database meets Synapse's requirements",
            |facts| {
                let databases = vec![database("UTF8", "en_US.UTF-8")];
                facts.postgres = Some(Ok(Postgres {
                    databases,
                    ..postgres()
                }));
            },
            "",
            1,
            "collation en_US.UTF-8",
        ),
        (
            "the database meets Synapse's requirements",
            |facts| facts.database_used = true,
            "",
            1,
            "contains a Synapse that synapse-workers did not create",
        ),
        (
            "the database meets Synapse's requirements",
            |_| {},
            "database: {user: other}",
            1,
            "database synapse belongs to synapse, not to other",
        ),
        (
            OPENED.0,
            |facts| facts.cluster = None,
            OPENED.1,
            1,
            "does not answer the query for its configuration => sudo -u postgres psql",
        ),
        (
            OPENED.0,
            |facts| admission(facts).encrypts = false,
            OPENED.1,
            1,
            "switched off (ssl = off) => set ssl = on, ssl_cert_file and ssl_key_file in \
             /etc/postgresql/17/main/postgresql.conf, and restart PostgreSQL; or",
        ),
        (
            OPENED.0,
            |facts| {
                admission(facts).rules = vec![Rule {
                    line_number: 7,
                    error: Some("invalid connection type".to_owned()),
                    ..Rule::default()
                }]
            },
            OPENED.1,
            1,
            "PostgreSQL cannot read line 7 of /etc/postgresql/17/main/pg_hba.conf: invalid connection type => correct the line",
        ),
        (
            OPENED.0,
            |facts| {
                admission(facts).rules = vec![Rule {
                    line_number: 9,
                    kind: Some("host".to_owned()),
                    database: Some(vec!["all".to_owned()]),
                    user_name: Some(vec!["all".to_owned()]),
                    address: Some("all".to_owned()),
                    auth_method: Some("reject".to_owned()),
                    ..Rule::default()
                }]
            },
            OPENED.1,
            1,
            "line 9 of /etc/postgresql/17/main/pg_hba.conf (method reject) decides about connections from 10.0.0.2 before a \
             line at the end could admit them => add these lines above it, then: systemctl reload postgresql\n        \
             hostssl \"synapse\" \"synapse\" 10.0.0.2/32 scram-sha-256",
        ),
        (
            OPENED.0,
            |facts| admission(facts).version = 150_004,
            OPENED.1,
            1,
            "cannot include a file of this program, for which it needs PostgreSQL 16 and Debian's layout => append these lines \
             to /etc/postgresql/17/main/pg_hba.conf yourself, then: systemctl reload postgresql\n        hostssl \"synapse\"",
        ),
        (
            OPENED.0,
            |facts| admission(facts).problem = Some("is a symbolic link".to_owned()),
            OPENED.1,
            1,
            "/etc/postgresql/17/main/pg_hba.conf is a symbolic link => append these lines",
        ),
        (
            OPENED.0,
            |facts| admission(facts).overriding = Some("/srv/postgresql.auto.conf".to_owned()),
            OPENED.1,
            1,
            "listen_addresses is set in /srv/postgresql.auto.conf => set listen_addresses = 'localhost, 10.0.0.1' there, and \
             restart PostgreSQL",
        ),
        (
            OPENED.0,
            |facts| {
                facts.cluster.as_mut().unwrap().debian = None;
                admission(facts).rules = vec![Rule {
                    kind: Some("hostssl".to_owned()),
                    database: Some(vec!["synapse".to_owned()]),
                    user_name: Some(vec!["synapse".to_owned()]),
                    address: Some("10.0.0.2".to_owned()),
                    netmask: Some("255.255.255.255".to_owned()),
                    auth_method: Some("scram-sha-256".to_owned()),
                    ..Rule::default()
                }];
            },
            OPENED.1,
            1,
            "PostgreSQL does not listen on 10.0.0.1, and /etc/postgresql/17/main/postgresql.conf includes no directory conf.d \
             in /etc/postgresql for a file of this program => append the line listen_addresses = 'localhost, 10.0.0.1' to",
        ),
        (
            "jemalloc is installed",
            |facts| facts.jemalloc = false,
            "",
            1,
            "apt-get install libjemalloc2",
        ),
    ];
    for (name, damage, lines, processes, message) in cases {
        let mut facts = healthy();
        damage(&mut facts);
        let found = findings(&facts, lines, *processes);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(
            found[0].0 == *name && found[0].1.contains(message),
            "{name}: {found:?}"
        );
        seen.insert(*name);
    }
    let all: BTreeSet<&str> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(seen, all, "a case for every check");
}

#[test]
fn conditions_that_the_settings_do_not_need_are_no_finding() {
    let mut facts = healthy();
    facts.jemalloc = false;
    assert_eq!(findings(&facts, "synapse: {jemalloc: false}", 1), []);
    // PostgreSQL can be opened, or the administrator has done it.
    assert_eq!(findings(&healthy(), OPENED.1, 1), []);
    let mut facts = healthy();
    facts.cluster = Some(cluster("/var/lib/pgsql/data/postgresql.conf"));
    admission(&mut facts).listening = "*".to_owned();
    admission(&mut facts).rules = vec![Rule {
        kind: Some("host".to_owned()),
        database: Some(vec!["synapse".to_owned()]),
        user_name: Some(vec!["synapse".to_owned()]),
        address: Some("10.0.0.0".to_owned()),
        netmask: Some("255.0.0.0".to_owned()),
        auth_method: Some("md5".to_owned()),
        ..Rule::default()
    }];
    assert_eq!(findings(&facts, OPENED.1, 1), []);
    // Existing secrets, secrets that no setting needs yet, and a role on an external server that owns no database.
    let mut facts = healthy();
    facts.stored.insert("recaptcha_private_key".to_owned());
    let captcha = "registration: {enabled: true, recaptcha_public_key: k}";
    assert_eq!(findings(&facts, captcha, 1), []);
    let unused = "registration: {recaptcha_public_key: k}\nemail: {smtp_user: me}";
    assert_eq!(findings(&healthy(), unused, 1), []);
    let external = "database: {host: db.test, user: other}";
    assert_eq!(findings(&healthy(), external, 1), []);
    // Without IPv6, the default addresses are those of IPv4.
    let mut facts = healthy();
    facts.ipv6 = false;
    assert_eq!(findings(&facts, "", 1), []);
    // A host of unknown size.
    let mut facts = healthy();
    (facts.postgres, facts.size.memory, facts.size.processors) = (None, 0, 0);
    assert_eq!(findings(&facts, "", 200), []);
    let mut facts = healthy();
    (facts.missing, facts.postgres) = (vec!["postgresql"], Some(Err("no psql".to_owned())));
    assert_eq!(findings(&facts, "", 1).len(), 1);
    // The accounts match the settings.
    let mut facts = healthy();
    (facts.accounts.uid, facts.accounts.uid_holder) = (Some(612), Some("matrix".to_owned()));
    assert_eq!(findings(&facts, "synapse: {user: matrix, uid: 612}", 1), []);
    // The properties of a database that Synapse does not use do not matter.
    let mut facts = healthy();
    let databases = vec![database("LATIN1", "C")];
    facts.postgres = Some(Ok(Postgres {
        databases,
        ..postgres()
    }));
    assert_eq!(findings(&facts, "database: {name: other}", 1), []);
}
