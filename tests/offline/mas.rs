//! The Matrix Authentication Service: who reaches it, what Synapse receives, and what contradicts it. `nginx/mas.rs` asks
//! a running nginx.

use super::sandbox::{UNITS, values};
use super::setup::{Setup, text};
use synapse_workers::state::{Resource, State, units};

const NEAR: &str = "mas: {endpoint: \"http://127.0.0.1:8090/\"}";

fn drop_in(worker: &str) -> String {
    format!("synapse-worker@{worker}.service.d/50-network.conf")
}

fn has_drop_in(state: &State, worker: &str) -> bool {
    let path = format!("{UNITS}{}", drop_in(worker));
    state.files.contains_key(&path)
}

/// A process that receives access tokens asks the service about each of them.
#[test]
fn processes_that_receive_tokens_reach_the_service_and_nothing_else() {
    for (endpoint, allowed) in [
        ("http://127.0.0.1:8090/", "localhost"),
        ("http://localhost:8090/", "localhost"),
        ("http://[::1]:8090/", "localhost"),
        ("http://172.17.0.2:8080/", "localhost, 172.17.0.2"),
        ("http://[fd00::2]:8080/", "localhost, fd00::2"),
    ] {
        let state =
            Setup::new("synchrotron, typing, pusher, appservice, background=account_data+receipts")
                .settings(&format!("mas: {{endpoint: {endpoint:?}}}"))
                .state();
        let files = [units::NGINX.to_owned()].into_iter();
        let files = files.chain(["synchrotron1", "typing1", "background1"].map(drop_in));
        for file in files {
            assert_eq!(values(&state, &file, "IPAddressDeny"), ["any"], "{file}");
            let addresses = values(&state, &file, "IPAddressAllow").join(", ");
            assert_eq!(addresses, allowed, "{file}");
            assert_eq!(values(&state, &file, "PrivateNetwork"), [""; 0], "{file}");
            let families = values(&state, &file, "RestrictAddressFamilies");
            assert!(
                families.last().unwrap().contains("AF_INET AF_INET6"),
                "{file}"
            );
            // It connects, and binds nothing.
            assert_eq!(values(&state, &file, "SocketBindDeny"), ["any"], "{file}");
        }
        // No user sends tokens to this one.
        let file = drop_in("appservice1");
        assert_eq!(
            values(&state, &file, "PrivateNetwork"),
            ["yes"],
            "{endpoint}"
        );
        assert!(!has_drop_in(&state, "pusher1"));
    }
    // A name may have any address.
    let state = Setup::new("synchrotron, appservice")
        .settings("mas: {endpoint: \"https://auth.example.test/\"}")
        .state();
    assert_eq!(values(&state, units::NGINX, "IPAddressDeny"), [""; 0]);
    assert_eq!(values(&state, units::NGINX, "CapabilityBoundingSet"), [""]);
    assert!(!has_drop_in(&state, "synchrotron1"));
    assert_eq!(
        values(&state, &drop_in("appservice1"), "PrivateNetwork"),
        ["yes"]
    );
    // Without the service, everything is as before.
    let state = Setup::new("synchrotron").state();
    assert_eq!(values(&state, units::NGINX, "PrivateNetwork"), ["yes"]);
    assert_eq!(
        values(&state, &drop_in("synchrotron1"), "PrivateNetwork"),
        ["yes"]
    );
}

#[test]
fn a_certificate_of_the_service_is_verified() {
    let mut setup = Setup::new("").settings("mas: {endpoint: \"https://auth.example.test/a\"}");
    setup.facts.authorities = "/etc/pki/tls/certs/ca-bundle.crt".to_owned();
    let state = setup.state();
    let nginx = text(&state, "nginx/nginx.conf");
    for line in [
        "server auth.example.test:443 max_fails=0;",
        "mas https://mas/a$request_uri;",
        "mas auth.example.test;",
        "proxy_ssl_verify on;",
        "proxy_ssl_trusted_certificate \"/etc/pki/tls/certs/ca-bundle.crt\";",
        "proxy_ssl_name auth.example.test;",
    ] {
        assert!(nginx.contains(line), "{line}\n{nginx}");
    }
    // The administrator's locations are outside of this one, and would inherit what the server has.
    let (server, locations) = nginx.rsplit_once("location / {").unwrap();
    assert!(!server.contains("proxy_ssl"), "{server}");
    let (_, others) = locations.split_once('}').unwrap();
    assert!(!others.contains("proxy_ssl"), "{others}");
    let near = Setup::new("").settings(NEAR).state();
    assert!(!text(&near, "nginx/nginx.conf").contains("proxy_ssl"));
}

