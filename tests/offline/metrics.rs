//! The configuration for metrics, read by the real programs: nginx, mtail and Prometheus.

use super::cluster::cluster;
use super::nginx::accepted;
use super::setup::{SPECS, Setup, text};
use super::validators::{program, run, shown};
use serde_yaml::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use synapse_workers::state::State;
use synapse_workers::state::paths;

/// A deployment with metrics.
pub fn with_metrics(workers: &str) -> Setup {
    let mut setup = Setup::new(workers);
    setup.facts.grafana = true;
    setup.settings("metrics: {enabled: true, redis: true, postgres: true}")
}

/// PostgreSQL manual, 20.9: peer authentication uses the operating system user that connects to the socket.
#[test]
fn the_postgres_exporter_connects_to_a_socket_as_synapses_user() {
    let unit = |host: &str| {
        let lines = format!(
            "database: {{host: {host}}}\nsynapse: {{user: matrix}}\nmetrics: {{enabled: true, postgres: true}}"
        );
        let state = Setup::new("").settings(&lines).state();
        let path = "host/etc/systemd/system/synapse-postgres-exporter.service";
        text(&state, path).to_owned()
    };
    let socket = unit("/run/postgresql");
    assert!(socket.contains("\nUser=matrix\n"), "{socket}");
    assert!(!socket.contains("DynamicUser"), "{socket}");
    let network = unit("db.example.org");
    assert!(network.contains("\nDynamicUser=yes\n"), "{network}");
}

#[test]
fn nginx_accepts_the_configuration_for_metrics() {
    for (spec, lines) in SPECS
        .iter()
        .flat_map(|spec| [(spec, ""), (spec, "sockets: {public: false}")])
    {
        let state = with_metrics(spec).settings(lines).state();
        assert!(text(&state, "nginx/nginx.conf").contains(paths::ACCESS_LOG));
        accepted(&state, &format!("{spec} {lines}"));
    }
}

#[test]
fn nginx_keeps_no_log_without_metrics() {
    let state = Setup::new("synchrotron").state();
    let configuration = text(&state, "nginx/nginx.conf");
    assert!(configuration.contains("access_log off;"));
    assert!(!configuration.contains(paths::ACCESS_LOG) && !configuration.contains("stub_status"));
}

#[test]
fn mtail_counts_the_requests_in_the_access_log() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(
        at("nginx.mtail"),
        text(&with_metrics("").state(), "mtail/nginx.mtail"),
    )
    .unwrap();
    let lines = [
        r#"GET 200 synchrotron synchrotron1 30.012 1000 "200" "30.010""#,
        r#"GET 200 synchrotron synchrotron1 0.500 234 "200" "0.400""#,
        // nginx passed the request to a second process.
        r#"PUT 200 main main 0.010 99 "502, 200" "0.001, 0.009""#,
        // nginx itself answered a request with an unknown method.
        r#"BREW 404 main nginx 0.000 10 "-" "-""#,
        "no such line",
    ];
    fs::write(at("access.log"), lines.join("\n") + "\n").unwrap();
    let output = run(program("mtail")
        .args(["-one_shot", "-one_shot_format", "prometheus"])
        .args(["-emit_prog_label=false", "-address", "127.0.0.1"])
        .args(["-port", "0", "-log_dir"])
        .arg(directory.path())
        .arg("-progs")
        .arg(at("nginx.mtail"))
        .arg("-logs")
        .arg(at("access.log")));
    let text = shown(&output);
    for wanted in [
        r#"nginx_log_requests_total{code="200",method="GET",process="synchrotron1",upstream="synchrotron"} 2"#,
        r#"nginx_log_requests_total{code="200",method="PUT",process="main",upstream="main"} 1"#,
        r#"nginx_log_requests_total{code="404",method="other",process="nginx",upstream="main"} 1"#,
        r#"nginx_log_sent_bytes_total{upstream="synchrotron"} 1234"#,
        r#"nginx_log_retried_total{upstream="main"} 1"#,
        r#"nginx_log_request_seconds_count{upstream="main"} 2"#,
        r#"nginx_log_request_seconds_bucket{upstream="synchrotron",le="0.5"} 1"#,
        r#"nginx_log_request_seconds_bucket{upstream="synchrotron",le="+Inf"} 2"#,
        r#"nginx_log_upstream_seconds_sum{upstream="main"} 0.009"#,
        r#"nginx_log_upstream_seconds_count{upstream="main"} 1"#,
    ] {
        assert!(text.lines().any(|line| line == wanted), "{wanted}\n{text}");
    }
}

