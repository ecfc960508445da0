//! The log of Alertmanager, which has the reason why an alert was not delivered.

use super::destination::Destination;
use crate::host::tools::Tool;
use crate::render::alerts::TEST_RECEIVER;
use crate::state::units;

/// The log of Alertmanager since this time, in seconds since 1970; empty if it cannot be read.
pub(super) fn log_since(time: u64) -> String {
    let output = Tool::new("journalctl")
        .args(["-q", "--no-pager", "-o", "cat", "-u", units::ALERTMANAGER])
        .args([format!("--since=@{time}")])
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

/// The last error of a destination in lines of logfmt, in which a value with blanks is quoted: that of an attempt, whose
/// line names the destination, or the errors of all destinations of a receiver, with semicolons between them.
pub(super) fn last_error(log: &str, destination: Destination) -> Option<String> {
    let name = format!("{}[{}]", destination.integration.name(), destination.place);
    let place = format!("{TEST_RECEIVER}/{name}: ");
    let attempt = format!(" receiver={TEST_RECEIVER} integration={name} ");
    let line = log
        .lines()
        .rev()
        .find(|line| line.contains(&place) || line.contains(&attempt))?;
    let (_, value) = line.split_once(" err=")?;
    // Go quotes like JSON, as far as these texts go.
    let mut quoted = serde_json::Deserializer::from_str(value).into_iter::<String>();
    let text = match quoted.next() {
        Some(Ok(text)) => text,
        Some(Err(_)) | None => value.split(' ').next().unwrap_or_default().to_owned(),
    };
    let own = text.split_once(&place).map_or(&*text, |(_, own)| own);
    let own = own
        .split_once(&format!("; {TEST_RECEIVER}/"))
        .map_or(own, |(own, _)| own);
    let cause = own
        .split_once(" attempts: ")
        .map_or(own, |(_, cause)| cause);
    Some(without_urls(cause))
}

/// An error without URLs: that of a webhook may be a secret, and Alertmanager before 0.28 prints it.
fn without_urls(text: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    let begin = |rest: &str| {
        let schemes = ["https://", "http://"].iter();
        schemes.filter_map(|scheme| rest.find(scheme)).min()
    };
    while let Some(at) = begin(rest) {
        let url = &rest[at..];
        // A URL ends at a blank or a quote, or at the colon before the cause.
        let end = url.find([' ', '"', '\n']).unwrap_or(url.len());
        let end = url[..end].strip_suffix(':').map_or(end, str::len);
        shown.push_str(&rest[..at]);
        shown.push('…');
        rest = &url[end..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::super::destination::Integration;
    use super::*;

    #[test]
    fn the_cause_is_found_in_the_logs_of_old_and_new_releases() {
        // 0.25 and 0.28.
        let attempt = r#"ts=2026-11-29T19:25:35.714Z caller=notify.go:732 level=warn component=dispatcher receiver=test integration=email[0] msg="Notify attempt failed, will retry later" attempts=1 err="dial tcp: \"x\" refused""#;
        let old = r#"ts=2026-11-29T19:25:35.693Z caller=dispatch.go:352 level=error component=dispatcher msg="Notify for alerts failed" num_alerts=1 err="test/webhook[0]: notify retry canceled after 7 attempts: Post \"http://127.0.0.1:9001/secret\": dial tcp 127.0.0.1:9001: connect: connection refused; test/email[0]: notify retry canceled after 7 attempts: establish connection to server: dial tcp 127.0.0.1:25: connect: connection refused""#;
        let new = r#"time=2026-11-29T19:26:10.060Z level=ERROR source=dispatch.go:360 msg="Notify for alerts failed" component=dispatcher num_alerts=1 err="test/email[0]: notify retry canceled after 8 attempts: establish connection to server: dial tcp 127.0.0.1:25: connect: connection refused; test/webhook[0]: notify retry canceled after 7 attempts: Post \"<redacted>\": dial tcp 127.0.0.1:9001: connect: connection refused""#;
        let other = r#"ts=2026-11-29T19:00:11.000Z level=error msg="Notify for alerts failed" err="administrator/email[0]: no""#;
        let first = |integration| Destination {
            integration,
            place: 0,
        };
        let of = |log: &str| last_error(log, first(Integration::Email));
        assert_eq!(of(attempt).as_deref(), Some("dial tcp: \"x\" refused"));
        assert_eq!(of(other), None);
        for (log, url) in [(old, "…"), (new, "<redacted>")] {
            let log = [attempt, log, other].join("\n");
            assert_eq!(
                of(&log).as_deref(),
                Some(
                    "establish connection to server: dial tcp 127.0.0.1:25: connect: connection refused"
                )
            );
            assert_eq!(
                last_error(&log, first(Integration::Webhook)).as_deref(),
                Some(&*format!(
                    "Post \"{url}\": dial tcp 127.0.0.1:9001: connect: connection refused"
                ))
            );
        }
    }

    #[test]
    fn no_url_is_in_the_cause() {
        // The second one is that of a status, in 0.25 and 0.26.
        for (text, shown) in [
            ("Post \"https://a.test/T0?x=1\": EOF", "Post \"…\": EOF"),
            (
                "unexpected status code 403: https://a.test:8/T0: no_team",
                "unexpected status code 403: …: no_team",
            ),
            ("http://a.test/b https://c.test/d", "… …"),
            ("connection refused", "connection refused"),
        ] {
            assert_eq!(without_urls(text), shown);
        }
    }
}
