//! Comparison of the versions of Python projects (packaging.python.org, "Version specifiers").

use std::cmp::Ordering;

/// Compares two versions; `None` if the operator or a version cannot be parsed.
pub(super) fn compare(version: &str, operator: &str, other: &str) -> Option<bool> {
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

/// Whether this is the version of a final release, and no pre-release such as 1.164.0rc1.
pub(super) fn is_final(version: &str) -> bool {
    release(version).is_some_and(|(_, is_final)| is_final)
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