/// Writes all files of the state below this directory to a temporary directory.
pub fn unpacked(state: &State, below: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, file) in state
        .files
        .iter()
        .filter(|(path, _)| path.starts_with(below))
    {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &file.contents).unwrap();
    }
    directory
}

/// A rate needs two samples in its window, also if one collection fails.
#[test]
fn every_window_is_long_enough_for_the_longest_interval() {
    const LONGEST: u64 = 120;
    let refused = Setup::new("small").settings("metrics: {enabled: true, scrape_interval: 121s}");
    assert!(refused.try_settings().is_err());
    let state = Setup::new("small")
        .settings("metrics: {enabled: true, scrape_interval: 2m}")
        .state();
    let mut windows = 0;
    for (path, file) in state.files.iter().filter(|(path, _)| {
        ["prometheus/", "grafana/"]
            .iter()
            .any(|folder| path.contains(folder))
    }) {
        let text = String::from_utf8_lossy(&file.contents);
        for inner in text
            .split('[')
            .skip(1)
            .filter_map(|rest| rest.split_once(']'))
        {
            let (number, unit) = inner.0.split_at(inner.0.len().saturating_sub(1));
            let factor = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3_600,
                "d" => 86_400,
                _ => continue,
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            assert!(2 * LONGEST < number * factor, "{path}: [{}]", inner.0);
            windows += 1;
        }
    }
    assert!(windows > 20, "{windows}");
}

#[test]
fn promtool_accepts_every_configuration() {
    for (spec, lines) in SPECS.iter().flat_map(|spec| {
        [
            (spec, "metrics: {enabled: true, scrape_interval: 5s}"),
            (
                spec,
                "metrics: {enabled: true}\ncoturn: {enabled: true, metrics: true}",
            ),
        ]
    }) {
        let directory = unpacked(&Setup::new(spec).settings(lines).state(), "prometheus/");
        let output = run(program("promtool")
            .args(["check", "config"])
            .arg(directory.path().join("prometheus/prometheus.yml")));
        let text = shown(&output);
        assert!(output.status.success(), "{spec} {lines}\n{text}");
        assert!(
            text.contains("alerts.yml"),
            "the rules are read too: {text}"
        );
    }
}

/// The labels of each target, by the name of its job.
fn targets(setup: &Setup) -> Vec<(String, BTreeMap<String, String>)> {
    let state = setup.state();
    let configuration: Value =
        serde_yaml::from_str(text(&state, "prometheus/prometheus.yml")).unwrap();
    let mut found = Vec::new();
    for job in configuration["scrape_configs"].as_sequence().unwrap() {
        for target in job["static_configs"].as_sequence().unwrap() {
            let mut labels: BTreeMap<String, String> =
                serde_yaml::from_value(target["labels"].clone()).unwrap();
            let address = target["targets"][0].as_str().unwrap();
            let path = labels.remove("__metrics_path__");
            let path = path.as_deref().or(job["metrics_path"].as_str()).unwrap();
            assert!(address.starts_with("127.0.0.1:"), "{address}");
            labels.insert("address".to_owned(), format!("{address}{path}"));
            found.push((job["job_name"].as_str().unwrap().to_owned(), labels));
        }
    }
    found
}

