//! What only the administrator can give: secrets, a Redis, what a Synapse of the host's own has to bring.

use super::{Examined, Finding, finding};
use crate::secrets;

pub(super) fn lacking_secret(at: &Examined) -> Option<Finding> {
    let deployment = at.deployment();
    let lacking = secrets::SECRETS.iter().find(|secret| {
        let there = at.facts.given.contains_key(secret.name) || at.facts.kept.contains(secret.name);
        !secret.generated && !there && (secret.wanted)(&deployment) && (secret.needed)(&deployment)
    })?;
    finding(
        format!("the {} is not known", lacking.name.replace('_', " ")),
        lacking.way,
    )
}

pub(super) fn unusable_file(at: &Examined) -> Option<Finding> {
    let deployment = at.deployment();
    let wanted = |name: &str| secrets::secret(name).is_some_and(|it| (it.wanted)(&deployment));
    let (_, error) = at.facts.unusable.iter().find(|(name, _)| wanted(name))?;
    finding(
        error.clone(),
        "write the password into it, as one line that root can read",
    )
}

pub(super) fn previews(at: &Examined) -> Option<Finding> {
    let installed = at.facts.synapse.as_ref()?;
    at.facts
                .lacks_url_previews
                .then(|| {
                    finding(
                        format!(
                            "url_previews.enabled, and the Synapse of {} lacks what it takes",
                            installed.python.display()
                        ),
                        format!(
                            "{} -m pip install 'matrix-synapse[url-preview]', or for a distribution's Synapse: \
                             apt-get install python3-bs4 (Fedora: python3-beautifulsoup4)",
                            installed.python.display()
                        ),
                    )
                })
                .flatten()
}

pub(super) fn redis(at: &Examined) -> Option<Finding> {
    let error = at.facts.redis_elsewhere.as_ref()?.as_ref().err()?;
    let redis = &at.scope.settings.redis;
    let (host, port) = (redis.host.as_ref()?.as_str(), redis.port.get());
    finding(
        format!("redis.host: {host} port {port} does not serve Synapse: {error}"),
        format!(
            "check redis.host, redis.port, redis.tls, redis.ca_file and redis.password_file, by hand with: \
                     redis-cli -h {host} -p {port}{} ping",
            if redis.tls { " --tls" } else { "" }
        ),
    )
}
