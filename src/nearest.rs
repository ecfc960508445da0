//! The known word that was probably meant.

/// Longer words are not names that somebody mistyped.
const LONGEST: usize = 64;

/// The known word with the fewest edits from `word`, if a third of its letters would do. Case does not count.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = &word.to_lowercase();
    if word.chars().count() > LONGEST {
        return None;
    }
    let letters = word.chars().count();
    known
        .map(|candidate| (edits(word, &candidate.to_lowercase()), candidate))
        .filter(|(edits, candidate)| *edits <= letters.max(candidate.chars().count()).div_ceil(3))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before_last[j - 2] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood_and_strangers_are_not() {
        let known = ["database.host", "database.port", "workers"];
        for (word, expected) in [
            ("databse.host", Some("database.host")),
            ("wrokers", Some("workers")),
            ("database_port", Some("database.port")),
            ("DATABASE.Port", Some("database.port")),
            ("enable_registration", None),
            (&"workers".repeat(1_000), None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), expected, "{word}");
        }
    }
}
