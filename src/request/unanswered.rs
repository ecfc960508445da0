//! The settings of a new server that no source contains, so that a person can be asked for them.

use super::model::refused;
use super::new_server;
use super::sources::{Texts, from_flags};
use crate::cli::{Common, Flags};
use crate::failure::Failure;
use crate::host::Host;
use crate::settings::{self, Origin, Settings};
use crate::topology::needs::Choice;
use crate::topology::{self, Topology};

/// A server name with which the other sources are read while there is none.
const STAND_IN: &str = "server_name: new.example.org";

/// What to ask besides the server name.
pub struct Unanswered {
    /// The preset to propose; `None` if a source names the workers.
    pub preset: Option<Choice>,
    /// Whether no source says where the certificate comes from.
    pub certificate: bool,
}

/// The settings to ask for; `None` if this host has a server or settings, or if a source contains the server name.
///
/// # Errors
/// When a source cannot be read, or contains a wrong value.
pub fn unanswered(common: &Common, flags: &Flags) -> Result<Option<Unanswered>, Failure> {
    let mut texts = Texts::read(common)?;
    if texts.file.is_some() || flags.adopt.is_some() || Host::current().is_some() {
        return Ok(None);
    }
    // The file has the lowest precedence of all sources.
    texts.file = Some(STAND_IN.to_owned());
    let flags = from_flags(flags)?;
    let loaded = settings::load(&texts.with_flags(&flags)).map_err(Failure::usage)?;
    if !matches!(loaded.origins["server_name"], Origin::File { .. }) {
        return Ok(None);
    }
    let is_default = |key: &&str| loaded.origins[*key] == Origin::Default;
    Ok(Some(Unanswered {
        preset: new_server::proposal(common, &loaded),
        // With `public_baseurl`, a reverse proxy may have the certificate.
        certificate: ["tls.acme", "tls.certificate", "tls.key", "public_baseurl"]
            .iter()
            .all(is_default),
    }))
}

/// Validates the answers so far together with all other sources.
///
/// # Errors
/// With the setting at fault.
pub fn check_answers(common: &Common, flags: &Flags) -> Result<Settings, Failure> {
    let texts = Texts::read(common)?;
    let flags = from_flags(flags)?;
    let loaded = settings::load(&texts.with_flags(&flags)).map_err(Failure::usage)?;
    new_server::refuse_capitals(common, &loaded)?;
    topology::parse(&loaded.settings.workers.0)
        .and_then(Topology::new)
        .map_err(|error| refused(&loaded.origins["workers"], "workers", &error))?;
    Ok(loaded.settings)
}
