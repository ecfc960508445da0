//! The request of another host than the first, from the texts that the first host sends.

use super::SettingsEdit;
use super::model::{Files, Request};
use super::specs::specs;
use crate::deployment::adopted::Adopted;
use crate::deployment::secrets::{self, SECRETS};
use crate::deployment::{ReferencedFiles, SynapseOptions};
use crate::failure::Failure;
use crate::settings::types::Secret;
use crate::settings::{self, Sources};
use crate::state::paths;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The texts that a request consists of, without secrets.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sent {
    /// The text of the settings file.
    pub settings: String,
    /// The options in homeserver.d, by file name.
    pub homeserver_d: BTreeMap<String, String>,
    /// Registrations of application services, by path.
    pub app_services: BTreeMap<String, String>,
    /// The logging configuration of `log_config`.
    pub log_config: Option<String>,
    /// The names of the hosts that are left out.
    pub without: Vec<String>,
}

impl Request {
    /// The texts of this request for another host.
    ///
    /// # Errors
    /// When a file of the administrator is not UTF-8.
    pub fn sent(&self) -> Result<Sent, Failure> {
        let texts = |files: &BTreeMap<String, Vec<u8>>| {
            let texts = files.iter().map(|(name, contents)| {
                let text = String::from_utf8(contents.clone());
                let text = text.map_err(|_| Failure::usage(format!("{name} is not UTF-8")))?;
                Ok((name.clone(), text))
            });
            texts.collect::<Result<BTreeMap<_, _>, Failure>>()
        };
        let log_config = self.referenced.log_config.clone().map(String::from_utf8);
        Ok(Sent {
            settings: self.text.clone(),
            homeserver_d: texts(&self.homeserver_d)?,
            app_services: texts(&self.referenced.app_services)?,
            log_config: log_config
                .transpose()
                .map_err(|_| Failure::usage("log_config: the file is not UTF-8"))?,
            without: self.names_left_out(),
        })
    }
}

/// The request of the first host, from its texts.
///
/// # Errors
/// When a setting is not allowed.
pub fn of_first_host(sent: &Sent) -> Result<Request, Failure> {
    let sources = Sources {
        file: Some((Path::new(paths::SETTINGS), &sent.settings)),
        env_file: None,
        environment: &BTreeMap::new(),
        flags: &[],
    };
    let mut loaded = settings::load(&sources).map_err(Failure::usage)?;
    let specs = specs(&mut loaded, &SettingsEdit::None)?;
    loaded.leave_out(&sent.without).map_err(Failure::usage)?;
    let bytes = |texts: &BTreeMap<String, String>| -> SynapseOptions {
        let texts = texts.iter();
        texts
            .map(|(name, text)| (name.clone(), text.clone().into_bytes()))
            .collect()
    };
    let files = Files {
        homeserver_d: bytes(&sent.homeserver_d),
        referenced: ReferencedFiles {
            app_services: bytes(&sent.app_services),
            log_config: sent.log_config.clone().map(String::into_bytes),
            locations: Vec::new(),
        },
        adopted: Adopted::default(),
    };
    Request::new(loaded, specs, files, None, sent.settings.clone(), None)
}

/// The request of a host, given by its name in `hosts`, from the texts of the first host, with the secrets that it hands
/// over.
///
/// # Errors
/// When the settings are not those of a server with this host.
pub fn of_another_host(
    host: &str,
    sent: &Sent,
    handed: &BTreeMap<String, String>,
) -> Result<Request, Failure> {
    let mut request = of_first_host(sent)?;
    if request.settings.hosts.named(host).is_none() {
        return Err(Failure::usage(format!("hosts: there is no host {host}")));
    }
    request.deployment.settle(host);
    let names = SECRETS.iter().map(|secret| secret.name);
    let names = names.chain([secrets::SIGNING_KEY]);
    request.deployment.handed = names
        .filter_map(|name| Some((name, Secret::new(handed.get(name)?))))
        .collect();
    Ok(request)
}
