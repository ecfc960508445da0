//! The name of a user on the command line: a localpart, or a whole user ID.

/// The maximum length of a user ID in bytes (Matrix specification, appendices, user identifiers).
const LONGEST: usize = 255;

/// A user of this server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    id: String,
    /// The length of the localpart, which follows the `@`.
    length: usize,
}

impl Name {
    /// Reads `alice` or `@alice:example.org`.
    ///
    /// # Errors
    /// With the reason, when the name is empty or too long, or belongs to another server.
    pub fn parse(text: &str, server: &str) -> Result<Self, String> {
        let localpart = match text.strip_prefix('@') {
            None if text.contains(':') => {
                return Err(format!(
                    "`{text}` is neither a user ID, which begins with @, nor the part of one before the colon"
                ));
            }
            None => text,
            Some(id) => match id.split_once(':') {
                Some((localpart, domain)) if domain == server => localpart,
                Some((_, domain)) => {
                    return Err(format!(
                        "{text} is a user of {domain}; this server is {server}"
                    ));
                }
                None => return Err(format!("`{text}` lacks the server name: {text}:{server}")),
            },
        };
        if localpart.is_empty() || localpart.chars().any(char::is_control) {
            return Err(
                "the name of a user must not be empty or contain control characters".to_owned(),
            );
        }
        let id = format!("@{localpart}:{server}");
        if id.len() > LONGEST {
            return Err(format!("{id} is longer than {LONGEST} bytes"));
        }
        Ok(Self {
            length: localpart.len(),
            id,
        })
    }

    /// The user ID.
    pub fn id(&self) -> String {
        self.id.clone()
    }

    /// The part between `@` and the colon.
    pub fn localpart(&self) -> &str {
        &self.id[1..=self.length]
    }

    /// Checks the rules for new user IDs, which older servers did not have (Matrix specification, appendices, user
    /// identifiers).
    ///
    /// # Errors
    /// With the first character that is not allowed.
    pub fn check_new(&self) -> Result<(), String> {
        let allowed =
            |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '=' | '-' | '/' | '+');
        match self.localpart().chars().find(|c| !allowed(c)) {
            None => Ok(()),
            Some(c) => Err(format!(
                "`{c}` is not allowed in the name of a user; allowed are a-z, 0-9 and . _ = - / +"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_name_is_a_localpart_or_an_id_of_this_server() {
        let read = |text| {
            Name::parse(text, "example.org").map(|name| (name.id(), name.localpart().to_owned()))
        };
        let alice = Ok(("@alice:example.org".to_owned(), "alice".to_owned()));
        assert_eq!(read("alice"), alice);
        assert_eq!(read("@alice:example.org"), alice);
        for (text, reason) in [
            ("@alice:other.org", "is a user of other.org"),
            ("@alice", "lacks the server name"),
            ("alice:example.org", "begins with @"),
            ("", "must not be empty"),
            ("a\u{1b}b", "control characters"),
            (&"a".repeat(300), "longer than 255"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }

    #[test]
    fn new_names_follow_the_specification() {
        let check = |text| Name::parse(text, "example.org").unwrap().check_new();
        assert_eq!(check("a.b_c=d-e/f+9"), Ok(()));
        assert!(check("Alice").unwrap_err().contains("`A` is not allowed"));
        assert!(check("josé").unwrap_err().contains("`é` is not allowed"));
    }
}
