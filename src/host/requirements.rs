//! The requirements of a Python project in its metadata: names, versions and the conditions under which they apply
//! (packaging.python.org, "Core metadata specifications", "Version specifiers" and "Dependency specifiers").

use super::markers::Marker;
use super::versions::compare;
use crate::settings::types::PinnedPackage;
use crate::state::normalized;
use crate::topology::Release;

/// A project with its acceptable versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    /// The normalized name: lower case, with `-` between words.
    pub name: String,
    /// The version specifiers as written, without blanks, such as `>=1.4.12,<1.6.0`.
    pub versions: String,
}

impl Requirement {
    /// A package of the settings in exactly its version.
    pub fn pinned(package: &PinnedPackage) -> Self {
        Self {
            name: package.project(),
            versions: format!("=={}", package.version()),
        }
    }

    /// Whether this names exactly one version.
    pub fn is_pinned(&self) -> bool {
        let version = self.versions.strip_prefix("==");
        version.is_some_and(|version| !version.contains([',', '*']))
    }

    /// Whether this version satisfies the requirement. A specifier that cannot be parsed counts as satisfied: Synapse
    /// checks it again.
    pub fn accepts(&self, version: &str) -> bool {
        let mut clauses = self.versions.split(',').filter(|clause| !clause.is_empty());
        clauses.all(|clause| {
            let operator: String = clause
                .chars()
                .take_while(|c| "<>=!~".contains(*c))
                .collect();
            compare(version, &operator, &clause[operator.len()..]).unwrap_or(true)
        })
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.name, self.versions)
    }
}

/// The requirements that an extra adds to those of the project, from the text of the metadata. `python` is a version
/// such as 3.13.
pub fn of_extra(metadata: &str, extra: &str, python: Option<&str>) -> Vec<Requirement> {
    // An empty line ends the headers; the description follows.
    let headers = metadata.lines().take_while(|line| !line.trim().is_empty());
    let lines = headers.filter_map(|line| line.strip_prefix("Requires-Dist:"));
    let wanted = lines.filter_map(|line| {
        let (requirement, marker) = line.split_once(';')?;
        let holds = |extra| Marker::new(marker, extra, python).holds();
        (holds(extra) && !holds("")).then(|| parse(requirement))
    });
    wanted.flatten().collect()
}

/// Parses `name[extras]>=1,<2`, or `name (>=1,<2)` as older tools write it.
pub(super) fn parse(text: &str) -> Option<Requirement> {
    let text = text.trim();
    let of_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let end = text.find(|c| !of_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = match rest.trim_start().strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.1,
        None => rest,
    };
    // An @ is followed by the location of the package.
    let versions = rest.split('@').next().unwrap_or_default();
    let kept = |c: &char| !c.is_whitespace() && !"()".contains(*c);
    (!name.is_empty()).then(|| Requirement {
        name: normalized(name),
        versions: versions.chars().filter(kept).collect(),
    })
}

/// Requirements that the metadata of releases of Synapse before another one lack: they fail with newer versions of these
/// packages.
static BOUNDS: &[(Release, &str)] = &[
    (Release(1, 163), "txredisapi>=1.4.12,<1.6.0"),
    // The base class of its metrics has another metaclass since 0.24.
    (Release(1, 146), "prometheus-client<0.24"),
];

/// The requirements that the metadata of this version of Synapse lack.
pub(super) fn bounds(version: &str) -> impl Iterator<Item = &'static str> {
    let release = Release::of(version);
    let wanted = BOUNDS.iter().filter(move |(before, _)| release < *before);
    wanted.map(|(_, requirement)| *requirement)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(metadata: &str, extra: &str) -> Vec<String> {
        let found = of_extra(metadata, extra, Some("3.13"));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_extra_is_read_as_tools_of_all_times_write_it() {
        // The forms that Poetry has written over the years, and that of maturin.
        let metadata = "Metadata-Version: 2.4\nName: matrix-synapse\n\
            Requires-Dist: Twisted[tls]>=21.2.0\n\
            Requires-Dist: hiredis ; extra == \"redis\" or extra == \"all\"\n\
            Requires-Dist: txredisapi (>=1.4.7) ; (extra == \"redis\") or (extra == \"all\")\n\
            Requires-Dist: psycopg2>=2.8 ; platform_python_implementation != 'PyPy' and extra == 'postgres'\n\
            Requires-Dist: psycopg2cffi>=2.8 ; platform_python_implementation == 'PyPy' and extra == 'postgres'\n\
            Requires-Dist: Beautiful_Soup.4 >= 4.13.0, < 5 ; extra == 'url-preview'\n\
            Requires-Dist: old>=1 ; python_version < '3.10' and extra == 'redis'\n\
            Requires-Dist: new>=1 ; python_full_version >= '3.10' and extra == 'redis'\n\
            Requires-Dist: odd ; extra in 'redis' \n\
            Requires-Dist: open ; (extra == 'redis'\n\
            Requires-Dist: direct @ https://x.test/e.tar.gz ; extra == 'url-preview'\n\
            \nRequires-Dist: prose ; extra == 'redis'\n";
        assert_eq!(
            texts(metadata, "redis"),
            ["hiredis", "txredisapi>=1.4.7", "new>=1"]
        );
        assert_eq!(texts(metadata, "postgres"), ["psycopg2>=2.8"]);
        let previews = ["beautiful-soup-4>=4.13.0,<5", "direct"];
        assert_eq!(texts(metadata, "url-preview"), previews);
        assert_eq!(texts(metadata, "none"), [""; 0]);
        assert_eq!(texts("", "redis"), [""; 0]);
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (versions, version, accepted) in [
            (">=1.4.12,<1.6.0", "1.5.0", true),
            (">=1.4.12,<1.6.0", "1.4.7", false),
            (">=1.4.12,<1.6.0", "1.6", false),
            (">=1.4.12,<1.6.0", "1.10", false),
            (">=4.13.0", "4.13", true),
            (">=4.13.0", "4.11.2", false),
            (">=4.13.0", "4.13.0rc1", false),
            (">=4.13.0", "4.13.0.post1", true),
            (">=2.8", "2.9.10+dfsg", true),
            ("==1.1", "1.1.0", true),
            ("==1.*", "1.9", true),
            ("==1.*", "2.0", false),
            ("!=21.1.0", "21.1", false),
            ("~=1.4.2", "1.4.9", true),
            ("~=1.4.2", "1.5.0", false),
            ("", "anything", true),
            // Synapse checks this one.
            (">=1", "unknown", true),
            ("?1", "2", true),
        ] {
            let name = "x".to_owned();
            let versions = versions.to_owned();
            let requirement = Requirement { name, versions };
            assert_eq!(
                requirement.accepts(version),
                accepted,
                "{requirement} {version}"
            );
        }
    }

    #[test]
    fn older_releases_get_versions_that_they_can_use() {
        let of = |version| bounds(version).collect::<Vec<_>>().join(" ");
        assert_eq!(of("1.163.2"), "");
        assert_eq!(of("1.146.0"), "txredisapi>=1.4.12,<1.6.0");
        assert_eq!(
            of("1.145.0"),
            "txredisapi>=1.4.12,<1.6.0 prometheus-client<0.24"
        );
        let parsed = bounds("1.143.0").filter_map(parse);
        let refused: Vec<String> = parsed
            .filter(|it| !it.accepts("0.26.0") || !it.accepts("1.6.0"))
            .map(|it| it.name)
            .collect();
        assert_eq!(refused, ["txredisapi", "prometheus-client"]);
    }
}
