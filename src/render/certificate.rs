//! The certificate: the units that install a copy of it and its key for each service that reads it, and that watch its
//! files.

use super::sandbox::Sandbox;
use super::{Input, StateBuilder, coturn, filters};
use crate::state::paths;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[derive(Template)]
#[template(path = "synapse-certificate.service")]
struct Service<'a> {
    sandbox: Sandbox,
    program: String,
    certificate: &'a str,
    key: &'a str,
    readers: Vec<&'static str>,
}

#[derive(Template)]
#[template(path = "synapse-certificate.path")]
struct Watch<'a> {
    /// The directories of the certificate and its key.
    watched: BTreeSet<&'a str>,
}

pub(super) fn is_wanted(input: &Input) -> bool {
    input.settings.tls.is_on()
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let Some((certificate, key)) = input.settings.tls.files() else {
        return Ok(());
    };
    let service = Service {
        sandbox: builder.sandbox(units::CERTIFICATE_SERVICE)?,
        program: input.facts.program.to_string_lossy().into_owned(),
        certificate,
        key,
        readers: readers(input),
    };
    builder.unit(units::CERTIFICATE_SERVICE, service.render()?);
    let directories = [certificate, key].map(|path| Path::new(path).parent());
    let watch = Watch {
        watched: directories
            .into_iter()
            .flatten()
            .filter_map(Path::to_str)
            .collect(),
    };
    builder.unit(units::CERTIFICATE, watch.render()?);
    builder.directory(paths::TLS, "root");
    Ok(())
}

/// Whether the certificate or its key is in one of these directories, by its path or after resolving symbolic links.
pub(super) fn is_below(input: &Input, directories: &[&str]) -> bool {
    let files = input.settings.tls.files();
    let named = files
        .iter()
        .flat_map(|(certificate, key)| [*certificate, *key]);
    let named = named.map(Path::new);
    let mut places = named.chain(input.facts.certificate.iter().map(PathBuf::as_path));
    places.any(|path| {
        directories
            .iter()
            .any(|directory| path.starts_with(directory))
    })
}

/// The services that read the certificate under these settings, each from its own copy. A reload makes them read it
/// again.
pub fn readers(input: &Input) -> Vec<&'static str> {
    let coturn = coturn::is_wanted(input).then_some(units::COTURN);
    [units::NGINX].into_iter().chain(coturn).collect()
}
