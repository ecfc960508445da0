//! Hand-written settings files: invalid contents are refused with the line number.

use super::samples::*;

use std::path::Path;
use synapse_workers::settings::read_env_file;

#[test]
fn an_invalid_file_is_refused_with_its_line() {
    let line = |number: usize, rest: &str| format!("{FILE} line {number}: {rest}");
    let many = format!("workers: [{}]", "a,".repeat(600_000));
    let cases = [
        (
            "server_name: a\n\n# é\ndatabse:\n",
            line(
                4,
                "unknown setting `databse`\n  help: did you mean `database`?",
            ),
        ),
        (
            "database:\n  hots: x\n",
            line(
                2,
                "unknown setting `database.hots`\n  help: did you mean `database.host`?",
            ),
        ),
        (
            "database.host: x\n",
            line(
                1,
                "unknown setting `database.host`\n  help: write `host:` in the section `database:`",
            ),
        ),
        (
            "federation_domain_whitelist: true\n",
            line(
                1,
                "unknown setting `federation_domain_whitelist`\n  help: put an option of Synapse itself into a file in",
            ),
        ),
        ("5: x\n", line(1, "unknown setting `5`")),
        (
            "http_port: 1\nlog_level: INFO\n'http_port': 2\n",
            line(3, "`http_port` is set twice"),
        ),
        (
            "database:\n  port: 1\n  port: 2\n",
            line(3, "`database.port` is set twice"),
        ),
        ("caches:\ncaches:\n", line(2, "`caches` is set twice")),
        (
            "server_name: a\nhttp_port: [1]\n",
            line(2, "`http_port` has the wrong type: expected "),
        ),
        (
            "http_port:\n  a: 1\n",
            line(2, "`http_port` has the wrong type: expected "),
        ),
        (
            "workers: {a: 1}\n",
            line(1, "`workers` has the wrong type: expected "),
        ),
        (
            "workers: 5\n",
            line(1, "`workers` has the wrong type: expected "),
        ),
        (
            "workers:\n  - pusher\n  - synchrotron: 2\n",
            line(3, "expected a string"),
        ),
        (
            "database: local\n",
            line(1, "the section `database` has no keys"),
        ),
        (
            "trusted_proxies:\n  - ::1\n  - ::x\n",
            line(3, "`trusted_proxies` cannot be \"::x\""),
        ),
        (
            "bind_addresses: [\"::\", \"::\"]\n",
            line(1, "`bind_addresses` cannot be \"::\": :: is listed twice"),
        ),
        (
            "media_store_path: \"/a\\nb\"\n",
            line(
                1,
                "`media_store_path` cannot be \"/a\\nb\": control characters",
            ),
        ),
        (
            "postgres_password: x\n",
            line(
                1,
                "`postgres_password` does not belong in this file\n  help: set POSTGRES_PASSWORD in the environment",
            ),
        ),
        ("just words\n", line(1, "the settings file has no keys")),
        ("- a\n", line(1, "the settings file has no keys")),
        ("[a]: b\n", line(1, "expected a string")),
        (
            "server_name: a\ndatabase:\n\thost: b\n",
            line(3, "the line is indented with a tab"),
        ),
        (
            "server_name: 'a\n",
            line(
                2,
                "invalid YAML: found unexpected end of stream, while scanning a quoted scalar at line 1",
            ),
        ),
        ("server_name: a\n b: c: d\n", line(2, "invalid YAML")),
        ("server_name: *a\n", line(1, "invalid YAML: unknown anchor")),
        (
            "log_level: INFO\nserver_name: a\u{7}\n",
            line(2, "control characters are not allowed"),
        ),
        (
            "server_name: a\n---\nserver_name: b\n",
            line(2, "a second YAML document starts"),
        ),
        (&many, format!("{FILE}: larger than 1 MiB")),
        (
            "server_name: a\nsynapse:\n  user: root\n",
            line(
                3,
                "`synapse.user` is root, the administrator of this host, and an attacker",
            ),
        ),
        (
            "server_name: a\nsynapse:\n  user: postgres\n",
            line(
                3,
                "`synapse.user` is postgres, the administrator of this host's PostgreSQL",
            ),
        ),
        (
            "server_name: a\nsynapse:\n  user: synapse-nginx\n",
            line(
                3,
                "`synapse.user` is synapse-nginx, the account of another service (nginx in front",
            ),
        ),
        (
            "server_name: a\ndatabase:\n  user: postgres\n  host: 127.0.0.2\n",
            line(
                3,
                "`database.user` is postgres, the administrator of this host's PostgreSQL",
            ),
        ),
        (
            "server_name: a\ndatabase:\n  user: synapse-postgres-exporter\n  host: db.test\n",
            line(
                3,
                "`database.user` is synapse-postgres-exporter, the account of another service",
            ),
        ),
        (
            "server_name: a\nsynapse:\n  packages: [Matrix_Synapse==1.163.2]\n",
            line(3, "`synapse.packages` contains Synapse itself"),
        ),
        (
            "server_name: a\nsynapse:\n  packages: [a-b==1, A_B==2]\n",
            line(3, "`synapse.packages` contains both a-b==1 and A_B==2"),
        ),
        (
            "server_name: a\ndatabase:\n  cp_min: 9\n  cp_max: 4\n",
            line(3, "`database.cp_min` is 9, more than"),
        ),
        (
            "server_name: a\ndatabase:\n  kind: sqlite\n  host: b\n",
            line(4, "`database.host` is b, but `database.kind` is sqlite"),
        ),
        (
            "server_name: a\ndatabase:\n  kind: external\n",
            line(3, "`database.kind` is external, but"),
        ),
        (
            "server_name: a\ncoturn:\n  enabled: true\n  port: 49160\n",
            line(
                4,
                "`coturn.port` is 49160, which is in the range for relayed calls, 49153 to 49652",
            ),
        ),
        (
            "server_name: a\ncoturn:\n  external_ip: 2a00::1\n  internal_ip: 10.0.0.2\n",
            line(
                3,
                "`coturn.external_ip` is 2a00::1 and `coturn.internal_ip` 10.0.0.2,",
            ),
        ),
        (
            "server_name: a\nwell_known:\n  client:\n    b: [{c: .inf}]\n",
            line(
                4,
                "`well_known.client` contains a number that JSON does not have",
            ),
        ),
        (
            "server_name: a\nwell_known:\n  client: {b: 1, b: 2}\n",
            line(3, "`well_known.client` contains a key twice"),
        ),
        (
            "server_name: a\nwell_known:\n  client:\n    <<: {b: 1}\n",
            line(4, "`well_known.client` contains `<<`"),
        ),
        (
            "server_name: a\nwell_known:\n  client:\n    [b]: 1\n",
            line(4, "expected a string"),
        ),
        (
            "server_name: a\nrtc:\n  transports:\n    type: livekit\n",
            line(
                3,
                "`rtc.transports` cannot be \"{\\\"type\\\":\\\"livekit\\\"}\": expected a list of mappings",
            ),
        ),
        (
            "server_name: a\npublic_baseurl: https://m.a\nrtc:\n  livekit_service_url: http://r.a\n",
            line(
                4,
                "`rtc.livekit_service_url` is http://r.a, but web clients reach it over HTTPS only",
            ),
        ),
        (
            "server_name: a\nrtc:\n  transports:\n    - type: b\n",
            line(3, "`rtc.transports` is set, but `public_baseurl` is not"),
        ),
        (
            "server_name: a\nwell_known: {client: {b: 1}}\n",
            line(2, "`well_known.client` is set, but `public_baseurl` is not"),
        ),
        (
            "server_name: a\npublic_baseurl: https://m.a\nrtc: {livekit_service_url: https://r.a}\n\
             well_known: {client: {org.matrix.msc4143.rtc_foci: []}}\n",
            line(
                4,
                "`well_known.client` contains `org.matrix.msc4143.rtc_foci`, which `rtc` sets as well",
            ),
        ),
        (
            "server_name: a\nserve_server_wellknown: true\npublic_baseurl: http://m.a:8008/\n",
            line(
                3,
                "`public_baseurl` is http://m.a:8008/, and `serve_server_wellknown` directs other homeservers to it,",
            ),
        ),
        (
            "server_name: a\nemail: {enabled: true, tls: none}\n",
            line(
                2,
                "`email.tls` is none, but `email.require_transport_security` is true",
            ),
        ),
        (
            "server_name: a\nemail:\n  tls: implicit\n",
            line(
                3,
                "`email.tls` is implicit, but mail servers greet in clear text on port 25",
            ),
        ),
        (
            "server_name: a\ndatabase:\n  sslmode: verify-full\n",
            line(
                3,
                "`database.sslmode` verifies the certificate, but `database.sslrootcert` is not set",
            ),
        ),
        (
            "server_name: a\ndatabase:\n  sslrootcert: /etc/ca.pem\n",
            line(
                3,
                "`database.sslrootcert` is set, but `database.sslmode` does not verify",
            ),
        ),
        (
            "server_name: a\ncompressor: {enabled: true}\ndatabase: {sslmode: verify-ca, sslrootcert: /ca.pem}\n",
            line(
                2,
                "`compressor.enabled` is true, but the state compressor cannot verify certificates",
            ),
        ),
        (
            "server_name: a\ndefault_identity_server: http://id.a\n",
            line(2, "`default_identity_server` is http://id.a, but clients"),
        ),
        (
            "",
            format!(
                "`server_name` is not set\n  help: pass --server-name NAME, or set `server_name` in {FILE}"
            ),
        ),
        (
            "server_name:\n",
            format!(
                "`server_name` is not set\n  help: pass --server-name NAME, or set `server_name` in {FILE}"
            ),
        ),
        ("server_name: ''\n", line(1, "`server_name` cannot be \"\"")),
    ];
    for (text, expected) in cases {
        let error = Provided::file(text).error();
        assert!(
            error.starts_with(&expected),
            "{error}\nexpected: {expected}"
        );
        let help = error.matches("\n  help: ").count();
        assert_eq!(error.matches('\n').count(), help, "{error}");
    }
}

