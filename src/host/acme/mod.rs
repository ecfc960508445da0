//! The certificate of `tls.acme`: certbot obtains and renews it, and this module says how far that is.

mod answer;
mod attempt;
mod certificate;

pub use attempt::obtain;
pub use certificate::{Certificate, Failed, certificate, create_pair, is_due};
