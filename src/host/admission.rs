//! The clients that the PostgreSQL of this host admits, and the line that includes this program's rules.

use super::files;
use super::postgres::Access;
use crate::state::Admission;
use crate::state::admission::{Rule, listens};
use crate::state::cluster::{DebianCluster, PARAMETERS};
use anyhow::{Context, Result, ensure};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

/// The statements for the clients that a cluster admits. The columns of `pg_hba_file_rules` depend on the release.
pub(super) fn query() -> String {
    format!(
        "select 'listening', s.setting, coalesce(f.setting, s.boot_val), case when s.source = 'command line' then s.source \
         else coalesce(f.sourcefile, '') end from pg_settings s left join lateral (select * from pg_file_settings f where \
         f.name = s.name and f.sourcefile not like '%/{PARAMETERS}' order by f.seqno desc limit 1) f on true \
         where s.name = 'listen_addresses';\n\
         select 'admission', current_setting('server_version_num'), current_setting('ssl'), current_setting('hba_file'), \
         (extract(epoch from pg_conf_load_time()) * 1000000)::bigint;\n\
         select 'rule', row_to_json(r) from pg_hba_file_rules r"
    )
}

/// The admission in an answer, with what the host adds to it. `configuration` is the path of PostgreSQL's own file.
pub(super) fn examined(
    text: &str,
    place: Option<&DebianCluster>,
    configuration: &str,
) -> Admission {
    let mut found = Admission::default();
    let mut loaded = None;
    for line in text.lines() {
        match line.split('\t').collect::<Vec<&str>>()[..] {
            ["listening", current, configured, source] => {
                found.listening = current.to_owned();
                found.configured = configured.to_owned();
                let earlier = source.is_empty()
                    || source == configuration
                    || place.is_some_and(|place| is_read_before(source, place));
                found.overriding = (!earlier).then(|| source.to_owned());
            }
            ["admission", version, ssl, file, time] => {
                found.version = version.parse().unwrap_or_default();
                found.encrypts = ssl == "on";
                found.file = file.to_owned();
                loaded = time.parse().ok();
            }
            ["rule", rule] => found.rules.extend(serde_json::from_str::<Rule>(rule).ok()),
            _ => {}
        }
    }
    let own = place.map(DebianCluster::rules);
    found
        .rules
        .retain(|rule| rule.file_name != own || own.is_none());
    found.problem = problem(&found.file);
    let changed = own.and_then(|own| changed(&own));
    found.unread = changed
        .zip(loaded)
        .is_some_and(|(changed, loaded)| changed > loaded);
    found
}

/// Whether a file is read before this program's file in the same directory, which is read in the order of names
/// (PostgreSQL manual, 19.1.5).
fn is_read_before(source: &str, place: &DebianCluster) -> bool {
    let name = source.strip_prefix(&format!("{}/", place.directory()));
    name.is_some_and(|name| name < PARAMETERS)
}

/// The time of the last change of a file, in microseconds since 1970; `None` if there is no file, or if the clock was set back
/// since.
fn changed(path: &str) -> Option<u64> {
    let modified = files::metadata(path)?.modified().ok()?;
    let changed = modified.duration_since(UNIX_EPOCH).ok()?;
    (modified <= SystemTime::now()).then(|| u64::try_from(changed.as_micros()).ok())?
}

/// Why this program cannot add a line to PostgreSQL's file with rules.
fn problem(path: &str) -> Option<String> {
    if files::is_link(path) {
        return Some("is a symbolic link".to_owned());
    }
    let Some(found) = files::metadata(path) else {
        return Some("is missing".to_owned());
    };
    let postgres = users::get_user_by_name(crate::state::accounts::POSTGRES);
    let owners = [Some(0), postgres.map(|user| user.uid())];
    (!owners.contains(&Some(found.uid())))
        .then(|| "belongs neither to postgres nor to root".to_owned())
}

/// The line that includes a file, which need not exist (PostgreSQL manual, 20.1).
fn line(name: &str) -> String {
    format!("include_if_exists {name} # added by synapse-workers for the other hosts of Synapse\n")
}

/// Whether a line of a file includes another one.
fn is_include(line: &str, name: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next() == Some("include_if_exists") && words.next() == Some(name)
}

