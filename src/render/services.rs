//! Programs beside Synapse's own processes, each in a unit of its own: when there is one, who it runs as, what it reads.

use super::{Input, Sheaf, nginx, redis};
use crate::plan::names;
use anyhow::Result;

/// One unit that is enabled and running while it is wanted.
pub struct Service {
    /// A service, or the timer or path that starts one.
    pub unit: &'static str,
    /// The system user that it runs as, where it has one of its own.
    pub account: Option<Account>,
    pub wanted: fn(&Input) -> bool,
    /// Adds its unit files and configuration.
    pub(super) render: fn(&mut Sheaf) -> Result<()>,
    /// Its directories, as lines of tmpfiles.d.
    pub directories: &'static [&'static str],
}

/// A system user without a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: &'static str,
    pub about: &'static str,
}

/// Every such unit.
pub static SERVICES: &[Service] = &[
    Service {
        unit: names::NGINX,
        account: Some(Account {
            name: "synapse-nginx",
            about: "nginx in front of Synapse",
        }),
        wanted: |_| true,
        render: nginx::render,
        directories: &["d /var/lib/synapse-workers/nginx 0700 synapse-nginx synapse-nginx -"],
    },
    Service {
        unit: names::REDIS,
        account: Some(Account {
            name: "synapse-redis",
            about: "Redis between Synapse processes",
        }),
        wanted: |input| input.has_workers() && input.settings.redis.host.is_none(),
        render: redis::render,
        directories: &["d /run/synapse-workers/redis 2750 synapse-redis synapse -"],
    },
];

/// Those that these settings ask for.
pub fn wanted<'a>(input: &'a Input) -> impl Iterator<Item = &'static Service> + use<'a> {
    SERVICES.iter().filter(|service| (service.wanted)(input))
}
