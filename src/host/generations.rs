//! Generations on disk: complete rendered trees, each with its manifest and its settings.

use super::Host;
use super::files::{self, Access};
use crate::failure::Failure;
use crate::state::paths;
use crate::state::restart_rules::host_path;
use crate::state::synapse_config;
use crate::state::{File, Manifest, Newer, State, digest};
use anyhow::{Result, ensure};
use std::collections::BTreeSet;

/// How many generations remain besides the applied one and its predecessor.
const RETAINED: usize = 10;

/// A generation as the command `generations` lists it.
#[derive(Debug)]
pub struct Generation {
    /// Its number, which is the name of its directory.
    pub number: u32,
    /// The manifest, or why it cannot be read.
    pub manifest: Result<Manifest>,
    /// Whether `current` links to it.
    pub current: bool,
}

/// The directory of a generation.
pub(super) fn directory(number: u32) -> String {
    format!("{}/{number}", paths::GENERATIONS)
}

/// The numbers of all complete generations, in order.
pub(super) fn numbers() -> Vec<u32> {
    let mut numbers: Vec<u32> = files::names(paths::GENERATIONS)
        .iter()
        .filter_map(|name| number(name))
        .collect();
    numbers.sort_unstable();
    numbers
}

/// The number in the name of a generation. Only names that this program writes count: `007` is not one.
fn number(name: &str) -> Option<u32> {
    let number = name.parse().ok()?;
    (number < u32::MAX && name == format!("{number}")).then_some(number)
}

/// The number of the generation that a link points to.
pub(super) fn generation_of(link: &str) -> Option<u32> {
    number(&files::link_target(link)?)
}

/// The state of a generation as it is on disk, with the contents of its manifest. If the manifest is lost or damaged,
/// the state is empty and a note is added, so that everything is written and started as on a first run.
///
/// # Errors
/// When a newer release wrote the generation.
pub(super) fn on_disk(number: u32, notes: &mut Vec<String>) -> Result<State> {
    match load(number) {
        Ok(manifest) => Ok(manifest.state),
        Err(error) if error.is::<Newer>() => Err(error),
        Err(error) => {
            notes.push(format!("{:#}", Failure::from(error)));
            Ok(State::default())
        }
    }
}

/// Reads the manifest of a generation.
fn manifest(number: u32) -> Result<Manifest> {
    let path = format!("{}/manifest.json", directory(number));
    let text = files::read(&path)?.ok_or_else(|| {
        Failure::failed(format!("there is no generation {number}"))
            .help("synapse-workers generations lists the existing ones")
    })?;
    match Manifest::parse(&text) {
        Err(error) if error.is::<Newer>() => Err(error.context(path)),
        Err(error) => Err(Failure::failed(format!("{path} is damaged: {error:#}"))
            .help(match generation_of(paths::CURRENT) == Some(number) {
                true => "synapse-workers install creates a new generation",
                false => "synapse-workers generations lists those that can be used",
            })
            .into()),
        manifest => manifest,
    }
}

/// Reads a generation with its contents. The digests are those of the contents on disk, so that edited files are
/// detected.
pub(super) fn load(number: u32) -> Result<Manifest> {
    let directory = directory(number);
    let mut manifest = manifest(number)?;
    let mut missing = Vec::new();
    for (path, file) in &mut manifest.state.files {
        match files::read(format!("{directory}/{path}"))? {
            Some(contents) => {
                file.digest = digest(&contents);
                file.contents = contents;
            }
            None => missing.push(path.clone()),
        }
    }
    for path in missing {
        manifest.state.files.remove(&path);
    }
    Ok(manifest)
}

/// The generations that processes may run with, besides the last applied one.
///
/// # Errors
/// [`Damaged`] when the file cannot be parsed.
pub(super) fn switched() -> Result<Vec<u32>> {
    let text = files::read(paths::SWITCHED)?.unwrap_or_default();
    let text = String::from_utf8(text).map_err(|_| Damaged)?;
    let numbers: Option<Vec<u32>> = text.lines().map(number).collect();
    Ok(numbers.ok_or(Damaged)?)
}

/// A damaged state file of this program that is not essential.
#[derive(Debug)]
pub(super) struct Damaged;

impl std::error::Error for Damaged {}

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} is damaged; synapse-workers install restarts every process and writes the file again",
            paths::SWITCHED
        )
    }
}

/// Files of a generation that were edited or removed outside of this program.
///
/// # Errors
/// When the manifest is missing, damaged or of a newer release, or when a file cannot be read.
pub fn edited_files(number: u32) -> Result<Vec<String>> {
    let written = manifest(number)?.state.files;
    let there = load(number)?.state.files;
    let as_written = |(path, file): &(String, File)| {
        there
            .get(path)
            .is_some_and(|found| found.digest == file.digest)
    };
    Ok(written
        .into_iter()
        .filter(|entry| !as_written(entry))
        .map(|(path, _)| format!("{}/{path}", directory(number)))
        .collect())
}

/// Files that generations put on the host, that are unchanged since, and that are not wanted. A file that was edited
/// since belongs to the administrator. Generations of a newer release are skipped.
///
/// # Errors
/// When a file on the host cannot be read.
pub fn left_files(wanted: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let mut left = BTreeSet::new();
    let manifests = numbers()
        .into_iter()
        .filter_map(|number| manifest(number).ok());
    for (path, file) in manifests.flat_map(|manifest| manifest.state.files) {
        let Some(place) = host_path(&path).filter(|_| !wanted.contains(&path)) else {
            continue;
        };
        if files::read(place)?.is_some_and(|found| digest(&found) == file.digest) {
            left.insert(place.to_owned());
        }
    }
    Ok(left)
}

