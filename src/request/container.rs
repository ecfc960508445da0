//! A server to adopt that ran in a container: which directories of this host have the files that its configuration
//! names, and whether Synapse can reach them.

use super::files::{rooted, unrooted};
use crate::cli::{ADOPT, ADOPT_PATHS, Common};
use crate::deployment::adopted::Adopted;
use crate::failure::Failure;
use crate::host::{self, adopted};
use crate::settings::types::PathMapping;
use serde_yaml::Value;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Refuses a configuration that names files which do not exist on this host, and suggests where they are.
///
/// # Errors
/// When such files are missing.
pub(super) fn refuse_missing(
    common: &Common,
    file: &Path,
    adopted: &Adopted,
) -> Result<(), Failure> {
    let places = adopted.places().into_iter();
    let missing: Vec<String> = places
        .filter(|place| !host::exists(rooted(common, place)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let directory = file.parent().unwrap_or(file);
    let beside = places_beside(directory);
    let mappings: BTreeSet<String> = missing
        .iter()
        .filter_map(|place| mapping(place, &beside))
        .map(|(container, host)| format!("{container}={}", unrooted(common, &host)))
        .collect();
    let mappings = match mappings.is_empty() {
        true => format!("/data={}", unrooted(common, directory)),
        false => mappings.into_iter().collect::<Vec<_>>().join(","),
    };
    Err(Failure::preflight(format!(
        "{ADOPT}: {} names {}, which {} not exist",
        file.display(),
        missing.join(" and "),
        if missing.len() == 1 { "does" } else { "do" },
    ))
    .help(format!(
        "if this is the volume of a container, name each directory of the container with the directory of this host that \
         it mounted there: {ADOPT} {} {ADOPT_PATHS} {mappings}",
        unrooted(common, file)
    )))
}

/// The directory of the configuration, and the directories beside it.
fn places_beside(directory: &Path) -> Vec<PathBuf> {
    let above = directory.parent().unwrap_or(directory);
    let beside = host::names(above).into_iter().map(|name| above.join(name));
    let beside = beside.filter(|path| host::is_directory(path) && path != directory);
    [directory.to_owned()].into_iter().chain(beside).collect()
}

/// The directory of the container that one of these directories of this host is, if that has the end of the path.
fn mapping(place: &str, directories: &[PathBuf]) -> Option<(String, PathBuf)> {
    let parts: Vec<Component> = Path::new(place).components().skip(1).collect();
    (1..parts.len()).find_map(|length| {
        let (container, end) = parts.split_at(length);
        let end: PathBuf = end.iter().collect();
        let found = directories
            .iter()
            .find(|path| host::exists(path.join(&end)))?;
        let container: PathBuf = container.iter().collect();
        Some((format!("/{}", container.display()), found.clone()))
    })
}

/// Refuses directories that Synapse's account cannot enter, as those of Docker's volumes.
///
/// # Errors
/// When there is such a directory.
pub(super) fn refuse_closed(
    adopted: &Adopted,
    user: Option<&str>,
    ids: (u32, u32),
    mappings: &[PathMapping],
) -> Result<(), Failure> {
    let places = adopted.places().into_iter();
    let closed = places
        .filter_map(|place| Some((adopted::closed_directory(&place, user, ids)?, place)))
        .next();
    let Some((directory, place)) = closed else {
        return Ok(());
    };
    let mapping = mappings
        .iter()
        .find(|mapping| Path::new(&place).starts_with(mapping.host()));
    let (container, source) = mapping.map_or(("/data", place.as_str()), |mapping| {
        (mapping.container(), mapping.host())
    });
    let account = user.map_or_else(|| format!("user ID {}", ids.0), str::to_owned);
    Err(Failure::preflight(format!(
        "{ADOPT}: Synapse runs as {account}, which cannot enter {}, where {place} is",
        directory.display()
    ))
    .help(format!(
        "mount the directory at a place that it can enter, and adopt it there: mkdir /srv/synapse; mount --bind {source} \
         /srv/synapse; echo '{source} /srv/synapse none bind 0 0' >>/etc/fstab; then {ADOPT_PATHS} {container}=/srv/synapse"
    )))
}

/// A note on host names that only the network of the containers knows.
pub(super) fn note(common: &Common, adopted: &Adopted) -> Option<String> {
    let files = adopted.option("app_service_config_files");
    let files = files.and_then(Value::as_sequence).into_iter().flatten();
    let registrations: Vec<Vec<u8>> = files
        .filter_map(Value::as_str)
        .filter_map(|path| host::read(rooted(common, path)).ok()?)
        .collect();
    let names = adopted.container_names(registrations.iter().map(Vec::as_slice));
    let names: Vec<String> = names.into_iter().collect();
    (!names.is_empty()).then(|| {
        format!(
            "the configuration names other containers: {}; publish their ports on this host, and add the names to /etc/hosts: \
             127.0.0.1 {}",
            names.join(", "),
            names.join(" ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_directory_of_the_host_is_recognised_by_the_end_of_the_path() {
        let root = tempfile::tempdir().unwrap();
        for path in ["config/a.test.signing.key", "storage/media-store/x"] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let config = root.path().join("config");
        let beside = places_beside(&config);
        let found = |place: &str| mapping(place, &beside);
        assert_eq!(
            found("/data/a.test.signing.key"),
            Some(("/data".to_owned(), config.clone()))
        );
        let storage = root.path().join("storage");
        assert_eq!(
            found("/store/parent/media-store"),
            Some(("/store/parent".to_owned(), storage))
        );
        assert_eq!(found("/data/other"), None);
    }
}