#[test]
fn every_process_is_one_target_with_unique_labels() {
    for (spec, lines) in SPECS
        .iter()
        .flat_map(|spec| [(spec, ""), (spec, "sockets: {public: false}")])
    {
        let setup = with_metrics(spec).settings(lines);
        let state = setup.state();
        let listening: BTreeSet<String> = state
            .files
            .keys()
            .filter(|path| path.starts_with("synapse/workers/") || *path == "synapse/main.yaml")
            .map(|path| {
                let process: Value = serde_yaml::from_str(text(&state, path)).unwrap();
                let main = process.get("listeners");
                let listeners = main.unwrap_or(&process["worker_listeners"]);
                let listeners = listeners.as_sequence().unwrap();
                let metrics = listeners
                    .iter()
                    .find(|listener| listener["type"].as_str() == Some("metrics"));
                if let Some(metrics) = metrics {
                    assert_eq!(metrics["bind_addresses"][0].as_str(), Some("127.0.0.1"));
                    let port = metrics["port"].as_u64().unwrap();
                    return format!("127.0.0.1:{port}/_synapse/metrics");
                }
                // Metrics are served at the socket where nginx reaches the process, and nginx passes requests for them
                // on.
                let resources = &listeners[0]["resources"][0]["names"];
                let resources: Vec<String> = serde_yaml::from_value(resources.clone()).unwrap();
                assert!(resources.contains(&"metrics".to_owned()), "{path}");
                let socket = listeners[0]["path"].as_str().unwrap();
                let name = process["worker_name"].as_str().unwrap_or("main");
                let nginx = text(&state, "nginx/nginx.conf");
                let passed = format!("proxy_pass http://unix:{socket}:/_synapse/metrics;");
                assert!(nginx.contains(&passed), "{passed}\n{nginx}");
                format!("127.0.0.1:20001/process/{name}")
            })
            .collect();
        let targets = targets(&setup);
        let synapse = || targets.iter().filter(|(job, _)| job == "synapse");
        let addresses: BTreeSet<String> = synapse()
            .map(|(_, labels)| labels["address"].clone())
            .collect();
        assert_eq!(addresses, listening, "{spec} {lines}");
        let identities: BTreeSet<(&String, &String)> = synapse()
            .map(|(_, labels)| (&labels["job"], &labels["index"]))
            .collect();
        assert_eq!(identities.len(), synapse().count(), "{spec}");
    }
}

/// The labels that docs/metrics-howto.md and the published dashboard use: the kind and the number of a worker.
#[test]
fn labels_are_those_of_the_published_dashboards() {
    let targets = targets(&with_metrics("synchrotron:2, media=media_repository"));
    let names: Vec<[&str; 4]> = targets
        .iter()
        .filter(|(job, _)| job == "synapse")
        .map(|(_, labels)| ["worker", "job", "index", "instance"].map(|name| labels[name].as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ["main", "synapse", "1", "example.test"],
            ["media1", "media", "1", "example.test"],
            ["synchrotron1", "synchrotron", "1", "example.test"],
            ["synchrotron2", "synchrotron", "2", "example.test"],
        ]
    );
}

/// Each exporter that runs has a job, and no other exporter has one.
#[test]
fn only_running_exporters_are_targets() {
    let jobs = |setup: &Setup| -> BTreeSet<String> {
        let jobs = targets(setup).into_iter().map(|(job, _)| job);
        jobs.filter(|job| job != "synapse" && job != "prometheus")
            .collect()
    };
    let of =
        |names: &[&str]| -> BTreeSet<String> { names.iter().map(|name| (*name).into()).collect() };
    let plain = |workers: &str| Setup::new(workers).settings("metrics: {enabled: true}");
    assert_eq!(
        jobs(&plain("synchrotron")),
        of(&["host", "nginx", "nginx_log"])
    );
    let all = of(&["host", "nginx", "nginx_log", "redis", "postgres"]);
    assert_eq!(jobs(&with_metrics("synchrotron")), all);
    // This deployment uses SQLite and has no Redis.
    assert_eq!(jobs(&with_metrics("")), of(&["host", "nginx", "nginx_log"]));
    assert!(
        !Setup::new("synchrotron")
            .state()
            .files
            .keys()
            .any(|path| path.contains("prometheus"))
    );
}