#[test]
fn a_tree_is_read_as_json() {
    let text = "server_name: a\npublic_baseurl: https://m.a\nwell_known:\n  client:\n    io.element.e2ee:\n      \
                default: true   # comment\n      secure_backup_setup_methods: [passphrase, 'no']\n    1: -2\n    c: \
                &c {d: ~}\n    e: *c\nrtc:\n  transports:\n    - type: org.example.mesh\n      size: 1.5\n";
    let settings = Provided::file(text).load().unwrap().settings;
    let client = serde_json::to_value(settings.well_known.client.get()).unwrap();
    let expected = serde_json::json!({
        "1": -2,
        "c": {"d": null},
        "e": {"d": null},
        "io.element.e2ee": {"default": true, "secure_backup_setup_methods": ["passphrase", "no"]},
    });
    assert_eq!(client, expected);
    let transports = serde_json::to_value(settings.rtc.transports.get()).unwrap();
    let expected = serde_json::json!([{"type": "org.example.mesh", "size": 1.5}]);
    assert_eq!(transports, expected);
}

#[test]
fn yaml_bombs_are_refused() {
    let mut nested = "a: &a0 [x, x]\n".to_owned();
    for level in 1..40 {
        nested += &format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1);
    }
    let deep = |word: &str| {
        format!(
            "server_name: a\nworkers:\n  {}",
            word.repeat(900_000 / word.len())
        )
    };
    let wide = format!(
        "workers: &a [{}]\nbind_addresses: [{}]\n",
        "x,".repeat(1000),
        "*a,".repeat(1000)
    );
    let tree = format!(
        "well_known: {{client: {{a: &a [{}], b: [{}]}}}}\n",
        "1,".repeat(100),
        "*a,".repeat(100)
    );
    let long = [
        "[", "{", "- ", "? ", "a: ", "{a: ", "&a ", "!a ", "[a, ", "*a ", "'a' ",
    ];
    let texts = [nested, wide, tree].into_iter().chain(long.map(deep));
    for text in texts {
        // A naive parser would run for hours on each of these texts, or use all memory.
        let refused = Provided::file(text.clone()).load().map(|_| ());
        let error = refused.expect_err(&text[..60]).to_string();
        assert!(error.contains(" line ") && error.len() < 400, "{error}");
    }
}