impl Host {
    /// Every generation, the oldest first.
    pub fn generations() -> Vec<Generation> {
        let current = generation_of(paths::CURRENT);
        let generation = |number| Generation {
            number,
            manifest: manifest(number),
            current: current == Some(number),
        };
        numbers().into_iter().map(generation).collect()
    }

    /// The state of a generation, and its settings file.
    ///
    /// # Errors
    /// When there is no such generation, or when its manifest is damaged or of a newer release.
    pub fn generation(number: u32) -> Result<(State, Option<String>)> {
        let settings = Self::settings_of(number)?;
        Ok((load(number)?.state, settings))
    }

    /// The settings file of a generation; `None` if it is missing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn settings_of(number: u32) -> Result<Option<String>> {
        files::read_text(format!("{}/settings.yaml", directory(number)))
    }

    /// The number of the generation in use.
    pub fn current() -> Option<u32> {
        generation_of(paths::CURRENT)
    }

    /// Writes a generation under a temporary name and renames it, so that an incomplete one never counts.
    ///
    /// # Errors
    /// When the generation of this number is in use, when the group of Synapse does not exist, or when a file cannot be
    /// written.
    pub fn write_generation(
        &self,
        number: u32,
        state: &State,
        settings: &str,
        summary: &str,
    ) -> Result<()> {
        // An interrupted run may have left an unused generation of this number.
        self.forget_generation(number)?;
        let manifest = Manifest {
            format: Manifest::FORMAT,
            number,
            created: super::now(),
            summary: summary.to_owned(),
            previous: generation_of(paths::APPLIED),
            state: state.clone(),
        };
        let manifest = serde_json::to_string_pretty(&manifest)?;
        let (open, private) = (
            Access::from(0o644),
            Access::of("root", paths::GROUP, 0o640)?,
        );
        let access = |file: &File| if file.private { private } else { open };
        let rendered = state.files.iter();
        let rendered =
            rendered.map(|(path, file)| (path.as_str(), Some(&file.contents[..]), access(file)));
        // The permissions of the settings file also apply to its copy.
        let mode = files::mode(paths::SETTINGS);
        let settings_access = mode.map_or(private, |mode| Access::from(mode & 0o644));
        let own = [
            ("manifest.json", Some(manifest.as_bytes()), open),
            ("settings.yaml", Some(settings.as_bytes()), settings_access),
        ];
        // Synapse's own directories exist even if they are empty.
        let directories: Vec<String> = synapse_config::directories()
            .map(|name| format!("synapse/{name}"))
            .collect();
        let directories = directories.iter().map(|path| (path.as_str(), None, open));
        files::publish(directory(number), directories.chain(rendered).chain(own))
    }

    /// Switches `current` to this generation, and the venv link for administrators to its Synapse.
    ///
    /// # Errors
    /// When the record of switches or one of the links cannot be written.
    pub fn switch(&self, number: u32, state: &State) -> Result<()> {
        // The contents of a damaged file are dropped: this plan has restarted all processes that may run with other
        // generations.
        let mut switched = switched().unwrap_or_default();
        switched.push(number);
        let lines: String = switched.iter().map(|one| format!("{one}\n")).collect();
        files::replace(paths::SWITCHED, lines.as_bytes(), 0o644)?;
        files::replace_link(paths::CURRENT, &format!("generations/{number}"))?;
        super::synapse::link(state)
    }

    /// Records that the processes run with this generation, and removes the oldest generations. The previously applied
    /// one stays, since a rollback returns to it.
    ///
    /// # Errors
    /// When the link cannot be changed, or when an old generation cannot be removed.
    pub fn applied(&self, number: Option<u32>) -> Result<()> {
        let Some(number) = number else {
            return Ok(());
        };
        let before = generation_of(paths::APPLIED);
        if before == Some(number) {
            return files::remove(paths::SWITCHED);
        }
        files::replace_link(paths::APPLIED, &format!("generations/{number}"))?;
        files::remove(paths::SWITCHED)?;
        let old: Vec<u32> = numbers()
            .into_iter()
            .filter(|other| *other != number && Some(*other) != before)
            .collect();
        for number in old.iter().take(old.len().saturating_sub(RETAINED)) {
            files::remove_tree(directory(*number))?;
        }
        Ok(())
    }

    /// Removes a generation that was never used.
    ///
    /// # Errors
    /// When it is in use, or when a file cannot be removed.
    pub fn forget_generation(&self, number: u32) -> Result<()> {
        ensure!(
            generation_of(paths::CURRENT) != Some(number),
            "generation {number} is in use"
        );
        files::remove_tree(directory(number))
    }

    /// Removes every generation, and the records about the Synapse that ran with them.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn forget(&self) -> Result<()> {
        files::remove(paths::CURRENT)?;
        files::remove(paths::APPLIED)?;
        files::remove(paths::SWITCHED)?;
        files::remove(paths::ENDPOINTS)?;
        files::remove(paths::REACH)?;
        files::remove_tree(paths::GENERATIONS)
    }
}