/// The passwords of external servers are in files that systemd passes to the exporters, because every account can read
/// a unit file.
#[test]
fn exporters_of_external_servers_read_passwords_from_files() {
    let state = with_metrics("synchrotron")
        .settings("database: {host: db.example, user: matrix}\nredis: {host: redis.example, tls: true, username: \"me&you\"}")
        .secret("postgres_password")
        .secret("redis_password")
        .state();
    let unit = |name: &str| {
        text(
            &state,
            &format!("host/etc/systemd/system/synapse-{name}.service"),
        )
    };
    for (name, lines) in [
        (
            "postgres-exporter",
            [
                "LoadCredential=pgpass:/etc/synapse-workers/secrets/postgres-exporter.pgpass",
                "Environment=PGPASSFILE=%t/synapse-postgres-exporter/pgpass",
                "DynamicUser=yes",
                "Environment=\"DATA_SOURCE_NAME=user=matrix host=db.example port=5432 dbname=synapse sslmode=require\"",
            ],
        ),
        (
            "redis-exporter",
            [
                "LoadCredential=passwords:/etc/synapse-workers/secrets/redis-exporter.json",
                "Environment=REDIS_PASSWORD_FILE=%d/passwords",
                "Environment=\"REDIS_USER=me&you\"",
                "Environment=REDIS_ADDR=rediss://redis.example:6379",
            ],
        ),
    ] {
        for line in lines {
            assert!(
                unit(name).lines().any(|found| found == line),
                "{line}\n{}",
                unit(name)
            );
        }
    }
    assert_eq!(
        text(&state, "secrets/postgres-exporter.pgpass"),
        "*:*:*:*:@postgres_password@\n"
    );
    // The exporter looks up the address as Go's net/url writes it (exporter/redis.go); the exporter of Debian 12 looks
    // it up without the user.
    assert_eq!(
        text(&state, "secrets/redis-exporter.json"),
        "{\"rediss://me&you@redis.example:6379\":\"@redis_password@\",\"rediss://redis.example:6379\":\"@redis_password@\"}\n"
    );
}

/// The promtool test of the rules for one host, and of those for several.
const TESTS: [&str; 2] = ["alerts.test.yml", "hosts.test.yml"];

