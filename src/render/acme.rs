//! The certificate that an authority issues: certbot's options, the service that runs certbot, and its timer.

use super::sandbox::Sandbox;
use super::{Input, StateBuilder, filters};
use crate::settings::types::{Acme, Authority};
use crate::state::acme::FILE;
use crate::state::{paths, units};
use anyhow::Result;
use askama::Template;

#[derive(Template)]
#[template(path = "acme/certbot.ini")]
struct Options<'a> {
    order: &'a str,
    directory: &'a str,
    work: &'a str,
    logs: &'a str,
    webroot: &'a str,
    names: String,
    /// The line that names the authority; empty for certbot's default.
    server: String,
    email: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "synapse-acme.service")]
struct Service<'a> {
    sandbox: Sandbox,
    order: &'a str,
    program: String,
    /// The certificate that certbot verifies the authority's server with.
    authority: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "synapse-acme.timer")]
struct Timer;

pub(super) fn is_wanted(input: &Input) -> bool {
    input.settings.tls.acme.is_some()
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let Some(acme) = &input.settings.tls.acme else {
        return Ok(());
    };
    let options = Options {
        order: paths::ACME_ORDER,
        directory: paths::ACME,
        work: paths::ACME_WORK,
        logs: paths::ACME_LOGS,
        webroot: paths::ACME_WEBROOT,
        names: input.settings.certificate_names().join(", "),
        server: server(acme),
        email: acme.email.as_deref(),
    };
    builder.text(FILE, options.render()?);
    let service = Service {
        sandbox: builder.sandbox(units::ACME_SERVICE)?,
        order: paths::ACME_ORDER,
        program: input.facts.program.to_string_lossy().into_owned(),
        authority: acme.ca_file.as_ref().map(|path| path.as_str()),
    };
    builder.unit(units::ACME_SERVICE, service.render()?);
    builder.unit(units::ACME, Timer.render()?);
    Ok(())
}

fn server(acme: &Acme) -> String {
    match &acme.server {
        Authority::LetsEncrypt => String::new(),
        Authority::Staging => "staging = true".to_owned(),
        Authority::At(url) => format!("server = {url}"),
    }
}

/// Whether the service reads a file in one of these directories.
pub(super) fn reads_below(input: &Input, directories: &[&str]) -> bool {
    let acme = input.settings.tls.acme.as_ref();
    let file = acme.and_then(|acme| acme.ca_file.as_ref());
    file.is_some_and(|file| {
        let mut directories = directories.iter();
        directories.any(|directory| file.as_path().starts_with(directory))
    })
}
