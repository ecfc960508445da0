//! The programs that judge configuration before it is used.

use super::certificate::Pair;
use super::confined::Sandbox;
use super::files::{self, Scratch};
use super::tools::{self, Tool};
use crate::state::State;
use crate::state::paths;
use crate::state::units;
use anyhow::{Context, Result, ensure};

/// Properties that keep nginx from binding ports where systemd holds them for it. `nginx -t` binds them itself.
const BINDING: [&str; 9] = [
    "AmbientCapabilities",
    "CapabilityBoundingSet",
    "Environment",
    "IPAddressDeny",
    "PrivateNetwork",
    "PrivateUsers",
    "RestrictAddressFamilies",
    "SocketBindAllow",
    "SocketBindDeny",
];

/// `nginx -t` of the configuration in this directory, as nginx's own account and in its sandbox: it opens the files that the
/// configuration names, and that account may have put links to others in their place.
///
/// The certificate comes from its own files, since it is handed over only when the generation is in use. nginx gets it as
/// a credential (systemd.exec(5)), so that no key is written to a disk.
pub(super) fn nginx_accepts(directory: &str, pair: Option<&Pair>, state: &State) -> Result<()> {
    // Only configuration, which every account may read anyway.
    let scratch = Scratch::new(0o755)?;
    for name in files::names(directory) {
        let contents = files::read(format!("{directory}/{name}"))?;
        files::replace(scratch.at(&name), &contents.unwrap_or_default(), 0o644)?;
    }
    let task = "synapse-workers-nginx";
    let mut nginx = Sandbox::like(units::NGINX, state)?;
    for key in BINDING {
        nginx = nginx.property(key);
    }
    nginx = nginx
        .property("CapabilityBoundingSet=CAP_NET_BIND_SERVICE")
        .property("AmbientCapabilities=CAP_NET_BIND_SERVICE")
        .property(&format!("RuntimeDirectory={task}"));
    if let Some(pair) = pair {
        pair.fitting()?;
        let text = files::read_text(scratch.at("nginx.conf"))?.context("nginx.conf is missing")?;
        let place = |kind: &str, name: &str| {
            let handed_over = paths::certificate("synapse-nginx");
            let own = format!("{kind} {handed_over};");
            (
                own,
                format!("{kind} /run/credentials/{task}.service/{name};"),
            )
        };
        let [certificate, key] = [
            ("ssl_certificate", "certificate"),
            ("ssl_certificate_key", "key"),
        ]
        .map(|(kind, name)| place(kind, name));
        let text = text
            .replace(&certificate.0, &certificate.1)
            .replace(&key.0, &key.1);
        files::replace(scratch.at("nginx.conf"), text.as_bytes(), 0o644)?;
        nginx = nginx
            .property(&format!(
                "LoadCredential=certificate:{}",
                pair.certificate.display()
            ))
            .property(&format!("LoadCredential=key:{}", pair.key.display()));
    }
    let output = Tool::confined(nginx.named(task), "nginx")
        .args([
            "-t",
            "-q",
            "-e",
            "stderr",
            "-p",
            &format!("/run/{task}/"),
            "-c",
        ])
        .args([scratch.at("nginx.conf")])
        .args(["-g", "pid /dev/null;"])
        .output()?;
    ensure!(
        output.status.success(),
        "nginx refuses {directory}/nginx.conf\n{}",
        tools::tail(&output, 8)
    );
    Ok(())
}

/// `promtool check config`, which reads the rules as well.
pub(super) fn prometheus_accepts(configuration: &str) -> Result<()> {
    let output = Tool::new("promtool")
        .args(["check", "config", configuration])
        .output()?;
    ensure!(
        output.status.success(),
        "Prometheus refuses {configuration}\n{}",
        tools::tail(&output, 8)
    );
    Ok(())
}

/// `systemd-analyze verify`. It exits with 0 on unknown keys, and speaks about other units of the host as well,
/// so what counts is what it says about ours.
pub(super) fn systemd_accepts(directory: &str, units: &[String]) -> Result<()> {
    let output = Tool::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(units)
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(directory) || line.contains("synapse-"))
        .collect();
    ensure!(
        ours.is_empty(),
        "systemd refuses the unit files\n    {}",
        ours.join("\n    ")
    );
    Ok(())
}
