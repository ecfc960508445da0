//! Calls that are reserved to one module: only `host/files` works on files, only `host/tools` starts programs, and only
//! `host` uses D-Bus, accounts and sockets.

use std::fs;
use std::path::{Path, PathBuf};

/// The Rust files of the program.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => found.extend(sources(&path)),
            false => found.extend(
                path.extension()
                    .is_some_and(|kind| kind == "rs")
                    .then_some(path),
            ),
        }
    }
    found
}

/// The code of a file without its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    code.to_owned()
}

#[test]
fn only_host_touches_the_machine() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rules: [(&str, &[&str]); 3] = [
        (
            "host/",
            &["zbus", "users::", "UnixStream", "TcpStream", "TcpListener"],
        ),
        (
            "host/files/",
            &[
                "std::fs",
                " fs::",
                "(fs::",
                "File::create",
                "File::open",
                "OpenOptions",
                "tempfile",
                "nix::fcntl",
                "nix::dir",
                "nix::unistd::fchown",
                "fs::chown",
                "unlinkat",
                ".exists()",
                ".is_dir()",
                ".is_symlink()",
                "read_dir",
            ],
        ),
        (
            "host/tools/",
            &[
                "process::Command",
                "Command::new(",
                "pre_exec",
                "posix_spawn",
                "execv",
            ],
        ),
    ];
    let mut allowed = [0; 3];
    for path in sources(&top) {
        let name = path.strip_prefix(&top).unwrap().to_str().unwrap();
        let code = code(&path);
        for ((place, words), count) in rules.iter().zip(&mut allowed) {
            let found = words.iter().filter(|word| code.contains(*word));
            if name.starts_with(place) {
                *count += found.count();
                continue;
            }
            let found: Vec<_> = found.collect();
            assert!(
                found.is_empty(),
                "src/{name} has {found:?}, which belong in src/{place}"
            );
        }
    }
    // The modules in question contain these words, so the search is not blind.
    assert!(allowed.iter().all(|count| *count > 2), "{allowed:?}");
}
