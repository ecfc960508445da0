//! A contact in /.well-known/matrix/support.

use super::text::text;

text! {
    /// A contact (Matrix specification 1.16, client-server API, "GET /.well-known/matrix/support").
    Contact,
    "a role with a Matrix ID, an e-mail address or both",
    is_contact
}

impl Contact {
    /// The role, as the specification spells it.
    pub fn role(&self) -> String {
        let role = self.words().next().unwrap_or_default();
        match SHORT.contains(&role) {
            true => format!("m.role.{role}"),
            false => role.to_owned(),
        }
    }

    /// The Matrix ID, if there is one.
    pub fn matrix_id(&self) -> Option<&str> {
        self.words().skip(1).find(|word| word.starts_with('@'))
    }

    /// The e-mail address, if there is one.
    pub fn email_address(&self) -> Option<&str> {
        self.words().skip(1).find(|word| !word.starts_with('@'))
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.as_str().split_whitespace()
    }
}

/// The roles of the specification, without their prefix `m.role.`.
const SHORT: [&str; 2] = ["admin", "security"];

fn is_contact(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        [role, one] => is_role(role) && (is_matrix_id(one) || is_email_address(one)),
        [role, one, other] => {
            let right = |id, email| is_matrix_id(id) && is_email_address(email);
            is_role(role) && (right(one, other) || right(other, one))
        }
        _ => false,
    }
}

fn is_role(text: &str) -> bool {
    let shape = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    SHORT.contains(&text) || text.contains('.') && text.bytes().all(shape)
}

/// The characters of user IDs (Matrix specification, appendix "User identifiers"), and those of a server name.
fn is_matrix_id(text: &str) -> bool {
    let shape = |b: u8| b.is_ascii_alphanumeric() || b"._=-/+:[]".contains(&b);
    let rest = text.strip_prefix('@').and_then(|rest| rest.split_once(':'));
    rest.is_some_and(|(name, server)| {
        [name, server]
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(shape))
    })
}

/// The characters of ordinary addresses. nginx has no escape for `$`.
pub(super) fn is_email_address(text: &str) -> bool {
    let shape = |b: u8| b.is_ascii_alphanumeric() || b"._+-=".contains(&b);
    text.split_once('@').is_some_and(|(name, domain)| {
        [name, domain]
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(shape))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_a_role_with_addresses() {
        for text in [
            "admin @a:example.org",
            "security a@example.org",
            "m.role.admin a@example.org @a:[2001:db8::1]:8448",
        ] {
            assert!(is_contact(text), "{text}");
        }
        for text in [
            "admin",
            "@a:example.org",
            "boss @a:example.org",
            "admin @a",
            "admin a@",
            "admin @a:example.org @b:example.org",
            "admin a$b@example.org",
            "admin 'a@example.org",
        ] {
            assert!(!is_contact(text), "{text}");
        }
    }
}
