//! The notation is understood, and each mistake has its own message with a remedy.

use super::*;

fn canonical(text: &str) -> String {
    let specs = parse(&[text]).unwrap_or_else(|error| panic!("{text}: {error}"));
    specs
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn entries_are_understood() {
    for (text, expected) in [
        ("", ""),
        (" \t", ""),
        ("synchrotron", "synchrotron"),
        (" synchrotron : 3 ,\tpusher:1", "synchrotron:3, pusher"),
        ("presence+account_data", "account_data+presence"),
        ("streams = typing + presence", "streams=typing+presence"),
        ("presence+account_data=presence", "!"),
        ("a=pusher:2, b=pusher, a=pusher", "a=pusher:3, b=pusher"),
        ("pusher, pusher:2", "pusher:3"),
        ("pusher=pusher:2", "pusher:2"),
        (
            "account_data-presence=presence+account_data",
            "account_data+presence",
        ),
        ("pusher:0", ""),
        ("pusher:0, typing:001", "typing"),
    ] {
        if expected == "!" {
            assert!(parse(&[text]).is_err(), "{text}");
        } else {
            assert_eq!(canonical(text), expected, "{text:?}");
            assert_eq!(canonical(expected), expected, "canonical form is stable");
        }
    }
    assert_eq!(parse(&[] as &[&str]), Ok(Vec::new()));
    assert_eq!(
        parse(&["full"]).unwrap(),
        parse(&[preset("full").unwrap().spec]).unwrap()
    );
    assert_eq!(parse(&["pusher", "typing, pusher"]).unwrap().len(), 2);
}

#[test]
fn an_error_names_the_mistake_and_its_remedy() {
    for case in [
        "syncrotron => unknown role \"syncrotron\"\n  help: did you mean synchrotron?",
        "fuul => did you mean full?",
        "generic_worker:2 => unknown role \"generic_worker\"\n  help: write the roles whose requests it serves",
        "synapse.app.generic_worker => the roles whose requests it serves: synchrotron,",
        "synapse.app.homeserver => the main process always runs",
        "client-reader => did you mean client_reader?",
        "initial-synchrotron => use synchrotron",
        "stream_writers => event_persister,",
        "nonsense => the roles are pusher, federation_sender,",
        ":2 => lacks a role",
        ":x => invalid count",
        "=pusher => invalid name \"\"",
        "x= => lacks a role",
        "typing++presence => lacks a role",
        "typing,,presence => an entry between two commas is empty",
        ", => an entry between two commas is empty",
        "typing, => an entry between two commas is empty",
        "pusher:-1 => invalid count \"-1\"",
        "pusher:+1 => invalid count \"+1\"",
        "pusher:x => invalid count \"x\"",
        "pusher: => invalid count \"\"",
        "pusher:2+typing => after the last role",
        "pusher:101 => more than 100 workers",
        "pusher:10000 => more than 100 workers",
        "pusher:99999999999999999999 => more than 100 workers",
        "pusher:60, pusher:60 => more than 100 workers",
        "typing+typing => contains the role typing twice",
        "a=typing, a=presence => different roles, typing and presence",
        "pusher\n => \"pusher\\n\" contains a control character",
        "pusher\0 => contains a control character",
        "pu sher => unknown role \"pu sher\"",
        "-a=pusher => invalid name",
        "a b=pusher => invalid name",
        "ä=pusher => invalid name",
        "a.b=pusher => invalid name",
        "a%i=pusher => invalid name",
        "main=pusher => main process",
        "master=pusher => main process",
        "typing=pusher => is a role",
        "full:2 => cannot have a name, a count or another role",
        "x=full => cannot have a name, a count or another role",
        "typing+small => cannot have a name, a count or another role",
        "Pusher => did you mean pusher?",
        "pusher+federation_sender+appservice+background_worker => NAME=pusher+federation_sender",
    ] {
        let (text, expected) = case.split_once(" => ").unwrap();
        let error = parse(&[text]).expect_err(text).to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
        assert_eq!(error.matches("\n  help: ").count(), 1, "{text:?}: {error}");
        assert_eq!(error.lines().count(), 2, "{text:?}: {error}");
    }
}