#[test]
fn synapse_receives_the_url_and_a_secret() {
    let secret = Resource::Secret("mas_secret".to_owned());
    let state = Setup::new("small").settings(NEAR).state();
    let options = text(&state, "synapse/homeserver.yaml");
    assert!(
        options.contains(
            "matrix_authentication_service:\n  enabled: true\n  endpoint: \"http://127.0.0.1:8090/\"\n  \
             secret_path: \"/etc/synapse-workers/secrets/mas_secret\"\n"
        ),
        "{options}"
    );
    assert!(state.resources.contains(&secret));
    let without = Setup::new("small").state();
    assert!(!text(&without, "synapse/homeserver.yaml").contains("matrix_auth"));
    assert!(!without.resources.contains(&secret));
}

/// The rest of the configuration of an adopted server.
const OLD: &str = "server_name: example.test\nsigning_key_path: /k\nmedia_store_path: /m\n\
                   database: {name: sqlite3, args: {database: /d/homeserver.db}}\n";

#[test]
fn an_adopted_service_keeps_its_secret_in_the_adopted_file() {
    let enabled = "matrix_authentication_service: {enabled: true, endpoint: \"http://127.0.0.1:8090\", secret: s}\n";
    let setup = |more: &str| {
        Setup::new("")
            .settings(NEAR)
            .adopting(&format!("{OLD}{more}"))
    };
    let state = setup(enabled).state();
    assert!(!text(&state, "synapse/homeserver.yaml").contains("matrix_authentication_service"));
    assert!(
        !state
            .resources
            .contains(&Resource::Secret("mas_secret".to_owned()))
    );
    // A file that does not enable it does not decide.
    let state = setup("matrix_authentication_service: {enabled: false}\n").state();
    assert!(text(&state, "synapse/homeserver.yaml").contains("matrix_authentication_service"));
}

/// Each option with a value that Synapse refuses together with the service, and one that it accepts (config/mas.py).
#[test]
fn options_that_synapse_refuses_with_the_service_are_refused() {
    for (refused, accepted) in [
        (
            "password_config: {enabled: yes}",
            "password_config: {pepper: x}",
        ),
        (
            "password_config: {enabled: only_for_reauth}",
            "password_config: {enabled: no}",
        ),
        ("enable_registration: true", "enable_registration: false"),
        ("disable_registration: false", "disable_registration: true"),
        (
            "enable_registration_captcha: true",
            "enable_registration_captcha: false",
        ),
        ("user_consent: {version: 1}", "user_consent:"),
        ("oidc_providers: [{idp_id: a}]", "oidc_providers: []"),
        ("oidc_config: {enabled: true}", "oidc_config: {}"),
        (
            "saml2_config: {sp_config: {a: b}}",
            "saml2_config: {enabled: false, sp_config: {a: b}}",
        ),
        (
            "cas_config: {server_url: a}",
            "cas_config: {enabled: false}",
        ),
        ("jwt_config: {enabled: true}", "jwt_config: {secret: a}"),
        (
            "password_providers: [{module: a.B}]",
            "password_providers: []",
        ),
        ("ldap_config: {enabled: true}", "ldap_config: {}"),
        (
            "login_via_existing_session: {enabled: true}",
            "login_via_existing_session: {}",
        ),
        (
            "refresh_token_lifetime: 1d",
            "refreshable_access_token_lifetime: 5m",
        ),
        (
            "nonrefreshable_access_token_lifetime: 1d",
            "nonrefreshable_access_token_lifetime:",
        ),
        ("session_lifetime: 1d", "session_lifetime:"),
        ("enable_3pid_changes: true", "enable_3pid_changes: false"),
    ] {
        let key = refused.split(':').next().unwrap();
        let found = |setup: Setup| -> Vec<&str> {
            let refused = setup.deployment().refused_with_mas();
            refused.iter().map(|it| it.key).collect()
        };
        let with = |options: &str| Setup::new("").settings(NEAR).own("a.yaml", options);
        assert_eq!(found(with(refused)), [key], "{refused}");
        assert_eq!(found(with(accepted)), [""; 0], "{accepted}");
        assert_eq!(
            found(Setup::new("").own("a.yaml", refused)),
            [""; 0],
            "{refused}"
        );
        let adopted = Setup::new("")
            .settings(NEAR)
            .adopting(&format!("{OLD}{refused}\n"));
        assert_eq!(found(adopted), [key], "{refused}");
    }
    // The form before Synapse 1.136 is refused in any case.
    let former = "experimental_features: {msc3861: {enabled: true}}";
    let setup = Setup::new("").own("a.yaml", former);
    assert_eq!(setup.deployment().refused_with_mas().len(), 1);
}
