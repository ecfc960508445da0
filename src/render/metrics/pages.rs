//! Rules and console pages of Prometheus. With several hosts they name the host, and there is an alert for each host that
//! does not answer.

use super::super::{Input, StateBuilder, filters};
use crate::settings::types::OtherHost;
use anyhow::Result;
use askama::Template;

/// Files that depend on whether there are several hosts.
#[derive(Template)]
#[template(syntax = "prometheus", escape = "none")]
enum Page {
    #[template(path = "prometheus/rules/recording.yml")]
    Recording {
        /// See [`BY`].
        by: &'static str,
    },
    #[template(path = "prometheus/rules/alerts.yml")]
    Alerts {
        /// See [`BY`].
        by: &'static str,
        /// The host of a process, after its name in a sentence.
        at: &'static str,
        /// The host on which a command shows more about a process, before the command.
        there: &'static str,
        /// The beginning of an entry in a command, if the process is not on the first host.
        entry: &'static str,
        /// The other hosts.
        hosts: Vec<SilentHost>,
    },
    #[template(path = "prometheus/consoles/index.html")]
    Index {
        /// See [`BY`].
        by: &'static str,
        several: bool,
    },
    #[template(path = "prometheus/consoles/worker.html")]
    Worker { several: bool },
}

/// The alert for a host of which no process answers.
struct SilentHost {
    name: String,
    summary: String,
    /// The command to run first, and the remedy if the host is lost.
    run: String,
}

/// A label more by which results are grouped. Targets of a server with one host have no label `host`.
const BY: &str = "host, ";

macro_rules! file {
    ($path:literal) => {
        (
            concat!("prometheus/", $path),
            include_str!(concat!("../../../templates/prometheus/", $path)),
        )
    };
}

/// Files that are the same for every server, by their path in a generation.
static FILES: &[(&str, &str)] = &[
    file!("consoles/routes.html"),
    file!("console_libraries/synapse.lib"),
    file!("console_libraries/charts.lib"),
];

/// Adds the rules and pages.
pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let several = input.has_other_hosts();
    let with_hosts = |text: &'static str| if several { text } else { "" };
    let by = with_hosts(BY);
    let alerts = Page::Alerts {
        by,
        at: with_hosts(" on {{ $labels.host }}"),
        there: with_hosts("on {{ $labels.host }}: "),
        entry: with_hosts("{{ if ne $labels.host `first` }}{{ $labels.host }}/{{ end }}"),
        hosts: silent_hosts(input),
    };
    for (path, page) in [
        ("prometheus/rules/recording.yml", Page::Recording { by }),
        ("prometheus/rules/alerts.yml", alerts),
        (
            "prometheus/consoles/index.html",
            Page::Index { by, several },
        ),
        ("prometheus/consoles/worker.html", Page::Worker { several }),
    ] {
        builder.text(path, page.render()?);
    }
    for (path, text) in FILES {
        builder.add(path, text.as_bytes().to_vec(), &[]);
    }
    Ok(())
}

fn silent_hosts(input: &Input) -> Vec<SilentHost> {
    let hosts = input.settings.hosts.all().iter();
    hosts.map(|host| silent_host(input, host)).collect()
}

fn silent_host(input: &Input, host: &OtherHost) -> SilentHost {
    let name = &host.name;
    let release = input.release();
    let writers = input.topology.on(Some(name)).filter_map(|worker| {
        let streams = worker.roles.iter().filter_map(|role| role.stream);
        let streams: Vec<&str> = streams.filter(|it| release.has_stream(it)).collect();
        (!streams.is_empty()).then(|| format!("{} ({})", worker.name, streams.join(", ")))
    });
    let writers: Vec<String> = writers.collect();
    let still = match writers.is_empty() {
        true => "no stream writer is there".to_owned(),
        false => format!("these stream writers stand still: {}", writers.join(", ")),
    };
    SilentHost {
        name: name.clone(),
        summary: format!("No process on the host {name} answers; {still}"),
        run: format!(
            "ssh {} synapse-workers status; if the host is lost, add its workers elsewhere and remove hosts.{name} in \
             /etc/synapse-workers/settings.yaml, then: synapse-workers install",
            host.destination()
        ),
    }
}
