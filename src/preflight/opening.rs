//! The check that the PostgreSQL of the first host can be opened to the other hosts.

use super::check::{Examined, Finding, finding};
use crate::deployment::place_of_rules;
use crate::state::Cluster;
use crate::state::admission::listens;

/// The conditions, in the order in which they are checked.
static CONDITIONS: [fn(&Examined, &Cluster) -> Option<Finding>; 6] = [
    readable,
    encrypted,
    not_rejected,
    rules_addable,
    not_overridden,
    address_addable,
];

/// `database.open` needs a PostgreSQL to which this program can add its lines, and in which they decide.
pub(super) fn admits(at: &Examined) -> Option<Finding> {
    if !at.scope.opens_database() || at.scope.host.is_some() {
        return None;
    }
    at.facts.answering_postgres()?;
    // Without the answer, the files would be removed.
    let Some(cluster) = &at.facts.cluster else {
        return finding(
            "database.open is true, and PostgreSQL does not answer the query for its configuration",
            "sudo -u postgres psql -c 'table pg_file_settings' -c 'table pg_hba_file_rules' (prints the error)",
        );
    };
    CONDITIONS
        .iter()
        .find_map(|condition| condition(at, cluster))
}

fn readable(_: &Examined, cluster: &Cluster) -> Option<Finding> {
    let rule = cluster.admission.damaged()?;
    let error = rule.error.as_deref().unwrap_or_default();
    finding(
        format!(
            "PostgreSQL cannot read line {} of {}: {error}",
            rule.line_number,
            rule.file_name.as_ref().unwrap_or(&cluster.admission.file)
        ),
        "correct the line, then: systemctl reload postgresql",
    )
}

fn encrypted(at: &Examined, cluster: &Cluster) -> Option<Finding> {
    if cluster.admission.encrypts || !at.scope.encrypts_database() {
        return None;
    }
    finding(
        "the other hosts connect to PostgreSQL over TLS, which it has switched off (ssl = off)",
        format!(
            "set ssl = on, ssl_cert_file and ssl_key_file in {}, and restart PostgreSQL; or, if the network between the hosts \
             is trusted, set database.sslmode to disable",
            cluster.configuration
        ),
    )
}

fn not_rejected(at: &Examined, cluster: &Cluster) -> Option<Finding> {
    let (address, rule) = at.scope.rejecting_rule(cluster)?;
    let file = rule.file_name.as_ref().unwrap_or(&cluster.admission.file);
    finding(
        format!(
            "line {} of {file} (method {}) decides about connections from {address} before a line at the end could admit them",
            rule.line_number,
            rule.auth_method.as_deref().unwrap_or_default()
        ),
        format!(
            "add these lines above it, then: systemctl reload postgresql{}",
            lines(&at.scope.missing_rules(cluster))
        ),
    )
}

fn not_overridden(at: &Examined, cluster: &Cluster) -> Option<Finding> {
    let value = at.scope.missing_address(cluster)?;
    let source = cluster.admission.overriding.as_ref()?;
    finding(
        format!(
            "PostgreSQL does not listen on `address`, and a file of this program could not change that: listen_addresses is \
             set in {source}"
        ),
        format!("set listen_addresses = '{value}' there, and restart PostgreSQL"),
    )
}

fn rules_addable(at: &Examined, cluster: &Cluster) -> Option<Finding> {
    let admission = &cluster.admission;
    let rules = at.scope.missing_rules(cluster);
    if rules.is_empty() {
        return None;
    }
    let problem = match &admission.problem {
        Some(problem) => problem.clone(),
        None if place_of_rules(cluster).is_some() => return None,
        None => "cannot include a file of this program, for which it needs PostgreSQL 16 and Debian's layout".to_owned(),
    };
    finding(
        format!("database.open is true, but {} {problem}", admission.file),
        format!(
            "append these lines to {} yourself, then: systemctl reload postgresql{}",
            admission.file,
            lines(&rules)
        ),
    )
}

fn address_addable(at: &Examined, cluster: &Cluster) -> Option<Finding> {
    let address = at.scope.settings.address?;
    if cluster.debian.is_some() || listens(&cluster.admission.listening, address) {
        return None;
    }
    let line = at.scope.missing_address(cluster).map(|value| {
        format!(
            "append the line listen_addresses = '{value}' to {}, and ",
            cluster.configuration
        )
    });
    finding(
        format!(
            "PostgreSQL does not listen on {address}, and {} includes no directory conf.d in /etc/postgresql for a file of this \
             program",
            cluster.configuration
        ),
        format!("{}restart PostgreSQL", line.unwrap_or_default()),
    )
}

/// Lines of a configuration file, below a text.
fn lines(lines: &[String]) -> String {
    let lines = lines.iter();
    lines.map(|line| format!("\n        {line}")).collect()
}
