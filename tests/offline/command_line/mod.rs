//! The program as a user calls it, on a machine that it must not change: exit statuses and output.

mod adopted_kinds;
mod adopting;
mod hosts;
mod refusals;

use crate::nginx::certificate;
use crate::validators::{run, shown, unprivileged};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tempfile::TempDir;

/// A directory with a copy of the program that every account may run. The build directory may be accessible to its
/// owner only.
fn copied() -> Arc<TempDir> {
    static SHARED: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let program = directory.path().join("synapse-workers");
        // A separate program copies the file, because a file that this process has open for writing cannot be executed.
        let mut install = Command::new("install");
        let output = run(install
            .arg(env!("CARGO_BIN_EXE_synapse-workers"))
            .arg(program));
        assert!(output.status.success(), "{}", shown(&output));
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        *shared = Arc::downgrade(&directory);
        directory
    })
}

/// A working directory in which the program runs without privileges and with an empty environment.
struct WorkDir {
    directory: TempDir,
    program: Arc<TempDir>,
}

impl WorkDir {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let program = copied();
        Self { directory, program }
    }

    fn with(settings: &str) -> Self {
        let place = Self::new();
        fs::write(place.at("settings.yaml"), settings).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn program(&self) -> PathBuf {
        self.program.path().join("synapse-workers")
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(self.program());
        let path = std::env::var("PATH").unwrap();
        command
            .args(words(arguments))
            .current_dir(self.directory.path());
        unprivileged(command.env_clear().env("PATH", path));
        command
    }

    fn run(&self, arguments: &str) -> Output {
        run(&mut self.command(arguments))
    }

    /// Runs the program, asserts success and returns its output.
    fn prints(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{arguments}: {}",
            shown(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// The contents of every file below a directory, and the target of every symbolic link.
    fn files(&self, below: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        walk(&self.at(below), &mut files);
        let root = self.at(below);
        let relative = |path: PathBuf| path.strip_prefix(&root).unwrap().to_owned();
        files
            .into_iter()
            .map(|(path, contents)| (relative(path), contents))
            .collect()
    }
}

/// Splits arguments at spaces; `'…'` quotes an argument that contains spaces.
fn words(arguments: &str) -> Vec<String> {
    let quoted = arguments.split('\'').enumerate();
    let words = quoted.flat_map(|(number, part)| match number % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

fn walk(path: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let kind = fs::symlink_metadata(path).unwrap().file_type();
    if kind.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        entries.for_each(|entry| walk(&entry.unwrap().path(), files));
    } else if kind.is_symlink() {
        let target = fs::read_link(path).unwrap();
        files.insert(
            path.to_owned(),
            target.into_os_string().into_encoded_bytes(),
        );
    } else if !kind.is_fifo() {
        files.insert(path.to_owned(), fs::read(path).unwrap_or_default());
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn render_needs_no_root_and_is_deterministic() {
    let place = WorkDir::new();
    for root in ["one", "two"] {
        let text = place.prints(&format!(
            "render --root {root} --server-name a.test --preset medium"
        ));
        assert!(text.ends_with(&format!(" files below {root}\n")), "{text}");
    }
    let files = place.files("one");
    assert!(files == place.files("two"), "two runs differ");
    assert_eq!(
        files[Path::new("var/lib/synapse-workers/current")],
        b"generations/1"
    );
    for path in [
        "etc/synapse-workers/settings.yaml",
        "etc/systemd/system/synapse-worker@.service",
        "var/lib/synapse-workers/generations/1/nginx/nginx.conf",
    ] {
        assert!(files.contains_key(Path::new(path)), "{path}");
    }
    // The program reads the settings file that it wrote, and renders the same files from it.
    place.prints("render --root one");
    assert!(
        files == place.files("one"),
        "its own settings file asks for something else"
    );
}

#[test]
fn routes_name_the_processes_of_a_request() {
    let place = WorkDir::with("server_name: a.test\nworkers: [synchrotron:2, typing]\n");
    let ask = |request: &str| {
        json(&place.prints(&format!("routes {request} --json --settings settings.yaml")))
    };
    let sync = ask("get '/_matrix/client/v3/sync?since=x'");
    assert_eq!(sync["method"], "GET");
    assert_eq!(sync["upstream"], "synchrotron");
    assert_eq!(
        sync["processes"],
        serde_json::json!(["synchrotron1", "synchrotron2"])
    );
    assert_eq!(sync["balance"], "user");
    assert_eq!(
        ask("GET /_matrix/client/v3/nonsense")["processes"],
        serde_json::json!(["main"])
    );
    let table = ask("");
    assert_eq!(table["otherwise"], "main");
    assert_eq!(table["upstreams"].as_array().unwrap().len(), 3);

    let text =
        place.prints("routes PUT /_matrix/client/v3/rooms/x/typing/y --settings settings.yaml");
    assert!(text.starts_with("typing: typing1\n"), "{text}");
    let text = place.prints("routes --settings settings.yaml");
    assert!(
        text.contains("any              main                     everything else"),
        "{text}"
    );
}

#[test]
fn help_manual_completions_and_presets_are_complete() {
    let place = WorkDir::new();
    let help = place.prints("--help");
    for command in [
        "install",
        "plan",
        "scale",
        "status",
        "advise",
        "top",
        "routes",
        "verify",
        "doctor",
        "rollback",
        "upgrade",
        "uninstall",
        "presets",
    ] {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command} in {help}"
        );
        place.prints(&format!("{command} --help"));
    }
    assert_eq!(
        place.prints("--version"),
        concat!("synapse-workers ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let presets = place.prints("presets");
    let names: Vec<&str> = presets
        .lines()
        // The list of its workers is indented below each preset.
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["small", "medium", "large", "full"]);
    let presets = place.prints("presets --json");
    let presets: Vec<Value> = presets.lines().map(json).collect();
    assert_eq!(presets.len(), names.len());
    for preset in presets {
        assert!(preset["workers"].is_string(), "{preset}");
    }

    place.prints("generate man man");
    place.prints("generate completions completions");
    let manual = place.files("man");
    for page in [
        "synapse-workers.8",
        "synapse-workers-install.8",
        "synapse-workers-settings.5",
    ] {
        assert!(manual[Path::new(page)].starts_with(b".ie"), "{page}");
    }
    for shell in [
        "synapse-workers.bash",
        "_synapse-workers",
        "synapse-workers.fish",
    ] {
        assert!(place.at("completions").join(shell).exists(), "{shell}");
    }
}

#[test]
fn a_closed_output_pipe_is_no_error() {
    let place = WorkDir::new();
    for arguments in [
        "routes --server-name a.test --preset full",
        "presets",
        "--help",
    ] {
        let mut command = place.command(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(shown(&output), "", "{arguments}");
        // A program that ends by SIGPIPE also ends when psql refuses to connect before it has read its input.
        assert!(output.status.success(), "{arguments}: {}", output.status);
    }
}

/// In this case the program knows of no problem with the certificate.
#[test]
fn a_missing_temporary_directory_is_not_blamed_on_the_certificate() {
    let place =
        WorkDir::with("server_name: a.test\ntls: {certificate: /tmp/c.pem, key: /tmp/k.pem}\n");
    certificate(&place.at("k.pem"), &place.at("c.pem"));
    for name in ["k.pem", "c.pem"] {
        fs::set_permissions(place.at(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let text = fs::read_to_string(place.at("settings.yaml")).unwrap();
    let text = text.replace("/tmp", place.directory.path().to_str().unwrap());
    fs::write(place.at("settings.yaml"), text).unwrap();
    let mut doctor = place.command("doctor --settings settings.yaml");
    let output = run(doctor.env("TMPDIR", "/nonexistent"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("cannot create a directory for temporary files: cannot make /nonexistent/"),
        "{text}"
    );
    assert!(
        text.contains("set TMPDIR to one") && !text.contains("set tls.certificate"),
        "{text}"
    );
}
