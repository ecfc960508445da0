//! The requirements of a Python project in its metadata: names, versions and the conditions under which they apply
//! (packaging.python.org, "Core metadata specifications", "Version specifiers" and "Dependency specifiers").

use std::cmp::Ordering;

/// A project with its acceptable versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    /// The normalized name: lower case, with `-` between words.
    pub name: String,
    /// The version specifiers as written, without blanks, such as `>=1.4.12,<1.6.0`.
    pub versions: String,
}

impl Requirement {
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
fn parse(text: &str) -> Option<Requirement> {
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

/// The normalized form of a project's name, for comparison: files have `_` where users write `-` or `.`.
pub fn normalized(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// Compares two versions; `None` if the operator or a version cannot be parsed.
fn compare(version: &str, operator: &str, other: &str) -> Option<bool> {
    if let Some(beginning) = other.strip_suffix(".*") {
        let (version, beginning) = (release(version)?.0, release(beginning)?.0);
        let padded = version.into_iter().chain(std::iter::repeat(0));
        let same = padded.take(beginning.len()).eq(beginning);
        return match operator {
            "==" => Some(same),
            "!=" => Some(!same),
            _ => None,
        };
    }
    let order = ordered(release(version)?, release(other)?);
    match operator {
        ">=" => Some(order.is_ge()),
        "<=" => Some(order.is_le()),
        ">" => Some(order.is_gt()),
        "<" => Some(order.is_lt()),
        "==" | "===" => Some(order.is_eq()),
        "!=" => Some(order.is_ne()),
        "~=" => {
            let (shorter, _) = other.rsplit_once('.')?;
            let same = compare(version, "==", &format!("{shorter}.*"))?;
            Some(order.is_ge() && same)
        }
        _ => None,
    }
}

/// The numbers of a version, and whether it is final: a version with letters such as `rc1` or `dev2` precedes the final
/// one.
fn release(version: &str) -> Option<(Vec<u64>, bool)> {
    let version = version.trim().trim_start_matches('v');
    let (version, _) = version.split_once('+').unwrap_or((version, ""));
    let numeric = |c: char| c.is_ascii_digit() || c == '.';
    let end = version.find(|c| !numeric(c)).unwrap_or(version.len());
    let (numbers, rest) = version.split_at(end);
    let numbers = numbers.trim_end_matches('.').split('.').map(str::parse);
    let rest = rest.trim_start_matches(['.', '-', '_']);
    let is_final = rest.is_empty() || rest.starts_with("post");
    Some((numbers.collect::<Result<_, _>>().ok()?, is_final))
}

fn ordered(one: (Vec<u64>, bool), other: (Vec<u64>, bool)) -> Ordering {
    let longest = one.0.len().max(other.0.len());
    let padded = |mut numbers: Vec<u64>| {
        numbers.resize(longest, 0);
        numbers
    };
    (padded(one.0), one.1).cmp(&(padded(other.0), other.1))
}

/// The parser of a condition: comparisons, `and`, `or` and brackets.
struct Marker<'a> {
    tokens: Vec<&'a str>,
    place: usize,
    extra: &'a str,
    python: Option<&'a str>,
}

impl<'a> Marker<'a> {
    fn new(text: &'a str, extra: &'a str, python: Option<&'a str>) -> Self {
        Self {
            tokens: tokens(text),
            place: 0,
            extra,
            python,
        }
    }

    /// Whether the condition holds for this Python and extra. A condition that cannot be parsed does not hold.
    fn holds(mut self) -> bool {
        self.any().unwrap_or(false) && self.place == self.tokens.len()
    }

    fn next(&mut self) -> Option<&'a str> {
        self.place += 1;
        self.tokens.get(self.place - 1).copied()
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.tokens.get(self.place) == Some(&word);
        self.place += usize::from(found);
        found
    }

    fn any(&mut self) -> Option<bool> {
        let mut holds = self.all()?;
        while self.eat("or") {
            holds |= self.all()?;
        }
        Some(holds)
    }

    fn all(&mut self) -> Option<bool> {
        let mut holds = self.one()?;
        while self.eat("and") {
            holds &= self.one()?;
        }
        Some(holds)
    }

    fn one(&mut self) -> Option<bool> {
        if self.eat("(") {
            // The recursion is as deep as the brackets in the text; metadata has at most a few hundred lines.
            let holds = self.any()?;
            return self.eat(")").then_some(holds);
        }
        let (left, operator, right) = (self.next()?, self.next()?, self.next()?);
        let known = |word: &'a str| match word {
            "extra" => Some(self.extra),
            "platform_python_implementation" => Some("CPython"),
            "implementation_name" => Some("cpython"),
            "platform_system" => Some("Linux"),
            "sys_platform" => Some("linux"),
            "os_name" => Some("posix"),
            "platform_machine" => Some(std::env::consts::ARCH),
            "python_version" | "python_full_version" => self.python,
            word => word
                .strip_prefix(['"', '\''])
                .map(|rest| &rest[..rest.len().saturating_sub(1)]),
        };
        // A comparison with an unknown variable does not hold.
        let (Some(one), Some(other)) = (known(left), known(right)) else {
            return Some(false);
        };
        let of_python = |word: &str| word.starts_with("python_");
        Some(match operator {
            _ if of_python(left) || of_python(right) => compare(one, operator, other)?,
            "==" => one == other,
            "!=" => one != other,
            _ => return None,
        })
    }
}

/// Splits a condition into words, quoted texts, operators and brackets.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let of_kind = |kind: fn(char) -> bool| rest.find(|c| !kind(c)).unwrap_or(rest.len());
        let length = match first {
            '"' | '\'' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            '<' | '>' | '=' | '!' | '~' => of_kind(|c| "<>=!~".contains(c)),
            c if c.is_ascii_alphanumeric() => {
                of_kind(|c| c.is_ascii_alphanumeric() || "._".contains(c))
            }
            c => c.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        tokens.push(token);
        rest = behind.trim_start();
    }
    tokens
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
            Requires-Dist: elsewhere @ https://x.test/e.tar.gz ; extra == 'url-preview'\n\
            \nRequires-Dist: prose ; extra == 'redis'\n";
        assert_eq!(
            texts(metadata, "redis"),
            ["hiredis", "txredisapi>=1.4.7", "new>=1"]
        );
        assert_eq!(texts(metadata, "postgres"), ["psycopg2>=2.8"]);
        let previews = ["beautiful-soup-4>=4.13.0,<5", "elsewhere"];
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
}
