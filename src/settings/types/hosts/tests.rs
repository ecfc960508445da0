//! Hosts are read, written and taken out, and a wrong one is named.

use super::*;

fn parse(text: &str) -> Result<Hosts, Refused> {
    Value::parse(&Raw::Text(text.to_owned()))
}

#[test]
fn hosts_are_written_as_they_were_read() {
    for text in [
        r#"{"app2":{"address":"10.0.0.2","workers":["synchrotron:3","pusher"]}}"#,
        r#"{"a":{"address":"fd00::2","ssh":"admin@a.internal","workers":["typing"]},"b":{"address":"10.0.0.3","ssh":"b","workers":["pusher"]}}"#,
    ] {
        let hosts = parse(text).unwrap();
        assert_eq!(hosts.to_raw(), Some(Raw::Text(text.to_owned())));
    }
    let hosts = parse(r#"{"b":{"address":"10.0.0.2","workers":"pusher, synchrotron:2"}}"#).unwrap();
    assert_eq!(
        hosts.named("b").unwrap().workers,
        ["pusher", "synchrotron:2"]
    );
    assert!(parse("").unwrap().is_empty() && parse("{}").unwrap().to_raw().is_none());
}

#[test]
fn root_logs_in_at_the_address_unless_the_settings_say_otherwise() {
    for (ssh, expected) in [
        ("", "root@10.0.0.2"),
        (r#""ssh":"app2.internal","#, "root@app2.internal"),
        (r#""ssh":"admin@app2.internal","#, "admin@app2.internal"),
    ] {
        let text = format!(r#"{{"app2":{{"address":"10.0.0.2",{ssh}"workers":["pusher"]}}}}"#);
        assert_eq!(parse(&text).unwrap().all()[0].destination(), expected);
    }
}

#[test]
fn hosts_are_taken_out_by_their_names() {
    let hosts = r#"{"a":{"address":"10.0.0.2","workers":"pusher"},"b":{"address":"10.0.0.3","workers":"typing"}}"#;
    let mut hosts = parse(hosts).unwrap();
    let unknown = hosts.take(&["b".to_owned(), "c".to_owned()]).unwrap_err();
    assert_eq!(
        (unknown.name.as_str(), &unknown.known[..]),
        ("c", &["a".to_owned(), "b".to_owned()][..])
    );
    assert_eq!(hosts.all().len(), 2);
    // A name may be given twice.
    let taken = hosts.take(&["b".to_owned(), "b".to_owned()]).unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].name.as_str(), hosts.all().len()), ("b", 1));
    assert_eq!(hosts.take(&[]), Ok(Vec::new()));
}

#[test]
fn a_wrong_host_is_named() {
    let of = |name: &str, keys: &str| format!(r#"{{"{name}":{{{keys}}}}}"#);
    let right = r#""address":"10.0.0.2","workers":["pusher"]"#;
    for (text, expected) in [
        ("[]".to_owned(), "expected a mapping of names"),
        (
            of("App2", right),
            "\"App2\" cannot be the name of a host: expected a lower-case letter",
        ),
        (of("2app", right), "cannot be the name of a host"),
        (of("app_2", right), "cannot be the name of a host"),
        (of("abcdefghijklmnopq", right), "at most 16"),
        (of("main", right), "it has another meaning"),
        (of("first", right), "it has another meaning"),
        (
            of("a", r#""workers":["pusher"]"#),
            "`a.address`: expected an IP address",
        ),
        (
            of("a", r#""address":"a.internal","workers":["pusher"]"#),
            "`a.address`: expected an IP address",
        ),
        (
            of("a", r#""address":"10.0.0.2""#),
            "`a.workers`: expected a list of workers",
        ),
        (
            of("a", r#""address":"10.0.0.2","workers":[]"#),
            "`a.workers`: expected a list of workers",
        ),
        (
            of("a", r#""address":"10.0.0.2","workers":[1]"#),
            "`a.workers`: expected a list of workers",
        ),
        (
            of("a", &format!(r#"{right},"ssh":"-oProxyCommand=x""#)),
            "`a.ssh`: expected HOST or USER@HOST",
        ),
        (
            of("a", &format!(r#"{right},"ssh":"me@-x""#)),
            "`a.ssh`: expected HOST or USER@HOST",
        ),
        (
            of("a", &format!(r#"{right},"worker":"x""#)),
            "`a` has no key `worker`; did you mean `workers`?",
        ),
        (r#"{"a":"10.0.0.2"}"#.to_owned(), "`a`: expected a mapping"),
    ] {
        let reason = parse(&text).unwrap_err().reason;
        assert!(reason.contains(expected), "{text}: {reason}");
    }
}