/// A directory with the rules and one of their promtool tests.
fn rules(test: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let others = "backup: {repository: /srv/backup}\nalerts: {email: [admin@example.org]}";
    let setup = match test == TESTS[0] {
        true => with_metrics("synchrotron"),
        false => cluster().settings("metrics: {enabled: true}"),
    };
    let state = setup.settings(others).state();
    for name in ["recording.yml", "alerts.yml", "backup.yml", "delivery.yml"] {
        let rules = text(&state, &format!("prometheus/rules/{name}"));
        fs::write(directory.path().join(name), rules).unwrap();
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prometheus");
    fs::copy(tests.join(test), directory.path().join(test)).unwrap();
    directory
}

#[test]
fn alerts_fire_exactly_when_expected() {
    for test in TESTS {
        let directory = rules(test);
        let output = run(program("promtool")
            .args(["test", "rules"])
            .arg(directory.path().join(test)));
        assert!(output.status.success(), "{test}\n{}", shown(&output));
    }
}

#[test]
fn every_alert_is_tested_firing_and_silent_and_names_a_command() {
    let directories = TESTS.map(rules);
    let read = |number: usize, name: &str| -> Value {
        let path = directories[number].path().join(name);
        serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    // Those for several hosts contain all for one host.
    let rules = ["alerts.yml", "backup.yml", "delivery.yml"].map(|name| read(1, name));
    let tests = [0, 1].map(|number| read(number, TESTS[number]));
    // Each alert, with whether a test expects it to fire.
    let mut tested = BTreeSet::new();
    let tests = tests
        .iter()
        .flat_map(|file| file["tests"].as_sequence().unwrap());
    for test in tests {
        for case in test["alert_rule_test"].as_sequence().unwrap() {
            let fires = !case["exp_alerts"].as_sequence().unwrap().is_empty();
            tested.insert((case["alertname"].as_str().unwrap().to_owned(), fires));
        }
    }
    let mut expected = BTreeSet::new();
    let groups = rules
        .iter()
        .flat_map(|file| file["groups"].as_sequence().unwrap());
    for group in groups {
        for rule in group["rules"].as_sequence().unwrap() {
            let name = rule["alert"].as_str().unwrap().to_owned();
            expected.extend([true, false].map(|fires| (name.clone(), fires)));
            for annotation in ["summary", "run"] {
                assert!(rule["annotations"][annotation].is_string(), "{name}");
            }
        }
    }
    assert!(expected.len() > 20, "{expected:?}");
    assert_eq!(tested, expected);
}

/// Files for Grafana are rendered only on a host that has Grafana.
#[test]
fn grafana_is_provisioned_with_prometheus_and_dashboards() {
    provisioned(&with_metrics("synchrotron").state(), 2);
    let mut several = cluster().settings("metrics: {enabled: true}");
    several.facts.grafana = true;
    provisioned(&several.state(), 3);
    let without = Setup::new("synchrotron").settings("metrics: {enabled: true}");
    let state = without.state();
    assert!(!state.files.keys().any(|path| path.contains("grafana")));
}

/// Asserts that this state has the data source, and this number of dashboards which Prometheus can answer.
fn provisioned(state: &State, count: usize) {
    let provisioning = "host/etc/grafana/provisioning";
    let source: Value = serde_yaml::from_str(text(
        state,
        &format!("{provisioning}/datasources/synapse-workers.yaml"),
    ))
    .unwrap();
    let source = &source["datasources"][0];
    assert_eq!(source["url"].as_str(), Some("http://127.0.0.1:9095"));
    let provider: Value = serde_yaml::from_str(text(
        state,
        &format!("{provisioning}/dashboards/synapse-workers.yaml"),
    ))
    .unwrap();
    let directory = provider["providers"][0]["options"]["path"]
        .as_str()
        .unwrap();
    let below = directory.strip_prefix(paths::CURRENT).unwrap();
    let dashboards: Vec<&String> = state
        .files
        .keys()
        .filter(|path| format!("/{path}").starts_with(&format!("{below}/")))
        .collect();
    assert_eq!(dashboards.len(), count);
    let mut expressions = 0;
    for path in dashboards {
        let dashboard: serde_json::Value = serde_json::from_str(text(state, path)).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let mut places = BTreeSet::new();
        for panel in panels {
            let place = ["y", "x"].map(|axis| panel["gridPos"][axis].as_u64().unwrap());
            assert!(places.insert(place), "{path}: two panels at {place:?}");
            for target in panel["targets"].as_array().into_iter().flatten() {
                assert_eq!(target["datasource"]["uid"].as_str(), source["uid"].as_str());
                let expression = target["expr"].as_str().unwrap();
                // Replaces Grafana's variables as Grafana would.
                let expression = expression
                    .replace("$__rate_interval", "5m")
                    .replace("$worker", "main")
                    .replace("$host", "app2");
                parses(&expression);
                expressions += 1;
            }
        }
    }
    assert!(expressions > 20, "{expressions} expressions");
}

/// Asserts that Prometheus' own parser accepts the expression.
fn parses(expression: &str) {
    let directory = tempfile::tempdir().unwrap();
    let rules = serde_json::json!({
        "groups": [{"name": "test", "rules": [{"record": "test", "expr": expression}]}],
    });
    let file = directory.path().join("rules.yml");
    fs::write(&file, rules.to_string()).unwrap();
    let output = run(program("promtool").args(["check", "rules"]).arg(file));
    assert!(output.status.success(), "{expression}\n{}", shown(&output));
}

/// Runs the script that reports what no exporter does, with a certificate that is valid for ten days.
#[test]
fn host_metrics_report_free_space_and_certificate_expiry() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(
        at("host.sh"),
        text(&with_metrics("").state(), "metrics/host.sh"),
    )
    .unwrap();
    let made = run(program("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "10",
        ])
        .args(["-subj", "/CN=example.test", "-keyout"])
        .arg(at("key"))
        .arg("-out")
        .arg(at("certificate")));
    assert!(made.status.success(), "{}", shown(&made));
    let output = run(program("sh")
        .arg(at("host.sh"))
        .arg(at("host.prom"))
        .args(["data", "/", "media"])
        .arg(directory.path())
        .env("CREDENTIALS_DIRECTORY", directory.path()));
    assert!(output.status.success(), "{}", shown(&output));
    let metrics = fs::read_to_string(at("host.prom")).unwrap();
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name}\n{metrics}"))
            .trim()
            .parse()
            .unwrap()
    };
    let root = nix::sys::statvfs::statvfs("/").unwrap();
    let size = root.blocks() * root.fragment_size();
    assert_eq!(
        value("synapse_host_disk_size_bytes{directory=\"data\"}"),
        size as f64
    );
    let free = value("synapse_host_disk_free_bytes{directory=\"media\"}");
    assert!(free > 0.0 && free < value("synapse_host_disk_size_bytes{directory=\"media\"}"));
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let left = value("synapse_host_certificate_end_seconds ") - now.as_secs_f64();
    assert!((left / 86_400.0 - 10.0).abs() < 0.1, "{left}");
}