/// Whether PostgreSQL's file with rules includes this program's file.
pub(super) fn includes(file: &str, name: &str) -> Result<bool> {
    let text = files::read_text(file)?.unwrap_or_default();
    Ok(text.lines().any(|line| is_include(line, name)))
}

/// Adds the line that includes this program's file, after all others.
pub(super) fn include(file: &str, name: &str) -> Result<()> {
    let text = files::read_text(file)?.with_context(|| format!("{file} is missing"))?;
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    files::rewrite(file, format!("{text}{end}{}", line(name)).as_bytes())
}

/// Removes that line.
pub(super) fn exclude(file: &str, name: &str) -> Result<()> {
    let Some(text) = files::read_text(file)? else {
        return Ok(());
    };
    let left: String = text
        .split_inclusive('\n')
        .filter(|line| !is_include(line, name))
        .collect();
    match left == text {
        true => Ok(()),
        false => files::rewrite(file, left.as_bytes()),
    }
}

/// Checks that PostgreSQL listens on an address after its restart.
pub(super) fn listens_after_restart(superuser: &Access, address: IpAddr) -> Result<()> {
    let value = superuser.psql("select current_setting('listen_addresses')")?;
    ensure!(
        listens(value.trim(), address),
        "after its restart, PostgreSQL has listen_addresses = {}, without {address}\n  \
         see: sudo -u postgres psql -c \"select * from pg_file_settings where name = 'listen_addresses'\"",
        value.trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURATION: &str = "/etc/postgresql/17/main/postgresql.conf";

    fn admission(lines: &str) -> Admission {
        let place = DebianCluster::of(CONFIGURATION);
        examined(lines, place.as_ref(), CONFIGURATION)
    }

    #[test]
    fn a_file_that_is_read_later_overrides_ours() {
        for (source, overrides) in [
            ("", false),
            (CONFIGURATION, false),
            ("/etc/postgresql/17/main/conf.d/network.conf", false),
            ("/etc/postgresql/17/main/conf.d/zz.conf", true),
            ("/var/lib/postgresql/17/main/postgresql.auto.conf", true),
            ("command line", true),
        ] {
            let found = admission(&format!("listening\tlocalhost\t10.0.0.9\t{source}\n"));
            assert_eq!(found.overriding.is_some(), overrides, "{source}");
            assert_eq!(
                (found.listening.as_str(), found.configured.as_str()),
                ("localhost", "10.0.0.9")
            );
        }
    }

    #[test]
    fn rules_of_this_program_are_left_out() {
        let rule = |file: &str| {
            format!(
                "rule\t{{\"rule_number\":1,\"file_name\":\"/etc/postgresql/17/main/{file}\",\"line_number\":7,\"type\":\"host\",\
                 \"database\":[\"all\"],\"user_name\":[\"all\"],\"address\":\"all\",\"netmask\":null,\
                 \"auth_method\":\"reject\",\"options\":null,\"error\":null}}\n"
            )
        };
        let found = admission(&format!(
            "admission\t170004\ton\t/no/file\t1\n{}{}",
            rule("pg_hba.conf"),
            rule("synapse-workers.hba")
        ));
        let lines: Vec<_> = found.rules.iter().map(|rule| rule.line_number).collect();
        assert_eq!(
            (found.version, found.encrypts, lines),
            (170_004, true, vec![7])
        );
        assert_eq!(found.rules[0].auth_method.as_deref(), Some("reject"));
        // PostgreSQL 15 has no names of files.
        let old = "rule\t{\"line_number\":9,\"type\":\"local\",\"database\":[\"all\"],\"user_name\":[\"all\"],\"address\":null,\
                   \"netmask\":null,\"auth_method\":\"peer\",\"options\":null,\"error\":null}\n";
        assert_eq!(admission(old).rules.len(), 1);
    }

    #[test]
    fn the_line_that_includes_our_rules_is_found_whatever_follows_it() {
        let name = "synapse-workers.hba";
        assert!(is_include(&line(name), name));
        assert!(is_include("  include_if_exists\tsynapse-workers.hba", name));
        assert!(!is_include("# include_if_exists synapse-workers.hba", name));
        assert!(!is_include("include_if_exists other", name));
    }
}
