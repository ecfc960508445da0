//! The repository of the settings, and the remedy if it does not exist.

use crate::failure::Failure;
use crate::host::backup::{self, Repository};
use crate::request::Request;

/// The repository of the settings, which exists.
pub fn existing(request: &Request) -> Result<Repository, Failure> {
    let repository = Repository::of(&request.settings)?;
    if repository.is_there()? {
        return Ok(repository);
    }
    let location = repository.location();
    Err(Failure::failed(format!("there is no repository at {location}")).help(missing(location)))
}

/// The remedy for a repository that does not exist.
pub fn missing(location: &str) -> String {
    match backup::has_held(location) {
        true => format!(
            "this host has made backups there: check that the disk is mounted. Only if they are lost, begin again: {} && \
             synapse-workers backup now",
            backup::forget_repository()
        ),
        false => "the first backup creates it: synapse-workers backup now".to_owned(),
    }
}
