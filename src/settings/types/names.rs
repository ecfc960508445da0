//! Names of things on this host: paths, accounts, units, databases and packages.

use std::path::Path;

use super::text::text;
use crate::state::normalized;

text! {
    /// The path of a file or directory, without `.`, `..` and `//`, which systemd refuses in units.
    AbsolutePath,
    "an absolute path without the parts . and .. and without //",
    is_absolute_path
}

impl AbsolutePath {
    /// The same text as a path for the file system.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

text! {
    /// The name of a system user (systemd's strict rule, systemd.io/USER_NAMES).
    AccountName,
    "the name of a system user: at most 31 letters, digits, _ and -, starting with a letter or _",
    is_account_name
}

text! {
    /// The name of a systemd service.
    UnitName,
    "the name of a systemd service, such as matrix-synapse.service",
    is_unit_name
}

text! {
    /// The name of a database or role, which never needs quoting (PostgreSQL truncates names to 63 bytes).
    Identifier,
    "a name of at most 63 letters, digits, _ and -, starting with a letter or _",
    is_identifier
}

text! {
    /// A release of Synapse.
    Version,
    "a version such as 1.163.2",
    is_version
}

text! {
    /// A package of PyPI in exactly one version (packaging.python.org, "Names and normalization" and "Version
    /// specifiers").
    PinnedPackage,
    "NAME==VERSION with one exact version, such as synapse-s3-storage-provider==1.7.0",
    is_pinned_package
}

impl PinnedPackage {
    fn parts(&self) -> (&str, &str) {
        self.0.split_once("==").unwrap_or((&self.0, ""))
    }

    /// The normalized name of the project.
    pub fn project(&self) -> String {
        normalized(self.parts().0)
    }

    /// The version.
    pub fn version(&self) -> &str {
        self.parts().1
    }

    /// The package with the normalized name of its project, for pip.
    pub fn requirement(&self) -> String {
        format!("{}=={}", self.project(), self.version())
    }
}

pub(super) fn is_absolute_path(text: &str) -> bool {
    let inner = text.strip_suffix('/').unwrap_or(text);
    let is_part = |part: &str| !["", ".", ".."].contains(&part);
    match inner.strip_prefix('/') {
        Some(parts) => parts.split('/').all(is_part) && !text.chars().any(char::is_control),
        None => false,
    }
}

fn is_account_name(text: &str) -> bool {
    is_identifier(text) && text.len() <= 31
}

fn is_unit_name(text: &str) -> bool {
    let shape = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    let name = text.strip_suffix(".service");
    text.len() <= 255 && name.is_some_and(|name| !name.is_empty() && name.bytes().all(shape))
}

fn is_identifier(text: &str) -> bool {
    let rest = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    text.len() <= 63
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(rest)
}

fn is_version(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (release, candidate) = match text.split_once("rc") {
        Some((release, candidate)) => (release, Some(candidate)),
        None => (text, None),
    };
    // pip would take 1.163 for 1.163.0, which is another text.
    let numbers = release.split('.');
    numbers.clone().count() == 3
        && numbers.clone().all(is_number)
        && candidate.is_none_or(is_number)
}

fn is_pinned_package(text: &str) -> bool {
    let word = |part: &str, inner: &[u8]| {
        let ends = [part.bytes().next(), part.bytes().next_back()];
        ends.iter()
            .all(|end| end.is_some_and(|b| b.is_ascii_alphanumeric()))
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || inner.contains(&b))
    };
    // Epoch, pre-release and local version are parts of a version (PEP 440).
    text.split_once("==").is_some_and(|(name, version)| {
        word(name, b"._-")
            && word(version, b".!+-_")
            && version.starts_with(|c: char| c.is_ascii_digit())
    })
}
