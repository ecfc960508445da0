//! Metrics before the programs that read their configuration: nginx and mtail.

use super::judges::{program, run, shown};
use super::nginx::accepted;
use super::setup::{SPECS, Setup, text};
use std::fs;
use synapse_workers::paths;

/// A deployment with metrics.
pub fn measured(workers: &str) -> Setup {
    Setup::new(workers).settings("metrics: {enabled: true, redis: true, postgres: true}")
}

#[test]
fn nginx_accepts_its_part() {
    for (spec, lines) in SPECS
        .iter()
        .flat_map(|spec| [(spec, ""), (spec, "sockets: {public: false}")])
    {
        let state = measured(spec).settings(lines).state();
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
fn mtail_counts_what_the_access_log_tells() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(
        at("nginx.mtail"),
        text(&measured("").state(), "mtail/nginx.mtail"),
    )
    .unwrap();
    let lines = [
        r#"GET 200 synchrotron synchrotron1 30.012 1000 "200" "30.010""#,
        r#"GET 200 synchrotron synchrotron1 0.500 234 "200" "0.400""#,
        // A second process was asked.
        r#"PUT 200 main main 0.010 99 "502, 200" "0.001, 0.009""#,
        // nginx answered by itself, to a method that nobody knows.
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
