//! Rules between the settings of the Matrix Authentication Service, the administrator's files and the workers.

use super::model::Request;
use crate::deployment::mas::KEY;
use crate::failure::Failure;
use crate::topology::Logins;
use std::collections::BTreeMap;

impl Request {
    /// Refuses options that Synapse refuses because of the Matrix Authentication Service, and settings that contradict
    /// the adopted files. `own` has the place of each key in homeserver.d.
    ///
    /// # Errors
    /// Names the file and line of every option, or the setting.
    pub(super) fn check_mas(&self, own: &BTreeMap<String, String>) -> Result<(), Failure> {
        let place = |key: &str| own.get(key).cloned().or_else(|| self.adopted.place(key));
        let problems: Vec<String> = self
            .refused_with_mas()
            .into_iter()
            .map(|it| {
                let place = place(it.key).unwrap_or_default();
                format!("{place}: `{}`: {}\n  help: {}", it.key, it.reason, it.help)
            })
            .collect();
        if !problems.is_empty() {
            return Err(Failure::usage(problems.join("\n  ")));
        }
        let adopted = self
            .adopted
            .mas_endpoint()
            .map(|url| url.trim_end_matches('/'));
        let mas = &self.settings.mas;
        let set = mas
            .endpoint
            .as_ref()
            .map(|url| url.as_str().trim_end_matches('/'));
        let Some(adopted) = adopted else {
            return Ok(());
        };
        let place = place(KEY).unwrap_or_default();
        if set != Some(adopted) {
            let set = set.map_or("empty".to_owned(), |url| format!("{url:?}"));
            return Err(Failure::usage(format!(
                "`mas.endpoint` is {set}, but `{KEY}` in {place}, which Synapse reads, enables {adopted:?}"
            ))
            .help(format!(
                "set `mas.endpoint` to {adopted}; or remove `{KEY}` from that file, so that the settings decide"
            )));
        }
        if mas.secret_file.is_some() {
            return Err(Failure::usage(format!(
                "`mas.secret_file` is set, but Synapse uses the secret of `{KEY}` in {place}"
            ))
            .help(format!(
                "remove `mas.secret_file`; or remove `{KEY}` from that file, so that the settings decide"
            )));
        }
        Ok(())
    }

    /// Notes on workers that have no work because of where users log in.
    pub(super) fn notes_on_logins(&self) -> Vec<String> {
        let (role, why) = match self.logins() {
            Logins::Synapse => ("mas_helper", "`mas.endpoint` is empty"),
            Logins::Mas => ("sso_login", "users log in at `mas.endpoint`"),
        };
        let idle = self.topology.with_role(role);
        idle.filter(|worker| worker.roles.len() == 1)
            .map(|worker| format!("{} has no work: {why}", worker.name))
            .collect()
    }
}
