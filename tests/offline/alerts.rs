//! Delivery of alerts: the configuration of Alertmanager, read by its own program, who receives what, and the text of mail.

use super::metrics::unpacked;
use super::setup::{Setup, text};
use super::validators::{program, run, shown};
use serde_yaml::Value;
use std::fs;
use std::path::Path;
use synapse_workers::deployment::secrets;
use synapse_workers::state::{State, paths};

const CONFIGURATION: &str = "secrets/alertmanager.yml";
const UNIT: &str = "host/etc/systemd/system/synapse-alertmanager.service";
const METRICS: &str = "metrics: {enabled: true}";
const MAIL: &str = "alerts: {email: [admin@example.test], smtp_host: mail.example.test, smtp_user: me, smtp_password_file: /root/p, webhook: /root/w}";

/// A deployment that delivers alerts by mail and by a webhook.
pub fn with_alerts(workers: &str) -> Setup {
    Setup::new(workers).settings(METRICS).settings(MAIL)
}

fn with(settings: &str) -> State {
    let lines = format!("{METRICS}\n{settings}");
    Setup::new("synchrotron").settings(&lines).state()
}

/// A directory with the configuration, as Alertmanager reads it.
fn composed(state: &State) -> tempfile::TempDir {
    let directory = unpacked(state, "alertmanager/");
    let row = secrets::composed("alertmanager.yml").unwrap();
    let value = |name: &str| {
        Ok::<_, ()>(match name {
            "alerts_webhook" => "https://me:token@hooks.example.test/?a=b".to_owned(),
            _ => r#"p"a:ss\word"#.to_owned(),
        })
    };
    let configuration = secrets::compose(row, text(state, CONFIGURATION), value).unwrap();
    let own = directory.path().to_str().unwrap();
    let configuration = configuration.replace(paths::CURRENT, own);
    fs::write(directory.path().join("alertmanager.yml"), configuration).unwrap();
    directory
}

fn parsed(state: &State) -> Value {
    serde_yaml::from_str(text(state, CONFIGURATION)).unwrap()
}

#[test]
fn amtool_accepts_every_configuration_and_finds_the_text_of_mail() {
    for settings in [
        MAIL,
        "alerts: {email: [admin@example.test]}",
        "alerts: {webhook: 'https://hooks.example.test/T0/B0?x=1'}",
        "alerts: {email: ['Night {{ shift }} <a@b.test>', c@d.test], smtp_host: 127.0.0.1, tls: none}",
        "email: {enabled: true, smtp_port: 465, tls_name: mail.test}\nalerts: {email: [admin@example.test]}",
    ] {
        let directory = composed(&with(settings));
        let file = directory.path().join("alertmanager.yml");
        let output = run(program("amtool").arg("check-config").arg(file));
        let text = shown(&output);
        assert!(output.status.success(), "{settings}\n{text}");
        assert!(text.contains("1 templates"), "{settings}\n{text}");
    }
}

