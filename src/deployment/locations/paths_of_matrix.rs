//! The paths that Synapse and this program serve, which no location of the administrator may contain.

use crate::topology::patterns::ENDPOINTS;
use regex::RegexBuilder;

/// Directories whose paths all belong to Matrix: those of Synapse (`api/urls.py`) and the well-known files (Matrix
/// specification, client-server API, "Server discovery").
const TREES: [&str; 3] = ["/_matrix", "/_synapse", "/.well-known/matrix"];

/// Single paths of Synapse: its start page, which is also that of `nginx.web_root`, and its health check.
const SINGLE: [&str; 2] = ["/", "/health"];

/// Paths besides those of workers, to compare with regular expressions.
const SAMPLES: [&str; 12] = [
    "/_matrix",
    "/_matrix/",
    "/_matrix/client/versions",
    "/_matrix/key/v2/server",
    "/_matrix/media/v3/upload",
    "/_matrix/static/index.html",
    "/_synapse/",
    "/_synapse/admin/v1/server_version",
    "/_synapse/client/oidc/callback",
    "/.well-known/matrix/client",
    "/.well-known/matrix/server",
    "/.well-known/matrix/support",
];

/// The condition of a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matches<'a> {
    /// `location = /path`
    Exactly(&'a str),
    /// `location /path`, `location ^~ /path`
    Prefix(&'a str),
    /// `location ~ pattern`, `location ~* pattern`
    Pattern {
        pattern: &'a str,
        ignores_case: bool,
    },
}

/// A path of Matrix that meets the condition; `None` if there is none. The comparison with a regular expression is one
/// by samples: nginx tries this program's own expression first, so that a pattern cannot take a path of Matrix.
///
/// # Errors
/// With the error of a regular expression that cannot be compared.
pub(super) fn taken(matches: Matches) -> Result<Option<&'static str>, regex::Error> {
    let below = |path: &str, tree: &str| {
        let rest = path.strip_prefix(tree);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    Ok(match matches {
        Matches::Exactly(path) => TREES
            .into_iter()
            .find(|tree| below(path, tree))
            .or_else(|| SINGLE.into_iter().find(|single| path == *single)),
        Matches::Prefix(path) => SINGLE
            .into_iter()
            .find(|single| single.starts_with(path))
            .or_else(|| {
                let mut trees = TREES.into_iter();
                trees.find(|tree| below(path, tree) || tree.starts_with(path))
            }),
        Matches::Pattern {
            pattern,
            ignores_case,
        } => {
            let pattern = RegexBuilder::new(pattern)
                .case_insensitive(ignores_case)
                .build()?;
            samples().find(|path| pattern.is_match(path))
        }
    })
}

fn samples() -> impl Iterator<Item = &'static str> {
    let paths = ENDPOINTS.iter().flat_map(|set| set.paths);
    let of_workers = paths.filter_map(|(_, sample)| Some(sample.split_once(' ')?.1));
    SINGLE.into_iter().chain(SAMPLES).chain(of_workers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_with_a_path_of_matrix_is_found() {
        let pattern = |pattern, ignores_case| Matches::Pattern {
            pattern,
            ignores_case,
        };
        for (matches, path) in [
            (Matches::Exactly("/"), Some("/")),
            (Matches::Exactly("/health"), Some("/health")),
            (Matches::Exactly("/_matrix"), Some("/_matrix")),
            (Matches::Exactly("/_synapse/admin/x"), Some("/_synapse")),
            (Matches::Exactly("/healthy"), None),
            (Matches::Prefix("/"), Some("/")),
            (Matches::Prefix("/_"), Some("/_matrix")),
            (
                Matches::Prefix("/_matrix/client/v3/login"),
                Some("/_matrix"),
            ),
            (
                Matches::Prefix("/.well-known/"),
                Some("/.well-known/matrix"),
            ),
            (Matches::Prefix("/.well-known/acme-challenge/"), None),
            (Matches::Prefix("/_matrix-admin/"), None),
            (Matches::Prefix("/he"), Some("/health")),
            (Matches::Prefix("/health/"), None),
            (Matches::Prefix("/livekit/jwt/"), None),
            (
                pattern(r"^/_matrix/client/[^/]+/login$", false),
                Some("/_matrix/client/v3/login"),
            ),
            (
                pattern("^/_MATRIX/KEY", true),
                Some("/_matrix/key/v2/server"),
            ),
            (pattern("^/_MATRIX/KEY", false), None),
            (pattern(r"\.php$", false), None),
            (pattern("", false), Some("/")),
        ] {
            assert_eq!(taken(matches).unwrap(), path, "{matches:?}");
        }
        assert!(taken(pattern(r"^/(?!_matrix)", false)).is_err());
    }
}
