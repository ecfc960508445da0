//! The known word that a mistyped one probably meant, for "did you mean" in errors.

/// Longer words are not names that somebody mistyped.
const LONGEST: usize = 64;

/// The word of `known` nearest to `word`, if it is near enough to be meant. Case does not count;
/// about one letter in three may be wrong, missing or too much. The first of equals wins.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    if word.len() > LONGEST {
        return None;
    }
    let tolerance = (word.len() / 3).max(1);
    known
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, one row of the matrix at a time.
fn distance(word: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (i, b) in other.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, a) in word.iter().enumerate() {
            let substituted = diagonal + usize::from(*a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[word.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_nothing_else() {
        let known = ["synchrotron", "typing", "user_dir", "SYNAPSE_SERVER_NAME"];
        let meant = |word: &str| nearest(word, known.into_iter());
        assert_eq!(meant("syncrotron"), Some("synchrotron"));
        assert_eq!(meant("Typign"), Some("typing"));
        assert_eq!(meant("userdir"), Some("user_dir"));
        assert_eq!(meant("synapse_servername"), Some("SYNAPSE_SERVER_NAME"));
        assert_eq!(meant("nginx"), None);
        assert_eq!(meant(""), None);
        assert_eq!(meant(&"x".repeat(100_000)), None);
    }
}
