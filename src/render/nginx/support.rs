//! The file /.well-known/matrix/support (Matrix specification 1.16, client-server API, "Server administration contact").

use crate::settings::table::Support;
use crate::settings::types::Contact;
use serde_json::{Value, json};

/// The document, if settings name a contact or a page.
pub(super) fn document(support: &Support) -> Option<String> {
    let mut document = json!({});
    if !support.contacts.is_empty() {
        document["contacts"] = support.contacts.iter().map(contact).collect();
    }
    if let Some(page) = &support.page {
        document["support_page"] = json!(page.as_str());
    }
    (document != json!({})).then(|| document.to_string())
}

fn contact(contact: &Contact) -> Value {
    let mut fields = json!({"role": contact.role()});
    if let Some(id) = contact.matrix_id() {
        fields["matrix_id"] = json!(id);
    }
    if let Some(address) = contact.email_address() {
        fields["email_address"] = json!(address);
    }
    fields
}
