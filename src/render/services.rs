//! Auxiliary services, each in its own unit: the condition for its existence, its account and the files that it reads.

use super::{
    Input, StateBuilder, certificate, compressor, coturn, logrotate, metrics, nginx, redis,
};
use crate::state::accounts::{self, Account};
use crate::state::units;
use anyhow::Result;

/// One unit that is enabled and running while its condition holds.
pub struct Service {
    /// The name of the service, or of the timer or path unit that starts it.
    pub unit: &'static str,
    /// The system user that it runs as, if it has its own.
    pub account: Option<Account>,
    pub wanted: fn(&Input) -> bool,
    /// Adds its unit files and configuration to the desired state.
    pub(super) render: fn(&mut StateBuilder) -> Result<()>,
    /// Its directories and their required contents, as lines of tmpfiles.d. The directories are removed together with
    /// the service.
    pub directories: &'static [&'static str],
}

impl Service {
    /// The paths of its directories.
    pub fn own_directories(&self) -> impl Iterator<Item = &'static str> {
        let lines = self.directories.iter();
        lines.filter_map(|line| line.strip_prefix("d ")?.split(' ').next())
    }
}

/// The file that packages install in /usr/lib/sysusers.d: the accounts of all services. Synapse's own account is not
/// included, because its name and number are settings. `install` writes a file of the same name to /etc/sysusers.d,
/// which overrides it.
pub fn accounts() -> String {
    let mut lines: Vec<String> = accounts::OURS.iter().map(Account::line).collect();
    lines.sort();
    format!(
        "# Services beside Synapse; /etc/sysusers.d/synapse-workers.conf counts instead once `install` made it.\n{}\n",
        lines.join("\n")
    )
}

/// All auxiliary services.
pub static SERVICES: &[Service] = &[
    Service {
        unit: units::NGINX,
        account: Some(accounts::NGINX),
        wanted: |_| true,
        render: nginx::render,
        directories: &[
            "d /var/lib/synapse-workers/nginx 0700 synapse-nginx synapse-nginx -",
            "d /var/log/synapse-workers 0755 root root -",
        ],
    },
    Service {
        unit: units::REDIS,
        account: Some(accounts::REDIS),
        wanted: |input| input.has_workers() && input.settings.redis.host.is_none(),
        render: redis::render,
        directories: &["d /run/synapse-workers/redis 2750 synapse-redis synapse -"],
    },
    Service {
        unit: units::PROMETHEUS,
        account: Some(accounts::PROMETHEUS),
        wanted: metrics::wanted,
        render: metrics::render,
        directories: &[
            "d /var/lib/synapse-workers/prometheus 0700 synapse-prometheus synapse-prometheus -",
        ],
    },
    Service {
        unit: units::REDIS_EXPORTER,
        account: None,
        wanted: metrics::redis_wanted,
        render: metrics::redis,
        directories: &[],
    },
    Service {
        unit: units::POSTGRES_EXPORTER,
        account: Some(accounts::POSTGRES_EXPORTER),
        wanted: metrics::postgres_wanted,
        render: metrics::postgres,
        directories: &[],
    },
    Service {
        unit: units::HOST_METRICS,
        account: None,
        wanted: metrics::wanted,
        render: metrics::host,
        directories: &["d /run/synapse-workers/metrics 0755 root root -"],
    },
    Service {
        unit: units::NGINX_EXPORTER,
        account: None,
        wanted: metrics::wanted,
        render: metrics::nginx,
        directories: &[],
    },
    Service {
        unit: units::NGINX_LOG_EXPORTER,
        account: None,
        wanted: metrics::wanted,
        render: metrics::nginx_log,
        directories: &[
            "d /var/log/synapse-workers/nginx 0750 synapse-nginx synapse-nginx -",
            // nginx -t creates a missing log as root, and nginx could not write to that file.
            "f /var/log/synapse-workers/nginx/access.log 0640 synapse-nginx synapse-nginx -",
        ],
    },
    Service {
        unit: units::LOGROTATE,
        account: None,
        wanted: |input| input.settings.metrics.enabled && !input.settings.nginx.disable_logrotate,
        render: logrotate::render,
        directories: &[],
    },
    Service {
        unit: units::CERTIFICATE,
        account: None,
        wanted: |input| input.settings.tls.certificate.is_some(),
        render: certificate::render,
        directories: &[],
    },
    Service {
        unit: units::COTURN,
        account: Some(accounts::COTURN),
        wanted: |input| input.settings.coturn.enabled,
        render: coturn::render,
        directories: &[],
    },
    Service {
        unit: units::COTURN_EXPORTER,
        account: None,
        wanted: coturn::is_counted,
        render: coturn::exporter,
        directories: &[],
    },
    Service {
        unit: units::COMPRESSOR,
        account: None,
        wanted: |input| input.settings.compressor.enabled,
        render: compressor::render,
        directories: &[],
    },
];

/// The auxiliary services that these settings require.
pub fn wanted<'a>(input: &'a Input) -> impl Iterator<Item = &'static Service> + use<'a> {
    SERVICES.iter().filter(|service| (service.wanted)(input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_is_known_and_has_a_service() {
        for account in accounts::OURS {
            let used = SERVICES
                .iter()
                .any(|service| service.account == Some(*account));
            assert!(used, "{}", account.name);
        }
        for service in SERVICES {
            let known = service
                .account
                .is_none_or(|account| accounts::OURS.contains(&account));
            assert!(known, "{}", service.unit);
        }
    }
}
