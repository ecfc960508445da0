//! The certificate of `tls.acme`, which certbot obtains and renews.

mod answer;
mod attempt;
mod certificate;
mod record;

pub use attempt::obtain;
pub use certificate::{Certificate, certificate, create_pair, is_due};
pub use record::Failed;
