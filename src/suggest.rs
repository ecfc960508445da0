//! Suggests the known word that was probably meant.

use strsim::osa_distance;

/// The maximum length of a word in characters. Names are shorter.
const LONGEST: usize = 64;

/// The known word with the fewest edits from `word`, if they affect at most a third of the letters. Case is ignored.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = &word.to_lowercase();
    if word.chars().count() > LONGEST {
        return None;
    }
    let letters = word.chars().count();
    known
        .map(|candidate| (osa_distance(word, &candidate.to_lowercase()), candidate))
        .filter(|(edits, candidate)| *edits <= letters.max(candidate.chars().count()).div_ceil(3))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_has_a_suggestion_and_another_word_has_none() {
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