/// The receiver of an alert with these labels.
fn receiver(directory: &Path, labels: &[&str]) -> String {
    let file = directory.join("alertmanager.yml");
    let output = run(program("amtool")
        .args(["config", "routes", "test", "--config.file"])
        .arg(file)
        .args(labels));
    assert!(output.status.success(), "{}", shown(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_test_alert_has_a_receiver_that_is_not_told_about_its_end() {
    let state = with(MAIL);
    let directory = composed(&state);
    let of = |labels: &[&str]| receiver(directory.path(), labels);
    assert_eq!(of(&["alertname=TestAlert", "severity=info"]), "test");
    assert_eq!(
        of(&["alertname=NginxDown", "severity=critical"]),
        "administrator"
    );
    assert_eq!(
        of(&["alertname=ReplicationQueue", "severity=warning"]),
        "administrator"
    );
    for receiver in parsed(&state)["receivers"].as_sequence().unwrap() {
        let ends = receiver["name"].as_str() == Some("administrator");
        for kind in ["email_configs", "webhook_configs"] {
            assert_eq!(receiver[kind][0]["send_resolved"].as_bool(), Some(ends));
        }
    }
}

#[test]
fn a_mail_server_on_another_host_must_offer_encryption() {
    let mail = |settings: &str| parsed(&with(settings))["global"].clone();
    for (settings, place, starttls) in [
        ("alerts: {email: [a@b.test]}", "localhost:25", false),
        (
            "alerts: {email: [a@b.test], smtp_host: m.test}",
            "m.test:587",
            true,
        ),
        (
            "alerts: {email: [a@b.test], smtp_host: m.test, tls: none}",
            "m.test:587",
            false,
        ),
        // Alertmanager uses implicit TLS at this port.
        (
            "alerts: {email: [a@b.test], smtp_host: m.test, smtp_port: 465}",
            "m.test:465",
            false,
        ),
        (
            "alerts: {email: [a@b.test], smtp_host: 127.0.0.1, smtp_port: 25}",
            "127.0.0.1:25",
            false,
        ),
        (
            "alerts: {email: [a@b.test], smtp_host: localhost, tls: starttls}",
            "localhost:587",
            true,
        ),
        (
            "alerts: {email: [a@b.test]}\nemail: {enabled: true, smtp_host: other.test}",
            "other.test:25",
            true,
        ),
    ] {
        let global = mail(settings);
        assert_eq!(global["smtp_smarthost"].as_str(), Some(place), "{settings}");
        let found = global["smtp_require_tls"].as_bool();
        assert_eq!(found, Some(starttls), "{settings}");
    }
}

#[test]
fn secrets_reach_only_the_composed_file() {
    let state = with(MAIL);
    let template = text(&state, CONFIGURATION);
    for mark in ["\"@alerts_smtp_password@\"", "\"@alerts_webhook@\""] {
        assert!(template.contains(mark), "{template}");
    }
    let credential =
        "LoadCredential=alertmanager.yml:/etc/synapse-workers/secrets/alertmanager.yml";
    assert!(text(&state, UNIT).lines().any(|line| line == credential));
}

#[test]
fn alertmanager_exists_only_if_someone_receives_alerts() {
    let state = with("");
    assert!(!state.files.keys().any(|path| path.contains("alertmanager")));
    assert!(!text(&state, "prometheus/prometheus.yml").contains("alerting"));
    let state = with("alerts: {webhook: 'http://127.0.0.1:9000/'}");
    let prometheus: Value =
        serde_yaml::from_str(text(&state, "prometheus/prometheus.yml")).unwrap();
    let target = &prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0];
    assert_eq!(target.as_str(), Some("127.0.0.1:20007"));
    assert!(text(&state, UNIT).contains(" --web.listen-address=127.0.0.1:20007 "));
    assert!(!text(&state, CONFIGURATION).contains("smtp"));
}

#[test]
fn settings_that_contradict_each_other_are_refused_by_name() {
    for (settings, expected) in [
        (
            "alerts: {email: [a@b.test]}",
            "`alerts.email` is set, but `metrics.enabled` is false",
        ),
        (
            "alerts: {webhook: /root/w}",
            "`alerts.webhook` is set, but `metrics.enabled` is false",
        ),
        (
            "metrics: {enabled: true}\nalerts: {email: [a@b.test], smtp_user: me}",
            "`alerts.smtp_user` is set, but `alerts.smtp_host` is not",
        ),
        (
            "metrics: {enabled: true}\nalerts: {email: [a@b.test], smtp_host: m.test, tls: implicit}",
            "`alerts.tls` is implicit and the port 587",
        ),
        (
            "metrics: {enabled: true}\nalerts: {email: [a@b.test], smtp_host: '::1'}",
            "`alerts.smtp_host` is an IPv6 address",
        ),
        (
            "metrics: {enabled: true}\nalerts: {email: [a@b.test]}\nemail: {enabled: true, tls: implicit, smtp_port: 2465}",
            "`email.tls` is implicit and the port 2465",
        ),
    ] {
        let error = Setup::new("")
            .settings(settings)
            .try_settings()
            .unwrap_err();
        assert!(error.contains(expected), "{settings}\n{error}");
        assert!(error.contains("help: "), "{error}");
    }
}

/// The text that the templates of mail make of a group of alerts.
fn rendered(template: &str, group: &serde_json::Value) -> String {
    let directory = composed(&with(MAIL));
    let data = directory.path().join("data.json");
    fs::write(&data, group.to_string()).unwrap();
    let output = run(program("amtool")
        .args(["template", "render", "--template.glob"])
        .arg(directory.path().join("alertmanager/mail.tmpl"))
        .arg("--template.data")
        .arg(data)
        .arg(format!(
            "--template.text={{{{ template \"{template}\" . }}}}"
        )));
    assert!(output.status.success(), "{}", shown(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn mail_names_the_server_the_alert_and_the_command() {
    let alert = |status: &str, worker: &str| {
        serde_json::json!({
            "status": status,
            "labels": {"severity": "critical"},
            "annotations": {"summary": format!("{worker} does not answer"), "run": "synapse-workers status"},
            "startsAt": "2026-11-29T19:00:30+01:00",
            "endsAt": "2026-11-29T18:20:00Z",
        })
    };
    let group = |status: &str, alerts: &[serde_json::Value]| {
        serde_json::json!({
            "status": status,
            "alerts": alerts,
            "commonLabels": {"alertname": "SynapseProcessDown", "instance": "example.test"},
        })
    };
    let firing = [
        alert("firing", "a1"),
        alert("firing", "b1"),
        alert("resolved", "c1"),
    ];
    let firing = group("firing", &firing);
    assert_eq!(
        rendered("synapse.subject", &firing).trim_end(),
        "example.test: SynapseProcessDown (2)"
    );
    assert_eq!(
        rendered("synapse.text", &firing).trim_end(),
        "a1 does not answer
  severity: critical
  since:    2026-11-29 18:00 UTC
  run:      synapse-workers status

b1 does not answer
  severity: critical
  since:    2026-11-29 18:00 UTC
  run:      synapse-workers status

resolved: c1 does not answer
  since:    2026-11-29 18:00 UTC
  until:    2026-11-29 18:20 UTC"
    );
    let resolved = group("resolved", &[alert("resolved", "a1")]);
    assert_eq!(
        rendered("synapse.subject", &resolved).trim_end(),
        "example.test: resolved: SynapseProcessDown"
    );
}
