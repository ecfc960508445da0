//! Several hosts: the addresses between them, and what the processes of another host than the first need.

use super::Deployment;
use super::extras::{has, names_module};
use crate::pyyaml;
use crate::settings::types::{OtherHost, is_loopback, unbracketed};
use crate::topology::roles::Sends;
use crate::topology::{Duty, RoutingTable, Worker};
use std::net::IpAddr;

/// The option of Synapse that names modules which store media.
const PROVIDERS: &str = "media_storage_providers";

/// The beginning of the name of the module that stores media in S3 (matrix-org/synapse-s3-storage-provider).
const S3: &str = "s3_storage_provider.";

/// The options of Synapse that load modules into every process (config/modules.py and the older ways).
const MODULES: [&str; 4] = [
    "modules",
    "password_providers",
    "spam_checker",
    "third_party_event_rules",
];

/// Workers that cannot work where they are: the problem and the remedy.
pub struct Misplaced {
    /// The problem, which names the worker.
    pub problem: String,
    /// What the administrator does.
    pub help: &'static str,
}

impl Deployment {
    /// Whether there are other hosts than the first.
    pub fn has_other_hosts(&self) -> bool {
        !self.settings.hosts.is_empty()
    }

    /// Whether the settings name other hosts than the first, even if all of them are left out.
    pub fn names_other_hosts(&self) -> bool {
        self.has_other_hosts() || !self.left_out.is_empty()
    }

    /// The names of the hosts that are left out.
    pub fn names_left_out(&self) -> Vec<String> {
        let left_out = self.left_out.iter();
        left_out.map(|host| host.name.clone()).collect()
    }

    /// The addresses of all hosts, the first host first; none if there is no other host.
    pub fn cluster_addresses(&self) -> Vec<IpAddr> {
        let hosts = self.settings.hosts.all();
        let first = self.settings.address.filter(|_| !hosts.is_empty());
        first
            .into_iter()
            .chain(hosts.iter().map(|host| host.address))
            .collect()
    }

    /// The addresses of the services that every process of Synapse uses, besides its own. `None` if one of them has a
    /// name: its address can change, and the servers that resolve it are not known.
    pub fn service_addresses(&self) -> Option<Vec<IpAddr>> {
        let settings = &self.settings;
        let mas = settings.mas.endpoint.as_ref();
        let mas = mas.map(|url| url.address());
        let hosts = [
            settings.database.host.as_ref().map(|host| host.as_str()),
            settings.redis.host.as_ref().map(|host| host.as_str()),
        ];
        let hosts = hosts.into_iter().flatten();
        let addresses = hosts.map(|host| unbracketed(host).parse().ok());
        addresses.chain(mas).collect()
    }

    /// The number of Synapse's processes on a host, given by its name; `None` for the first host, which has main.
    pub fn processes_on(&self, host: Option<&str>) -> usize {
        self.topology.on(host).count() + usize::from(host.is_none())
    }

    /// Whether this program's own Redis serves other hosts too, and therefore asks for a password.
    pub fn opens_redis(&self) -> bool {
        self.has_other_hosts() && self.has_workers() && self.settings.redis.host.is_none()
    }

    /// Whether nginx sends this request to a process on this host, given by its name.
    pub(super) fn answers_on(&self, host: &str, method: &str, path: &str) -> bool {
        let table = RoutingTable::new(&self.topology, self.logins());
        let (_, upstream) = table.pick(method, path);
        self.topology
            .on(Some(host))
            .any(|worker| upstream.servers.contains(&worker.name))
    }

    /// Whether a process on this host, given by its name, sends e-mail: notifications (push/mailer.py), renewals of
    /// accounts (handlers/account_validity.py), and what a module sends (module_api). The requests for e-mails that
    /// verify addresses go to main alone (rest/client/account.py, rest/client/register.py).
    pub(super) fn mails_from(&self, host: &str) -> bool {
        let has_modules = MODULES.iter().any(|option| has(self, option));
        has_modules || self.topology.on(Some(host)).any(sends_mail)
    }

    /// Whether a process on this host, given by its name, reads the directory of media: a worker for media, or any
    /// worker if main serves media, because Synapse then creates the directory in every process (config/repository.py).
    pub fn reads_media(&self, host: &OtherHost) -> bool {
        let mut media = self.topology.with_duty(Duty::Media).peekable();
        let main_serves = media.peek().is_none();
        main_serves || media.any(|worker| worker.host.as_deref() == Some(&host.name))
    }

    /// The first worker on another host that lacks what its role needs there.
    pub fn misplaced(&self) -> Option<Misplaced> {
        let all = self.topology.workers.iter();
        let remote: Vec<&Worker> = all.filter(|worker| worker.host.is_some()).collect();
        let mut rules = PLACES.iter();
        rules.find_map(|rule| rule(self, &remote))
    }

    fn stores_media_in_s3(&self) -> bool {
        let providers = self.option(PROVIDERS);
        providers.is_some_and(|providers| names_module(&providers, S3))
    }
}

fn sends_mail(worker: &Worker) -> bool {
    let duties = [Duty::Pusher, Duty::BackgroundTasks].map(Some);
    worker.roles.iter().any(|role| duties.contains(&role.duty))
}

/// One condition on the workers of other hosts.
type Rule = fn(&Deployment, &[&Worker]) -> Option<Misplaced>;

/// What workers need on their host, in the order in which it is checked.
static PLACES: [Rule; 3] = [
    |deployment, remote| {
        let media = |worker: &&&Worker| {
            worker
                .roles
                .iter()
                .any(|role| role.duty == Some(Duty::Media))
        };
        let shared = deployment.settings.media_store_shared || deployment.stores_media_in_s3();
        let worker = remote.iter().find(media).filter(|_| !shared)?;
        Some(Misplaced {
            problem: format!(
                "the worker {} would store media on its own host, where no other process finds them",
                worker.name
            ),
            help: "mount the same directory at `media_store_path` on every host with a media_repository worker and set \
                   `media_store_shared` to true, or store media in S3 with `media_storage_providers` in \
                   /etc/synapse-workers/homeserver.d, or move the worker to the first host",
        })
    },
    |deployment, remote| {
        let email = &deployment.settings.email;
        let local = email.enabled && is_loopback(email.smtp_host.as_str());
        let worker = remote.iter().find(|worker| local && sends_mail(worker))?;
        Some(Misplaced {
            problem: format!(
                "the worker {} sends e-mail from its own host, but `email.smtp_host` is {}, a mail server on the first \
                 host",
                worker.name, email.smtp_host
            ),
            help: "set `email.smtp_host` to the name of a mail server that every host can reach, or move the worker to \
                   the first host",
        })
    },
    |deployment, remote| {
        let mut services = deployment.referenced.app_services.iter();
        let (path, url) = services.find_map(|(path, text)| Some((path, local_url(text)?)))?;
        let asks = |worker: &&&Worker| {
            let mut roles = worker.roles.iter();
            roles.any(|role| role.asks_app_services || role.sends == Sends::ToAppServices)
        };
        let worker = remote.iter().find(asks)?;
        Some(Misplaced {
            problem: format!(
                "the worker {} sends requests to application services from its own host, but the `url` in {path} is \
                 {url}, on the first host",
                worker.name
            ),
            help: "use an address in the registration that every host can reach, or move the worker to the first host",
        })
    },
];

/// The URL of an application service, if it leads to the host that uses it.
fn local_url(registration: &[u8]) -> Option<String> {
    let keys = pyyaml::options(registration).ok()?.mapping;
    let url = keys.get("url")?.as_str()?;
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    is_loopback(host).then(|| url.to_owned())
}
