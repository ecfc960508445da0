//! E-mail: Synapse accepts the mail server's password only as a value, so a block with a password is a composed file.

use super::{StateBuilder, filters};
use crate::settings::table::Email;
use crate::settings::types::MailTls;
use crate::settings::value::Scalar;
use anyhow::Result;
use askama::Template;

#[derive(Template)]
#[template(path = "synapse/email.yaml")]
struct Block<'a> {
    email: &'a Email,
    password: bool,
    from: String,
    tls: MailTls,
}

/// The block for homeserver.yaml; `None` if it is a composed file or e-mail is off.
pub(super) fn render(builder: &mut StateBuilder) -> Result<Option<String>> {
    let settings = &builder.input.settings;
    if !settings.email.enabled {
        return Ok(None);
    }
    let password = builder.input.has_secret("smtp_password");
    let block = Block {
        email: &settings.email,
        password,
        tls: settings.email.decided_tls(),
        from: settings.mail_sender(),
    };
    let text = block.render()?;
    if !password {
        return Ok(Some(text));
    }
    builder.composed("synapse.d/email.yaml", text);
    Ok(None)
}
