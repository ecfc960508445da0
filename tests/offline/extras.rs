//! Optional Python packages: which options need which extra of Synapse, and where the venv with them is.

use super::adoption;
use super::model::{End, Model};
use super::setup::{Setup, text};
use std::collections::BTreeSet;
use synapse_workers::plan::step::{Step, Validator};
use synapse_workers::state::restart_rules::PACKAGES;
use synapse_workers::state::{Resource, State};

fn with(options: &str) -> Setup {
    Setup::new("synchrotron").own("options.yaml", options)
}

/// The extras of the venv besides those of every venv.
fn extras(setup: &Setup) -> String {
    let extras = setup.deployment().venv().extras;
    extras.into_iter().collect::<Vec<_>>().join(" ")
}

#[test]
fn an_option_adds_the_extra_that_synapse_refuses_to_start_without() {
    for (options, expected) in [
        ("presence: {enabled: false}", ""),
        ("oidc_providers: [{idp_id: a}]", "oidc"),
        ("oidc_providers: []", ""),
        ("oidc_providers:", ""),
        ("oidc_config: {enabled: true}", "oidc"),
        // As Synapse reads them: a key that is set twice, a merge, a boolean of YAML 1.1.
        (
            "report_stats: true\nreport_stats: false\noidc_providers: [{idp_id: a}]",
            "oidc",
        ),
        ("x: &x {enabled: true}\noidc_config: {<<: *x}", "oidc"),
        ("oidc_config: {enabled: off}", ""),
        ("oidc_config: {issuer: x}", ""),
        ("saml2_config: {sp_config: {metadata: {}}}", "saml2"),
        ("saml2_config: {config_path: /x}", "saml2"),
        ("saml2_config: {enabled: false, config_path: /x}", ""),
        ("saml2_config: {user_mapping_provider: {}}", ""),
        // Synapse requires the package even while this is not enabled.
        ("jwt_config: {enabled: false}", "jwt"),
        ("jwt_config: {}", ""),
        ("sentry: {dsn: x}", "sentry"),
        ("sentry:", "sentry"),
        ("opentracing: {enabled: true}", "opentracing"),
        ("opentracing: {enabled: no}", ""),
        ("opentracing: {jaeger_config: {}}", ""),
        ("caches: {track_memory_usage: true}", "cache-memory"),
        ("caches: {global_factor: 2}", ""),
        (
            "modules: [{module: ldap_auth_provider.LdapAuthProviderModule, config: {}}]",
            "matrix-synapse-ldap3",
        ),
        (
            "password_providers: [{module: ldap_auth_provider.LdapAuthProvider}]",
            "matrix-synapse-ldap3",
        ),
        ("modules: [{module: other.Module}]", ""),
        (
            "jwt_config: {enabled: true}\nsentry: {dsn: x}",
            "jwt sentry",
        ),
    ] {
        assert_eq!(extras(&with(options)), expected, "{options}");
    }
}

#[test]
fn the_last_file_that_sets_an_option_decides() {
    let off = with("oidc_providers: [{idp_id: a}]").own("z.yaml", "oidc_providers: []");
    assert_eq!(extras(&off), "");
    let on = with("oidc_providers: []").own("z.yaml", "oidc_providers: [{idp_id: a}]");
    assert_eq!(extras(&on), "oidc");
}

#[test]
fn the_files_of_an_adopted_server_count() {
    let adopted = |own: &str| {
        Setup::new("")
            .settings("database: {kind: external, host: 127.0.0.1}")
            .adopting(&format!(
                "{}\nsaml2_config: {{config_path: /x}}\n",
                adoption::OLD
            ))
            .own("own.yaml", own)
    };
    assert_eq!(extras(&adopted("")), "saml2");
    assert_eq!(extras(&adopted("saml2_config: {enabled: false}")), "");
}

#[test]
fn a_foreign_python_needs_the_same_extras() {
    let needs = |setup: &Setup| setup.deployment().extras().collect::<BTreeSet<_>>();
    let own = Setup::new("synchrotron").python("/usr/bin/python3");
    assert_eq!(needs(&own), ["postgres", "redis"].into());
    let oidc = own.own("options.yaml", "oidc_providers: [{idp_id: a}]");
    assert_eq!(needs(&oidc), ["oidc", "postgres", "redis"].into());
    // This program installs nothing into it.
    assert!(!oidc.state().files.contains_key(PACKAGES));
}

fn python(state: &State) -> String {
    let unit = text(state, "host/etc/systemd/system/synapse-main.service");
    let (_, rest) = unit.split_once("=:/opt/synapse-workers/").unwrap();
    rest.split_once("/bin/python").unwrap().0.to_owned()
}

#[test]
fn a_package_gives_a_venv_of_its_own_that_is_validated_before_the_switch() {
    let base = Setup::new("synchrotron");
    let more = base
        .clone()
        .settings("synapse: {packages: [Some_Module==1.0]}");
    let spelled = base
        .clone()
        .settings("synapse: {packages: [some-module==1.0]}");
    let (base, more) = (base.state(), more.state());
    assert_eq!(python(&base), "venv-1.163.2");
    assert!(
        python(&more).starts_with("venv-1.163.2-"),
        "{}",
        python(&more)
    );
    assert_eq!(python(&more), python(&spelled.state()));
    assert_eq!(
        text(&more, PACKAGES),
        "matrix-synapse[redis,url-preview]==1.163.2\nsome-module==1.0\n"
    );

    let mut model = Model::running(&base);
    let plan = model.run(&more, End::Done);
    let place = |of: &dyn Fn(&Step) -> bool| plan.steps.iter().position(of);
    let made = place(&|step| matches!(step, Step::Create(Resource::Venv(_))));
    let parsed = place(
        &|step| matches!(step, Step::Validate { validator: Validator::Synapse(all), .. } if all.len() == 2),
    );
    let switch = place(&|step| matches!(step, Step::Switch { .. }));
    assert!(made.is_some() && made < parsed && parsed < switch, "{plan}");
    // The release is the same, so neither the schema is checked nor does every process stop.
    assert!(!plan.checks_schema(), "{plan}");
    let printed = plan.to_string();
    for part in [
        "+ create  Synapse 1.163.2 with some-module==1.0 in /opt/synapse-workers/venv-1.163.2-",
        "! restart synapse-main.service",
        "because synapse/packages changed: Synapse imports Python packages only at start",
    ] {
        assert!(printed.contains(part), "{part}\n{plan}");
    }
    assert!(!printed.contains("! stop"), "{plan}");
    assert!(model.run(&more, End::Done).is_empty());
}

#[test]
fn a_failed_run_removes_the_venv_that_it_created() {
    let base = Setup::new("synchrotron").state();
    let more = with("oidc_providers: [{idp_id: a}]").state();
    let venv = |state: &State| {
        let mut all = state.resources.iter();
        all.find(|it| matches!(it, Resource::Venv(_)))
            .cloned()
            .unwrap()
    };
    let mut model = Model::running(&base);
    model.fails(&more, End::Verification);
    assert!(model.resources.contains(&venv(&base)));
    assert!(!model.resources.contains(&venv(&more)));
}
