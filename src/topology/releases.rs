//! Releases of Synapse: which ones are supported, and the differences of the older ones from the tables of endpoints and
//! roles.
//!
//! The tables describe the newest known release. `tests/routes.rs` compares three releases with them: the oldest
//! supported one, one in between, and the newest known one. A release that is newer than these is asked for its
//! endpoints ([`super::compare()`]).

use super::patterns::ENDPOINTS;
use std::collections::BTreeSet;
use std::fmt;

/// A release of Synapse without its patch level: 1.163 of 1.163.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(pub u32, pub u32);

/// The oldest supported release: every release that was the newest one on some day of the twelve months before this
/// program's release is supported.
pub const OLDEST: Release = Release(1, 143);
/// The date of [`OLDEST`].
pub const OLDEST_DATE: &str = "2025-11-25";
/// The newest release that the tables describe.
pub const NEWEST: Release = Release(1, 163);

/// Patterns that workers serve only since a release after [`OLDEST`]. In earlier releases only the main process serves
/// them, or no process does.
static PATTERNS: &[(&str, Release)] = &[
    (
        r"^/_matrix/client/unstable/org\.matrix\.msc4140/delayed_events/[^/]*/restart$",
        Release(1, 144),
    ),
    (r"^/_synapse/admin/v2/users/[^/]*$", Release(1, 145)),
    // Both paths of this servlet were experimental before.
    (
        r"^/_matrix/client/unstable/im\.nheko\.summary/summary/[^/]*$",
        Release(1, 146),
    ),
    (r"^/_matrix/client/v1/room_summary/[^/]*$", Release(1, 153)),
];

/// Keys of `stream_writers` that exist only since a release after [`OLDEST`], and the release since which their writers
/// send positions (replication/tcp/handler.py). Releases before the first one do not start with the key, and any process
/// may write what the stream carries later.
static STREAMS: &[(&str, Release, Release)] = &[(
    "quarantined_media_changes",
    Release(1, 152),
    Release(1, 159),
)];

impl Release {
    /// The release of a version such as 1.163.2, 1.164.0rc1 or 1.127.1+dfsg. What is not a number counts as 0.
    pub fn of(version: &str) -> Self {
        let mut numbers = version.split('.').map(|part| {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap_or(0)
        });
        Self(numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    /// The keys of `stream_writers` that this release has, and an older one does not have.
    pub fn streams_since(self, older: Self) -> impl Iterator<Item = &'static str> {
        let rows = STREAMS.iter();
        rows.filter(move |(_, since, _)| older < *since && *since <= self)
            .map(|(key, ..)| *key)
    }

    /// Whether this release has a key of `stream_writers`.
    pub fn has_stream(self, key: &str) -> bool {
        let row = STREAMS.iter().find(|row| row.0 == key);
        row.is_none_or(|(_, since, _)| self >= *since)
    }

    /// Whether the writers of a stream send their positions when a process asks for them.
    pub fn sends_positions(self, key: &str) -> bool {
        let row = STREAMS.iter().find(|row| row.0 == key);
        row.is_none_or(|(.., since)| self >= *since)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The patterns of [`ENDPOINTS`] that the workers of a Synapse do not serve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unserved(BTreeSet<&'static str>);

impl Unserved {
    /// The patterns that came after this release.
    pub fn of(release: Release) -> Self {
        let later = PATTERNS.iter().filter(|(_, since)| release < *since);
        Self(later.map(|(pattern, _)| *pattern).collect())
    }

    /// Adds these patterns. A text that is no pattern of the table is ignored, because a record of another release of
    /// this program may contain it.
    pub fn and<'a>(mut self, patterns: impl IntoIterator<Item = &'a String>) -> Self {
        let all = || ENDPOINTS.iter().flat_map(|set| set.paths);
        let known = patterns.into_iter().filter_map(|text| {
            let (pattern, _) = all().find(|(pattern, _)| pattern == text)?;
            Some(*pattern)
        });
        self.0.extend(known);
        self
    }

    /// Whether this pattern is one of them.
    pub fn contains(&self, pattern: &str) -> bool {
        self.0.contains(pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::super::roles::ROLES;
    use super::*;

    #[test]
    fn versions_of_all_sources_are_read() {
        for (version, release) in [
            ("1.163.2", Release(1, 163)),
            ("1.164.0rc1", Release(1, 164)),
            ("1.127.1+dfsg", Release(1, 127)),
            ("1.99", Release(1, 99)),
            ("2.0.0", Release(2, 0)),
            ("", Release(0, 0)),
        ] {
            assert_eq!(Release::of(version), release, "{version}");
        }
        assert!(Release(1, 99) < OLDEST && Release(2, 0) > NEWEST);
    }

    #[test]
    fn every_row_is_about_the_tables_and_about_supported_releases() {
        let between = |since: &Release| (OLDEST..=NEWEST).contains(since) && *since != OLDEST;
        for (pattern, since) in PATTERNS {
            assert!(between(since), "{pattern}");
            let all = Unserved::default().and([&(*pattern).to_owned()]);
            assert!(all.contains(pattern), "{pattern} is not in the table");
            let before = Unserved::of(Release(since.0, since.1 - 1));
            assert!(before.contains(pattern) && !Unserved::of(*since).contains(pattern));
        }
        for (key, since, sent) in STREAMS {
            assert!(between(since) && between(sent) && since <= sent, "{key}");
            assert!(ROLES.iter().any(|role| role.stream == Some(key)), "{key}");
            assert!(!OLDEST.has_stream(key) && since.has_stream(key));
            assert!(NEWEST.streams_since(OLDEST).any(|one| one == *key));
            assert!(!NEWEST.streams_since(*since).any(|one| one == *key));
            assert!(!OLDEST.sends_positions(key) && sent.sends_positions(key));
        }
        assert!(OLDEST.has_stream("events") && OLDEST.sends_positions("events"));
        assert_eq!(Unserved::of(NEWEST), Unserved::default());
    }
}
