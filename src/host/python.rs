//! The packages of a Python, read from the files beside it. Python itself is not run: it may belong to Synapse's
//! account, and root runs nothing that another account can replace.

use super::files;
use super::requirements::{self, Requirement};
use super::tools;
use crate::state::normalized;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// An installed project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The version in its metadata, as its authors wrote it (PEP 440).
    pub version: String,
    /// The metadata directory or file that its installer wrote.
    pub place: PathBuf,
}

/// The import directories of a Python, in its order.
pub struct Packages {
    places: Vec<PathBuf>,
    /// The version, such as 3.13, if it can be determined.
    version: Option<String>,
    /// The directories and files with the metadata of projects in these places, listed once.
    metadata: OnceCell<Vec<(PathBuf, String)>>,
}

/// A project that is missing, or installed in an unsuitable version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPackage {
    /// The name and the versions that the metadata of Synapse ask for.
    pub requirement: Requirement,
    /// The unsuitable version that is installed; `None` if the project is missing.
    pub found: Option<String>,
}

/// Projects that provide the module of another project. PyPI has no built package of psycopg2 itself, and Synapse needs
/// only the module (storage/engines/postgres.py).
static STAND_INS: &[(&str, &str)] = &[("psycopg2", "psycopg2-binary")];

/// The project that pip can install without a compiler to satisfy a requirement.
pub fn installable(requirement: &Requirement) -> Requirement {
    let stand_in = STAND_INS.iter().find(|(name, _)| *name == requirement.name);
    Requirement {
        name: stand_in.map_or(requirement.name.clone(), |(_, other)| (*other).to_owned()),
        versions: requirement.versions.clone(),
    }
}

impl Packages {
    /// The packages in the directories of its own installation or venv.
    pub fn own(python: &Path) -> Self {
        let venv = Venv::around(python);
        let version = version(python, venv.as_ref());
        let mut prefixes: Vec<PathBuf> = prefix(python).into_iter().collect();
        if venv.is_none() {
            // A Python that is a link also imports from the installation of its target (Modules/getpath.py).
            let real = python.canonicalize().ok().and_then(|real| prefix(&real));
            prefixes.extend(real.filter(|real| !prefixes.contains(real)));
        }
        Self::below(&prefixes, version)
    }

    /// All packages that it can import: in a venv with access to the system's packages, these as well.
    pub fn seen_by(python: &Path) -> Self {
        let own = Self::own(python);
        let Some(base) = Venv::around(python).and_then(|venv| venv.shared) else {
            return own;
        };
        let mut places = own.places;
        places.extend(Self::below(&[base], own.version.clone()).places);
        Self {
            places,
            version: own.version,
            metadata: OnceCell::new(),
        }
    }

    fn below(prefixes: &[PathBuf], version: Option<String>) -> Self {
        let exact = version.as_ref().map(|version| format!("python{version}"));
        let of_version = |name: &String| match &exact {
            // Debian's own packages work with every version.
            Some(exact) => name == exact || name == "python3",
            None => name.starts_with("python3"),
        };
        let mut places = Vec::new();
        for prefix in prefixes {
            // Packages that the administrator installs for the whole system are below `local`, on Debian and Fedora
            // alike.
            for lib in ["local/lib", "local/lib64", "lib", "lib64"] {
                let lib = prefix.join(lib);
                for name in files::names(&lib).into_iter().filter(of_version) {
                    let kinds = ["site-packages", "dist-packages"];
                    places.extend(kinds.map(|kind| lib.join(&name).join(kind)));
                }
            }
        }
        let linked: Vec<PathBuf> = places.iter().flat_map(|place| linked(place)).collect();
        places.extend(linked);
        Self {
            places,
            version,
            metadata: OnceCell::new(),
        }
    }

    /// The names of metadata in each place, in the order of the places.
    fn metadata(&self) -> &[(PathBuf, String)] {
        self.metadata.get_or_init(|| {
            let named = self.places.iter().flat_map(|place| {
                let names = files::names(place).into_iter();
                names.map(move |name| (place.clone(), name))
            });
            named.filter(|(_, name)| stem(name).is_some()).collect()
        })
    }

    /// Finds a project, by any spelling of its name.
    pub fn find(&self, project: &str) -> Option<Package> {
        let project = normalized(project);
        self.metadata().iter().find_map(|(place, name)| {
            let stem = stem(name)?;
            // NAME-VERSION; for eggs, -pyX.Y follows.
            let (of, rest) = stem.split_once('-').unwrap_or((stem, ""));
            if normalized(of) != project {
                return None;
            }
            let place = place.join(name);
            let version = match rest.split('-').next().filter(|version| !version.is_empty()) {
                Some(version) => version.to_owned(),
                // A source directory that is used in place.
                None => header(&place.join("PKG-INFO"), "Version:")?,
            };
            Some(Package { version, place })
        })
    }

