//! The validators: programs that check the configuration before it is used.

use super::certificate::Pair;
use super::confined::Sandbox;
use super::files::{self, Scratch};
use super::tools::{self, Tool};
use super::{Host, cluster, generations, synapse};
use crate::deployment::secrets;
use crate::failure::Failure;
use crate::plan::step::Validator;
use crate::render::alerts;
use crate::state::State;
use crate::state::accounts;
use crate::state::paths;
use crate::state::units;
use anyhow::{Context, Result, ensure};

impl Host {
    /// Validates a generation with a real program. Returns a note.
    pub fn validate(
        &self,
        number: u32,
        validator: &Validator,
        state: &State,
    ) -> Result<Option<String>> {
        let directory = generations::directory(number);
        match validator {
            Validator::Schema => return self.accepts_schema(state, state),
            Validator::Endpoints => return self.serves_routes(state),
            Validator::Nginx => {
                let pair = self.facts.certificate.as_ref().map(|(pair, _)| pair);
                nginx_accepts(&format!("{directory}/nginx"), pair, state)
            }
            Validator::Synapse(processes) => synapse::parse_configuration(
                &self.facts.python,
                state,
                &format!("{directory}/synapse"),
                processes,
            ),
            Validator::Postgres(path) => cluster::accepts(path, &state.contents(path)?),
            Validator::Prometheus => {
                prometheus_accepts(&format!("{directory}/prometheus/prometheus.yml"))
            }
            Validator::Alertmanager => alertmanager_accepts(&directory, state),
            Validator::Systemd => {
                let paths = state.files.keys().map(String::as_str);
                let units: Vec<String> = units::all_to_verify(paths)
                    .into_iter()
                    .map(|path| format!("{directory}/{path}"))
                    .collect();
                systemd_accepts(&directory, &units)
            }
        }?;
        Ok(None)
    }
}

/// Properties that prevent nginx from binding ports when it uses socket activation. `nginx -t` binds the ports itself.
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

/// Runs `nginx -t` on the configuration in this directory, as nginx's account and in its sandbox: nginx opens the files
/// that the configuration names, and that account may have replaced them with links to files of other accounts.
///
/// The certificate is read from the administrator's files, since the copies are installed only when the generation is
/// in use. nginx receives it as a credential (systemd.exec(5)), so that no key is written to disk.
fn nginx_accepts(directory: &str, pair: Option<&Pair>, state: &State) -> Result<()> {
    // The directory contains only configuration, which every account may read anyway.
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
        pair.validated()?;
        let text = files::read_text(scratch.at("nginx.conf"))?.context("nginx.conf is missing")?;
        let place = |kind: &str, name: &str| {
            let copy = paths::certificate(accounts::NGINX.name);
            let own = format!("{kind} {copy};");
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

/// Runs `promtool check config`, which reads the rules as well.
fn prometheus_accepts(configuration: &str) -> Result<()> {
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

/// Runs `amtool check-config` with sample secrets in place of the real ones, which its messages could contain. The text of
/// mail is read from this generation.
fn alertmanager_accepts(directory: &str, state: &State) -> Result<()> {
    let composed = secrets::composed(alerts::CONFIGURATION).context("no row for Alertmanager")?;
    let template = state.contents(&secrets::template(alerts::CONFIGURATION))?;
    let sample = |_: &str| anyhow::Ok("https://localhost/".to_owned());
    let text = secrets::compose(composed, &String::from_utf8(template)?, sample)?;
    let scratch = Scratch::new(0o700)?;
    let file = scratch.at(alerts::CONFIGURATION);
    let text = text.replace(paths::CURRENT, directory);
    files::replace(&file, text.as_bytes(), 0o600)?;
    let output = Tool::new("amtool")
        .args(["check-config"])
        .args([&file])
        .output()?;
    ensure!(
        output.status.success(),
        "Alertmanager refuses {directory}/{}\n{}",
        secrets::template(alerts::CONFIGURATION),
        tools::tail(&output, 8)
    );
    Ok(())
}

/// Runs `systemd-analyze verify`. It exits with 0 on unknown keys and also reports other units of the host, so only its
/// messages about this program's units count.
fn systemd_accepts(directory: &str, units: &[String]) -> Result<()> {
    let output = Tool::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(units)
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(directory) || line.contains("synapse-"))
        .collect();
    if ours.is_empty() {
        return Ok(());
    }
    let failure = Failure::failed(format!(
        "systemd refuses the unit files\n    {}",
        ours.join("\n    ")
    ));
    // With a drop-in, systemd reads the unit itself, and finds that it is masked.
    let masked = ours.iter().find_map(|line| masked(line));
    Err(match masked {
        Some(unit) => failure.help(format!("systemctl unmask {unit}")),
        None => failure,
    }
    .into())
}

/// The unit in a message such as `Unit NAME is masked.`
fn masked(line: &str) -> Option<&str> {
    let (before, _) = line.split_once(" is masked")?;
    before.rsplit(' ').next()
}
