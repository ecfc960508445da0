//! The fixture of these tests: settings with a worker spec, on a host with certain host facts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use synapse_workers::deployment::adopted::Adopted;
use synapse_workers::deployment::locations::LocationFile;
use synapse_workers::deployment::{Deployment, ReferencedFiles, SynapseOptions};
use synapse_workers::render::{Input, desired};
use synapse_workers::settings::{Loaded, Settings, SettingsError, Sources, load};
use synapse_workers::state::cluster::DebianCluster;
use synapse_workers::state::host_facts::Installed;
use synapse_workers::state::{Admission, Cluster, HostFacts, State};
use synapse_workers::topology::{Topology, spec};

/// Worker specs: none, every preset, merged and sharded workers, and each kind of list that Synapse's processes share.
pub const SPECS: &[&str] = &[
    "",
    "full",
    "small",
    "medium",
    "large",
    "one=synchrotron+event_persister+typing+pusher+federation_sender+media_repository+user_dir",
    "event_persister:3, receipts:2, device_lists:2, pusher:2, federation_sender:2, media_repository:2, synchrotron:2",
    "a=appservice+client_reader, b=background_worker, c=user_dir+federation_reader, sso_login, mas_helper, frontend_proxy",
];

/// Everything that rendering reads.
#[derive(Clone, Debug)]
pub struct Setup {
    settings: String,
    env_file: String,
    /// The worker spec, or `None` if the settings contain it.
    workers: Option<String>,
    /// The hosts that are left out.
    without: Vec<String>,
    pub homeserver_d: SynapseOptions,
    pub referenced: ReferencedFiles,
    pub adopted: Adopted,
    pub facts: HostFacts,
}

impl Setup {
    /// Default settings with these workers.
    pub fn new(workers: &str) -> Self {
        Self {
            workers: Some(workers.to_owned()),
            ..Self::of("server_name: example.test\n")
        }
    }

    /// The settings of a settings file.
    pub fn of(settings: &str) -> Self {
        Self {
            settings: settings.to_owned(),
            env_file: String::new(),
            workers: None,
            without: Vec::new(),
            homeserver_d: SynapseOptions::new(),
            referenced: ReferencedFiles::default(),
            adopted: Adopted::default(),
            facts: HostFacts::default(),
        }
    }

    /// Adds lines to the settings file.
    pub fn settings(mut self, lines: &str) -> Self {
        self.settings.push_str(lines);
        self.settings.push('\n');
        self
    }

    /// Leaves hosts out.
    pub fn without(mut self, hosts: &[String]) -> Self {
        self.without = hosts.to_vec();
        self
    }

    /// Sets an env-file, which then provides the workers too.
    pub fn env_file(mut self, text: &str) -> Self {
        self.env_file = text.to_owned();
        self
    }

    /// Adds a file of homeserver.d options.
    pub fn own(mut self, name: &str, contents: &str) -> Self {
        self.homeserver_d.insert(name.to_owned(), contents.into());
        self
    }

    /// Adds the registration of an application service at this path.
    pub fn app_service(mut self, path: &str, contents: &str) -> Self {
        let services = &mut self.referenced.app_services;
        services.insert(path.to_owned(), contents.into());
        self
    }

    /// Adds a log configuration of the administrator.
    pub fn log_config(mut self, contents: &str) -> Self {
        self.referenced.log_config = Some(contents.into());
        self
    }

    /// Adds a file with locations of nginx.
    pub fn locations(mut self, path: &str, text: &str) -> Self {
        let file = LocationFile::new(path.to_owned(), text.to_owned(), |_| None);
        let file = file.unwrap_or_else(|problem| panic!("{problem}"));
        self.referenced.locations.push(file);
        self
    }

    /// Adopts an existing server that has this one configuration file and a service.
    pub fn adopting(mut self, contents: &str) -> Self {
        let files = vec![("/etc/old/homeserver.yaml".to_owned(), contents.into())];
        self.adopted = Adopted::new(files).unwrap();
        self.settings("adopt: {config: [/etc/old/homeserver.yaml], service: old.service}")
    }

