//! Text of other programs and hosts on a terminal, which would obey control characters in it.

/// A text without control characters: a tab is four blanks, any other one a question mark.
pub fn printable(text: &str) -> String {
    let visible = |letter: char| if letter.is_control() { '?' } else { letter };
    text.replace('\t', "    ").chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_in_the_text() {
        assert_eq!(printable("a\tb\x1b]52;\x07\r\n\u{9b}é"), "a    b?]52;????é");
    }
}
