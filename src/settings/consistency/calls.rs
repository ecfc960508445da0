//! Rules for MatrixRTC and the file /.well-known/matrix/client, in which clients find its transports.

use super::{Rule, Violation};
use crate::settings::Settings;

/// The key of that file with the transports of MatrixRTC (MSC4143).
pub const TRANSPORTS_KEY: &str = "org.matrix.msc4143.rtc_foci";

pub(super) static RULES: &[Rule] = &[violation];

fn violation(settings: &Settings) -> Violation {
    let (rtc, client) = (&settings.rtc, settings.well_known.client.get());
    if let Some(url) = &rtc.livekit_service_url
        && !url.is_https()
    {
        return Some((
            "rtc.livekit_service_url",
            format!("`rtc.livekit_service_url` is {url}, but web clients reach it over HTTPS only"),
            "set `rtc.livekit_service_url` to an https:// URL".to_owned(),
        ));
    }
    let set = [
        ("rtc.livekit_service_url", rtc.livekit_service_url.is_some()),
        ("rtc.transports", rtc.is_on()),
        ("well_known.client", !client.is_empty()),
    ];
    let (key, _) = set.into_iter().find(|(_, is_set)| *is_set)?;
    if settings.public_baseurl.is_none() {
        return Some((
            key,
            format!(
                "`{key}` is set, but `public_baseurl` is not, and without it Synapse does not serve \
                 /.well-known/matrix/client"
            ),
            "set `public_baseurl`".to_owned(),
        ));
    }
    let twice = rtc.is_on() && client.contains_key(TRANSPORTS_KEY);
    twice.then(|| {
        (
            "well_known.client",
            format!("`well_known.client` contains `{TRANSPORTS_KEY}`, which `rtc` sets as well"),
            "move its transports to `rtc.transports`, and remove it from `well_known.client`"
                .to_owned(),
        )
    })
}