    /// Gives the host a Synapse that is installed for this Python.
    pub fn python(mut self, python: impl Into<PathBuf>) -> Self {
        self.facts.synapse = Some(Installed {
            python: python.into(),
            version: "1.163.2".to_owned(),
        });
        self
    }

    /// Adds an existing secret.
    pub fn secret(mut self, name: &str) -> Self {
        self.facts.secrets.insert(name.to_owned());
        self
    }

    pub fn state(&self) -> State {
        self.with_input(|input| desired(input).unwrap())
    }

    /// Calls `read` with everything that rendering reads.
    pub fn with_input<T>(&self, read: impl FnOnce(&Input) -> T) -> T {
        read(&Input::new(&self.deployment(), &self.facts))
    }

    /// The state of another host, given by its name.
    pub fn state_on(&self, host: &str) -> State {
        self.with_input_on(host, |input| desired(input).unwrap())
    }

    /// Like `with_input`, for another host.
    pub fn with_input_on<T>(&self, host: &str, read: impl FnOnce(&Input) -> T) -> T {
        let deployment = self.deployment().on_host(host);
        assert!(deployment.settings.hosts.named(host).is_some(), "{host}");
        read(&Input::new(&deployment, &self.facts))
    }

    pub fn deployment(&self) -> Deployment {
        let mut loaded = self.load().unwrap_or_else(|error| panic!("{error}"));
        loaded
            .leave_out(&self.without)
            .unwrap_or_else(|error| panic!("{error}"));
        let settings = loaded.settings;
        let specs = spec::parse(&settings.workers.0).unwrap();
        let topology = Topology::of_hosts(specs, &settings.hosts).unwrap();
        Deployment {
            host: None,
            left_out: loaded.left_out,
            handed: BTreeMap::new(),
            settings,
            topology,
            homeserver_d: self.homeserver_d.clone(),
            referenced: self.referenced.clone(),
            adopted: self.adopted.clone(),
            existing_database: None,
        }
    }

    pub fn try_settings(&self) -> Result<Settings, String> {
        let loaded = self.load().map_err(|error| error.to_string());
        loaded.map(|loaded| loaded.settings)
    }

    fn load(&self) -> Result<Loaded, SettingsError> {
        let sources = Sources {
            file: Some((Path::new("settings.yaml"), &self.settings)),
            env_file: Some((Path::new("x.env"), &self.env_file)),
            environment: &BTreeMap::new(),
            flags: match &self.workers {
                Some(workers) if self.env_file.is_empty() => {
                    &[("--workers", "workers", workers.clone())]
                }
                _ => &[],
            },
        };
        load(&sources)
    }
}

/// A PostgreSQL cluster with the defaults of PostgreSQL and this configuration file.
pub fn cluster(configuration: &str) -> Cluster {
    let defaults = [
        ("shared_buffers", "128MB"),
        ("effective_cache_size", "4GB"),
        ("max_connections", "100"),
        ("work_mem", "4MB"),
        ("maintenance_work_mem", "64MB"),
        ("random_page_cost", "4"),
        ("max_wal_size", "1GB"),
    ];
    Cluster {
        configuration: configuration.to_owned(),
        debian: DebianCluster::of(configuration),
        kept: BTreeSet::new(),
        current: defaults
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        solid_state: true,
        admission: Admission {
            version: 170_004,
            listening: "localhost".to_owned(),
            configured: "localhost".to_owned(),
            encrypts: true,
            file: configuration.replace("postgresql.conf", "pg_hba.conf"),
            ..Admission::default()
        },
    }
}

/// The text of one rendered file.
pub fn text<'a>(state: &'a State, path: &str) -> &'a str {
    let file = &state.files.get(path).unwrap_or_else(|| panic!("no {path}"));
    std::str::from_utf8(&file.contents).unwrap()
}
