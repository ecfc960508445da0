//! Rules for certificates that `tls.acme` obtains.

use super::super::certificate::unsuitable;
use super::{Rule, violated};

pub(super) static RULES: &[Rule] = &[
    |settings| {
        let tls = &settings.tls;
        let both = tls.acme.is_some() && (tls.certificate.is_some() || tls.key.is_some());
        violated(both, "tls.acme", || {
            (
                "`tls.acme` obtains a certificate, and `tls.certificate` names another one"
                    .to_owned(),
                "remove `tls.certificate` and `tls.key`, or remove `tls.acme`".to_owned(),
            )
        })
    },
    |settings| {
        let acme = settings.tls.acme.as_ref()?;
        let names = settings.certificate_names();
        let (name, why) = names
            .iter()
            .find_map(|name| Some((name, unsuitable(name, &acme.server)?)))?;
        Some((
            "tls.acme",
            format!("`tls.acme` cannot obtain a certificate for {name}, {why}"),
            "set `public_baseurl` to a URL with a public name of this host, or list public names in `names` of `tls.acme`"
                .to_owned(),
        ))
    },
];