/// The expected values follow Docker Compose's documentation of env-files.
#[test]
fn env_file_values_are_parsed_as_docker_parses_them() {
    for (written, meant) in [
        ("plain", "plain"),
        (" padded  ", "padded"),
        ("two words", "two words"),
        ("# nothing", ""),
        ("word # said about it", "word"),
        ("word\t# said about it", "word"),
        ("pass#word", "pass#word"),
        ("'a # b'", "a # b"),
        ("\"a # b\" # said about it", "a # b"),
        (
            r#""say \"hi\" for 5 \$ at C:\\n""#,
            r#"say "hi" for 5 $ at C:\n"#,
        ),
        (r#""\d""#, r"\d"),
        (r"'it\d'", r"it\d"),
        ("\"half", "\"half"),
        ("it's", "it's"),
        ("'a'b'", "a'b"),
        ("a=b=c", "a=b=c"),
    ] {
        for line in [
            format!("NAME={written}"),
            format!("export NAME = {written}\r"),
        ] {
            let read = read_env_file(Path::new("x.env"), &line).unwrap();
            assert_eq!(read[0].value, meant, "{line:?}");
        }
    }
}

#[test]
fn an_unknown_variable_is_noted_with_the_setting_that_was_meant() {
    let ignored = |name: &str, rest: &str| format!("unknown variable {name} is ignored{rest}");
    for (name, in_env_file, in_environment) in [
        (
            "SYNAPSE_ENABLE_METRICS",
            "; SYNAPSE_METRICS sets `metrics.enabled`",
            true,
        ),
        (
            "POSTGRES_CP_MAX",
            "; use the setting `database.cp_max`",
            true,
        ),
        (
            "POSTGRES_CP_MIN",
            "; use the setting `database.cp_min`",
            true,
        ),
        ("SYNAPSE_REDIS_HOST", "; use the setting `redis.host`", true),
        (
            "SYNAPSE_SMTP_PASSWORD",
            "; SYNAPSE_EMAIL_SMTP_PASS sets `smtp_password`",
            true,
        ),
        (
            "SYNAPSE_MAX_UPLOAD",
            "; did you mean SYNAPSE_MAX_UPLOAD_SIZE?",
            true,
        ),
        (
            "SYNAPSE_SEVER_NAME",
            "; did you mean SYNAPSE_SERVER_NAME?",
            true,
        ),
        (
            "NGINX_GZIP_COMP_LEVL",
            "; did you mean NGINX_GZIP_COMP_LEVEL?",
            false,
        ),
        (
            "PROMETHEUS_SCRAPE_INTERVALL",
            "; did you mean PROMETHEUS_SCRAPE_INTERVAL?",
            false,
        ),
        ("SYNAPSE_ASYNC_IO_REACTOR", "", false),
        ("POSTGRES_INITDB_ARGS", "", false),
        ("COTURN_QUOTA", "", false),
    ] {
        let mut provided = Provided::file("server_name: a");
        provided.env_file = Some(format!("{name}=x\n"));
        let notes = provided.load().expect("valid settings").notes;
        let expected = format!("synapse.env line 1: {}", ignored(name, in_env_file));
        assert_eq!(notes, [expected]);
        let mut provided = Provided::file("server_name: a");
        provided.environment.insert(name.to_owned(), "x".to_owned());
        let notes = provided.load().expect("valid settings").notes;
        let expected = in_environment.then(|| ignored(name, in_env_file));
        assert_eq!(notes, Vec::from_iter(expected), "{name}");
    }
}

#[test]
fn a_docker_env_file_is_read_unchanged() {
    let mut provided = Provided {
        env_file: Some(
            "\u{feff}# Docker\r\n\r\nSYNAPSE_SERVER_NAME='example.org'\r\nexport SYNAPSE_REPORT_STATS=Y \r\n\
             SYNAPSE_WORKER_TYPES=\"a=b+c, d:2\"\r\nSYNAPSE_HTTP_PORT=\r\nHOME\r\nTZ=UTC\r\nCOTURN_QUOTA=1\r\n"
                .to_owned(),
        ),
        ..Provided::default()
    };
    let loaded = provided.load().expect("valid settings");
    assert_eq!(loaded.settings.server_name.as_str(), "example.org");
    assert!(loaded.settings.report_stats);
    assert_eq!(loaded.settings.workers.0, ["a=b+c", "d:2"]);
    assert_eq!(loaded.settings.http_port.get(), 8008);
    assert_eq!(
        loaded.notes,
        ["synapse.env line 9: unknown variable COTURN_QUOTA is ignored"]
    );
    for text in ["two words", "=x", "a b=c"] {
        provided.env_file = Some(format!("#\n{text}\n"));
        assert!(
            provided
                .error()
                .starts_with("synapse.env line 2: expected NAME=VALUE"),
            "{text}"
        );
    }
}