    /// The missing requirements of an installed project's extra. A project without metadata has no known requirements.
    pub fn lacking(&self, project: &str, extra: &str) -> Vec<MissingPackage> {
        let metadata = self
            .find(project)
            .and_then(|package| files::read_text(package.place.join("METADATA")).ok()?);
        let metadata = metadata.unwrap_or_default();
        let required = requirements::of_extra(&metadata, extra, self.version.as_deref());
        let lacking = required.into_iter().filter_map(|it| self.lacks(it));
        lacking.collect()
    }

    /// The requirement, if no installed package satisfies it.
    pub fn lacks(&self, requirement: Requirement) -> Option<MissingPackage> {
        let found = self.version_for(&requirement);
        let serves = found
            .as_ref()
            .is_some_and(|found| requirement.accepts(found));
        (!serves).then_some(MissingPackage { requirement, found })
    }

    /// The version of the package that would satisfy a requirement.
    fn version_for(&self, requirement: &Requirement) -> Option<String> {
        let package = self
            .find(&requirement.name)
            .or_else(|| self.find(&installable(requirement).name))?;
        Some(package.version)
    }
}

/// The name of metadata without its suffix; `None` for another file.
fn stem(name: &str) -> Option<&str> {
    let suffixes = [".dist-info", ".egg-info", ".egg"];
    let mut stems = suffixes.iter().map(|suffix| name.strip_suffix(suffix));
    stems.find_map(|stem| stem)
}

/// The installation prefix of `PREFIX/bin/python`.
fn prefix(python: &Path) -> Option<PathBuf> {
    Some(python.parent()?.parent()?.to_owned())
}

/// A venv, described by its `pyvenv.cfg` (PEP 405).
struct Venv {
    /// The installation whose packages the venv can import as well.
    shared: Option<PathBuf>,
    version: Option<String>,
}

impl Venv {
    fn around(python: &Path) -> Option<Self> {
        let beside = python.parent()?;
        let text = [Some(beside), beside.parent()]
            .into_iter()
            .flatten()
            .find_map(|directory| files::read_text(directory.join("pyvenv.cfg")).ok()?)?;
        let value = |key: &str| {
            let lines = text.lines().filter_map(|line| line.split_once('='));
            let mut found = lines.filter(|(name, _)| name.trim().eq_ignore_ascii_case(key));
            found.next().map(|(_, value)| value.trim().to_owned())
        };
        let shares = value("include-system-site-packages")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let home = value("home").map(PathBuf::from);
        Some(Self {
            shared: home
                .filter(|_| shares)
                .and_then(|home| Some(home.parent()?.to_owned())),
            version: value("version").or_else(|| value("version_info")),
        })
    }
}

/// Major and minor version of a Python: from its venv, or else from the name of the program that it links to.
fn version(python: &Path, venv: Option<&Venv>) -> Option<String> {
    let written = venv.and_then(|venv| venv.version.as_deref());
    written.map_or_else(|| minor_version(&python.canonicalize().ok()?), numbers)
}

/// Major and minor version of a CPython; of the host's Python for a venv that does not exist yet. `None` if the name of
/// the program that it links to is not that of a CPython.
pub(super) fn minor_version_of(python: &Path) -> Option<(u32, u32)> {
    let real = match python.canonicalize() {
        Ok(real) => real,
        Err(_) => tools::find("python3").ok()?.canonicalize().ok()?,
    };
    let text = minor_version(&real)?;
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Major and minor version of the Python that a venv was made for, according to its `pyvenv.cfg`.
pub(super) fn made_for(python: &Path) -> Option<String> {
    numbers(&Venv::around(python)?.version?)
}

/// Major and minor version in the name of a program, such as `python3.13`.
pub(super) fn minor_version(program: &Path) -> Option<String> {
    numbers(program.file_name()?.to_str()?.strip_prefix("python")?)
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<String> {
    let mut numbers = version.split('.');
    let (major, minor) = (numbers.next()?, numbers.next()?);
    let numeric = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    (numeric(major) && numeric(minor)).then(|| format!("{major}.{minor}"))
}

/// Directories that *.pth files add (Python's documentation, `site`).
fn linked(place: &Path) -> Vec<PathBuf> {
    let names = files::names(place).into_iter();
    let texts = names
        .filter(|name| name.ends_with(".pth"))
        .filter_map(|name| files::read_text(place.join(name)).ok()?);
    texts
        .flat_map(|text| {
            let lines = text.lines().map(str::trim);
            let paths = lines.filter(|line| !line.is_empty() && !line.starts_with(['#']));
            let paths = paths.filter(|line| !line.starts_with("import "));
            paths.map(|line| place.join(line)).collect::<Vec<_>>()
        })
        .filter(|path| files::is_directory(path))
        .collect()
}

/// The value of a header in a metadata file.
fn header(file: &Path, name: &str) -> Option<String> {
    let text = files::read_text(file).ok()??;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().to_owned())
}
