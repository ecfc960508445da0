//! Rendered files before the programs that read them: nginx, systemd, systemd-sysusers and systemd-tmpfiles. A missing
//! program fails the test; `tests/host/needs` installs them all.

use super::rendering::{HOSTILE_PATHS, setting};
use super::setup::{SPECS, Setup, text};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use synapse_workers::host;
use synapse_workers::state::paths;
use synapse_workers::state::paths::{SYSUSERS, TMPFILES};
use synapse_workers::state::units::all_to_verify;

/// A program by its name, even if `PATH` lacks the directories of system programs.
pub fn program(name: &str) -> Command {
    let path = host::find(name).unwrap_or_else(|_| panic!("no {name}; run: sudo tests/host/needs"));
    Command::new(path)
}

pub fn run(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}; run: sudo tests/host/needs"))
}

/// Everything that a program printed.
pub fn shown(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Runs the program as `nobody` if the test runs as root.
pub fn unprivileged(command: &mut Command) -> &mut Command {
    match nix::unistd::geteuid().is_root() {
        true => command.uid(65534).gid(65534),
        false => command,
    }
}

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Runs a program as root, or as root of a user namespace, with its own mounts.
pub fn privileged(name: impl AsRef<Path>) -> Command {
    let mut command = program("unshare");
    command.arg("--mount");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let name = name.as_ref();
    command.arg(
        host::find(name).unwrap_or_else(|_| panic!("no {name:?}; run: sudo tests/host/needs")),
    );
    command
}

/// Names and texts of the unit files. Programs that only a server has are replaced by programs that every machine has.
pub fn units(setup: Setup) -> BTreeMap<String, String> {
    units_on(None, setup)
}

/// The same for another host, given by its name.
fn units_on(host: Option<&str>, mut setup: Setup) -> BTreeMap<String, String> {
    setup.facts.redis = "true".to_owned();
    setup.facts.alertmanager = "true".to_owned();
    for program in [
        &mut setup.facts.exporters.nginx,
        &mut setup.facts.exporters.redis,
        &mut setup.facts.exporters.postgres,
    ] {
        *program = "true".to_owned();
    }
    setup.facts.program = "/bin/true".into();
    let state = match host {
        None => setup.state(),
        Some(host) => setup.state_on(host),
    };
    let prefix = format!("host{}/", paths::UNITS);
    let names = state
        .files
        .keys()
        .filter_map(|path| Some((path, path.strip_prefix(&prefix)?)));
    names
        .map(|(path, name)| {
            let python = format!("{}/bin/python", paths::COMPRESSOR);
            let unit = text(&state, path).replace(&python, "/bin/true");
            (name.to_owned(), unit)
        })
        .collect()
}

/// Asserts that `systemd-analyze verify` reports nothing about our units.
pub fn verify(units: &BTreeMap<String, String>) {
    if let Some(report) = problems(units) {
        panic!("{report}\n{units:#?}");
    }
}

/// The report of `systemd-analyze verify`; `None` if it accepts our units. It may report other units of the machine.
fn problems(units: &BTreeMap<String, String>) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    units
        .iter()
        .for_each(|(name, text)| write(directory.path(), name, text));
    let prefix = format!("host{}/", paths::UNITS);
    let paths: Vec<String> = units.keys().map(|name| format!("{prefix}{name}")).collect();
    let named = all_to_verify(paths.iter().map(String::as_str));
    let files = named
        .iter()
        .map(|path| directory.path().join(&path[prefix.len()..]));
    let output = run(program("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(files));
    let text = shown(&output);
    let accepted = output.status.success() && !text.lines().any(|line| line.contains("synapse-"));
    (!accepted).then_some(text)
}

#[test]
fn systemd_reports_an_unknown_option_of_a_unit() {
    let mut units = units(Setup::new("").python("/bin/sh"));
    let main = units.get_mut("synapse-main.service").unwrap();
    *main = main.replace("[Service]\n", "[Service]\nNoSuchOption=yes\n");
    let report = problems(&units).unwrap_or_default();
    assert!(report.contains("NoSuchOption"), "{report}");
}

#[test]
fn systemd_accepts_every_unit() {
    let limits =
        "limits: {worker_memory: 512M, main_memory: 2G, tasks: 100}\nsynapse: {jemalloc: false}";
    let mut different = BTreeSet::new();
    let metrics =
        "metrics: {enabled: true, redis: true, postgres: true}\nalerts: {email: [a@b.test]}";
    let proxy = "tls: {certificate: '/etc/ssl/100% \"a\" b.pem', key: /etc/ssl/$x.key}\n\
        nginx: {listen_unix_socket: /run/matrix/nginx.sock}";
    let coturn = "coturn: {enabled: true, port: 1000, metrics: true}";
    let compressor =
        "database: {kind: local}\ncompressor: {enabled: true, calendar: '*-*-* 03:30'}";
    let backup = "backup: {repository: '/srv/100% \"a\" b', calendar: 'Mon..Fri 03:30', check_calendar: '*-*-01 05:00'}";
    let settings = ["", limits, metrics, proxy, coturn, compressor, backup];
    for (spec, lines) in SPECS
        .iter()
        .flat_map(|spec| settings.map(|lines| (spec, lines)))
    {
        let setup = Setup::new(spec).settings(lines).python("/bin/sh");
        different.insert(units(setup));
    }
    for host in [None, Some("app2"), Some("app3")] {
        let setup = super::cluster::cluster().settings("metrics: {enabled: true, postgres: true}");
        different.insert(units_on(host, setup.python("/bin/sh")));
    }
    different.iter().for_each(verify);
}

/// The units as systemd parsed them: its test mode loads them with their dependencies and prints everything.
fn parsed_by_systemd(units: &BTreeMap<String, String>) -> String {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    units
        .iter()
        .for_each(|(name, text)| write(directory.path(), name, text));
    let wants: Vec<String> = units.keys().map(|name| format!("Wants={name}\n")).collect();
    write(
        directory.path(),
        "test.target",
        &format!("[Unit]\n{}", wants.concat()),
    );
    fs::create_dir(at("run")).unwrap();
    for (path, mode) in [(at(""), 0o755), (at("run"), 0o777)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let output = run(unprivileged(&mut Command::new("/usr/lib/systemd/systemd"))
        .args(["--user", "--test", "--no-pager", "--unit", "test.target"])
        .env_clear()
        .env(
            "SYSTEMD_UNIT_PATH",
            format!("{}:/usr/lib/systemd/user", at("").display()),
        )
        .env("HOME", at("run"))
        .env("XDG_RUNTIME_DIR", at("run")));
    assert!(output.status.success(), "{}", shown(&output));
    shown(&output)
}

#[test]
fn systemd_reads_hostile_paths_unchanged() {
    let mut main = BTreeMap::new();
    for (number, value) in HOSTILE_PATHS.iter().enumerate() {
        let setup = Setup::new("").settings(&setting("media_store_path", value));
        let unit = units(setup).remove("synapse-main.service").unwrap();
        main.insert(format!("synapse-{number}.service"), unit);
    }
    let text = parsed_by_systemd(&main);
    for value in HOSTILE_PATHS {
        let line = format!("ReadWritePaths: /var/lib/synapse {value} /run/synapse-workers");
        assert!(
            text.lines().any(|found| found.trim() == line),
            "not there: {line}\n{text}"
        );
    }
    let users = text.lines().filter(|line| line.trim() == "User: synapse");
    assert_eq!(users.count(), HOSTILE_PATHS.len(), "{text}");
}

/// Quotes and backslashes are not tested: systemd refuses programs with them, so validation rejects such a generation.
#[test]
fn systemd_runs_a_python_with_a_hostile_name() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (mut main, mut pythons) = (BTreeMap::new(), BTreeSet::new());
    for (number, name) in ["a b", "${HOME} $HOME $$", "100% %h", "a;b", "é"]
        .iter()
        .enumerate()
    {
        let python = directory.path().join(name);
        fs::copy("/bin/true", &python).unwrap();
        let setup = Setup::new("").settings("sockets: {held: false}");
        let setup = setup.python(&python);
        let unit = units(setup).remove("synapse-main.service").unwrap();
        main.insert(format!("synapse-{number}.service"), unit);
        pythons.insert(python.display().to_string());
    }
    verify(&main);
    let text = parsed_by_systemd(&main);
    let commands = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Command Line: "));
    let commands = commands.filter_map(|line| Some(line.split_once(" -m synapse")?.0));
    // The commands are printed with the quoting of a shell.
    let words = commands.map(|word| {
        shown(&run(
            Command::new("sh").args(["-c", &format!("printf %s {word}")])
        ))
    });
    assert_eq!(words.collect::<BTreeSet<String>>(), pythons, "{text}");
}

/// The real programs create accounts and directories below a temporary root.
#[test]
fn systemd_creates_accounts_and_directories_as_rendered() {
    for value in HOSTILE_PATHS {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path.trim_start_matches('/'));
        let state = Setup::new("synchrotron")
            .settings(&setting("media_store_path", value))
            .state();
        fs::create_dir_all(at("/etc")).unwrap();
        let (mut passwd, mut group) = (String::new(), String::new());
        for line in text(&state, SYSUSERS)
            .lines()
            .filter(|line| line.starts_with("u "))
        {
            let name = line.split(' ').nth(1).unwrap();
            passwd.push_str(&format!("{name}:x:0:0::/:/bin/false\n"));
            group.push_str(&format!("{name}:x:0:\n"));
        }
        write(
            &at("/etc"),
            "passwd",
            &format!("root:x:0:0::/:/bin/sh\n{passwd}"),
        );
        write(&at("/etc"), "group", &format!("root:x:0:\n{group}"));
        write(&at("/etc"), "tmpfiles.conf", text(&state, TMPFILES));
        let output = run(privileged("systemd-tmpfiles")
            .arg(format!("--root={}", root.path().display()))
            .arg("--create")
            .arg(at("/etc/tmpfiles.conf")));
        assert!(output.status.success(), "{value}: {}", shown(&output));
        for (path, mode) in [
            ("/var/lib/synapse", 0o750),
            (*value, 0o750),
            ("/run/synapse-workers", 0o755),
            ("/run/synapse-workers/public", 0o2750),
            ("/run/synapse-workers/replication", 0o2750),
            ("/run/synapse-workers/redis", 0o2750),
        ] {
            let found = fs::metadata(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(found.permissions().mode() & 0o7777, mode, "{path}");
        }
    }
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        "ours.conf",
        text(&Setup::new("full").state(), SYSUSERS),
    );
    let output = run(program("systemd-sysusers")
        .args(["--dry-run", &format!("--root={}", root.path().display())])
        .arg(root.path().join("ours.conf")));
    let text = shown(&output);
    assert!(output.status.success(), "{text}");
    for name in ["synapse", "synapse-nginx", "synapse-redis"] {
        assert!(text.contains(&format!("Creating user '{name}'")), "{text}");
    }
}

#[test]
fn systemd_creates_accounts_with_the_ids_of_the_settings() {
    // Settings, and the expected lines for Synapse's account in /etc/passwd and /etc/group.
    let cases = [
        ("synapse: {uid: 612}", Some("synapse:x:612:"), "synapse:x:"),
        (
            "synapse: {gid: 613}",
            Some(":613:Synapse homeserver:/var/lib/synapse:"),
            "synapse:x:613:",
        ),
        (
            "synapse: {uid: 612, gid: 613}",
            Some("synapse:x:612:613:"),
            "synapse:x:613:",
        ),
        ("synapse: {user: matrix, gid: 613}", None, "synapse:x:613:"),
        ("synapse: {user: matrix}", None, "synapse:x:"),
    ];
    for (settings, user, group) in cases {
        let root = tempfile::tempdir().unwrap();
        let state = Setup::new("").settings(settings).state();
        write(root.path(), "ours.conf", text(&state, SYSUSERS));
        fs::create_dir(root.path().join("etc")).unwrap();
        let output = run(privileged("systemd-sysusers")
            .arg(format!("--root={}", root.path().display()))
            .arg(root.path().join("ours.conf")));
        assert!(output.status.success(), "{settings}: {}", shown(&output));
        let lines = |file: &str| -> Vec<String> {
            let text = fs::read_to_string(root.path().join("etc").join(file)).unwrap();
            text.lines()
                .filter(|line| line.starts_with("synapse:"))
                .map(str::to_owned)
                .collect()
        };
        match user {
            Some(user) => assert!(
                lines("passwd")[0].contains(user),
                "{settings}: {:?}",
                lines("passwd")
            ),
            None => assert!(lines("passwd").is_empty(), "{settings}"),
        }
        assert!(
            lines("group")[0].starts_with(group),
            "{settings}: {:?}",
            lines("group")
        );
    }
}
