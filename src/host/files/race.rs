//! Tests that no account can redirect root out of a directory in which that account may change names, whenever it
//! changes them.
//!
//! Each operation runs many times. In each run, another account replaces a name with a symbolic link between two of the
//! system calls, and every pair is covered. A directory that all accounts may write represents that account.

use super::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

type Other = Box<dyn FnMut()>;
type Operation = fn(&Tree) -> Result<String>;

thread_local! {
    static OTHER: RefCell<Option<Other>> = const { RefCell::new(None) };
}

/// Called before each system call of this module.
pub(super) fn meanwhile() {
    let other = OTHER.with(|other| other.borrow_mut().take());
    if let Some(mut work) = other {
        work();
        OTHER.with(|other| *other.borrow_mut() = Some(work));
    }
}

/// Runs an operation beside another account. Returns the number of system calls as well.
fn beside<T>(operation: impl FnOnce() -> T, mut other: impl FnMut(usize) + 'static) -> (T, usize) {
    let calls = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = calls.clone();
    let work = Box::new(move || {
        other(count.get());
        count.set(count.get() + 1);
    });
    OTHER.with(|other| *other.borrow_mut() = Some(work));
    let result = operation();
    OTHER.with(|other| *other.borrow_mut() = None);
    (result, calls.get())
}

/// A directory of the other account, and a directory that it attacks.
struct Tree {
    top: tempfile::TempDir,
}

const SECRET: &str = "secret";

impl Tree {
    fn new() -> Self {
        let tree = Self {
            // In memory: these files need no disk.
            top: tempfile::tempdir_in("/dev/shm").unwrap(),
        };
        for directory in ["outside/directory/deep", "shared/sub/deep"] {
            fs::create_dir_all(tree.at(directory)).unwrap();
        }
        for file in [
            "outside/file",
            "outside/directory/file",
            "outside/directory/deep/file",
        ] {
            fs::write(tree.at(file), SECRET).unwrap();
            fs::set_permissions(tree.at(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        for file in ["shared/file", "shared/sub/file", "shared/sub/deep/file"] {
            fs::write(tree.at(file), "shared").unwrap();
        }
        for directory in ["shared", "shared/sub", "shared/sub/deep"] {
            fs::set_permissions(tree.at(directory), fs::Permissions::from_mode(0o777)).unwrap();
        }
        tree
    }

    fn at(&self, path: &str) -> PathBuf {
        self.top.path().join(path)
    }

    /// All files outside of the shared directory that an attack could change.
    fn outside(&self) -> BTreeMap<PathBuf, (u32, u32, u32, String)> {
        let mut found = BTreeMap::new();
        let mut waiting = vec![self.at("outside")];
        while let Some(path) = waiting.pop() {
            let data = fs::symlink_metadata(&path).unwrap();
            let mut contents = String::new();
            if data.is_dir() {
                waiting.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            } else {
                contents = fs::read_to_string(&path).unwrap();
            }
            found.insert(path, (data.mode(), data.uid(), data.gid(), contents));
        }
        found
    }
}

/// The attack: the other account replaces a name with a link.
fn put_link(name: &Path, target: &Path, number: usize) {
    if fs::symlink_metadata(name).is_ok() {
        let aside = name.with_file_name(format!("aside{number}"));
        let _ = fs::rename(name, aside);
    }
    let _ = symlink(target, name);
}

/// Operations below `shared`. Each returns everything that it read.
fn operations() -> Vec<(&'static str, Operation)> {
    vec![
        ("read", |tree| {
            Ok(read_text(tree.at("shared/sub/file"))?.unwrap_or_default())
        }),
        ("names", |tree| Ok(names(tree.at("shared/sub")).join(" "))),
        ("replace", |tree| {
            done(replace(tree.at("shared/file"), b"new", 0o644))
        }),
        ("replace below", |tree| {
            let owner = fs::metadata(tree.at("shared"))?;
            let access = Access::numbers(owner.uid(), owner.gid(), 0o666);
            done(replace(tree.at("shared/sub/file"), b"new", access))
        }),
        ("rewrite", |tree| {
            done(rewrite(tree.at("shared/file"), b"new"))
        }),
        ("directory", |tree| {
            done(directory(tree.at("shared/sub"), 0o777))
        }),
        ("directories", |tree| {
            done(directory(tree.at("shared/new/deep"), 0o777))
        }),
        ("replace_link", |tree| {
            done(replace_link(tree.at("shared/link"), "file"))
        }),
        ("publish", |tree| {
            let entries = [
                ("a/b", Some(&b"x"[..]), Access::from(0o666)),
                ("c", None, Access::from(0o666)),
            ];
            done(publish(tree.at("shared/new"), entries))
        }),
        ("rename", |tree| {
            done(rename(tree.at("shared/file"), tree.at("shared/sub/new")))
        }),
        ("remove", |tree| done(remove(tree.at("shared/sub/file")))),
        ("remove empty", |tree| {
            remove_tree(tree.at("shared/sub/deep"))?;
            done(remove_empty(tree.at("shared/sub/deep")))
        }),
        ("remove tree", |tree| {
            done(remove_tree(tree.at("shared/sub")))
        }),
        ("back_up", |tree| {
            let backup = back_up(tree.at("shared/file"))?;
            done(backup.map_or(Ok(()), |backup| backup.restore(false)))
        }),
        ("lock", |tree| {
            done(lock(tree.at("shared/lock"), Duration::ZERO).map(drop))
        }),
    ]
}

fn done(result: Result<()>) -> Result<String> {
    result.map(|()| String::new())
}

#[test]
fn no_change_of_names_leads_out_of_a_directory() {
    // Each name with the link target that helps an attack most: the same names exist below the target.
    let links = [
        ("shared/file", "outside/file"),
        ("shared/sub", "outside/directory"),
        ("shared/sub/file", "outside/file"),
        ("shared/sub/deep", "outside/directory/deep"),
        ("shared/sub/deep/file", "outside/file"),
        ("shared/sub/new", "outside/file"),
        ("shared/new", "outside/directory"),
        ("shared/new/deep", "outside/directory/deep"),
        ("shared/.draft", "outside/directory"),
        ("shared/.draft/a", "outside/directory"),
        ("shared/link.next", "outside/file"),
        ("shared/lock", "outside/file"),
    ];
    let mut attacks = 0;
    for (operation, work) in operations() {
        let tree = Tree::new();
        let (result, calls) = beside(|| work(&tree), |_| {});
        result.unwrap_or_else(|error| panic!("{operation} without another account: {error:#}"));
        for (link, to) in links {
            // Once before each system call, and repeatedly from each system call on.
            for (moment, once) in (0..=calls).flat_map(|moment| [(moment, true), (moment, false)]) {
                let tree = Tree::new();
                let before = tree.outside();
                let (name, target) = (tree.at(link), tree.at(to));
                let other = move |call| {
                    if call == moment || (!once && (moment..moment + 40).contains(&call)) {
                        put_link(&name, &target, call);
                    }
                };
                let (result, _) = beside(|| work(&tree), other);
                let attack = format!("{operation}, {link} at call {moment}");
                assert_eq!(tree.outside(), before, "{attack}");
                // The operation fails, or affects only files inside of the directory.
                let seen = result.unwrap_or_default();
                let outside = [SECRET, "directory"].iter().any(|word| seen.contains(word));
                assert!(!outside, "{attack}: {seen}");
                attacks += 1;
            }
        }
    }
    assert!(attacks > 5_000, "{attacks}");
}

#[test]
fn links_of_root_are_followed_and_those_of_others_are_named() {
    let tree = Tree::new();
    symlink("outside/directory", tree.at("own")).unwrap();
    assert_eq!(
        read_text(tree.at("own/file")).unwrap().as_deref(),
        Some(SECRET)
    );
    rewrite(tree.at("own/file"), b"new").unwrap();
    assert_eq!(
        fs::read_to_string(tree.at("outside/directory/file")).unwrap(),
        "new"
    );
    symlink(tree.at("outside/file"), tree.at("settings")).unwrap();
    rewrite(tree.at("settings"), b"new").unwrap();
    assert!(
        fs::symlink_metadata(tree.at("settings"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(
        fs::metadata(tree.at("outside/file")).unwrap().mode() & 0o777,
        0o600
    );

    symlink(tree.at("outside"), tree.at("shared/link")).unwrap();
    for result in [
        read(tree.at("shared/link/file")).map(drop),
        replace(tree.at("shared/link/file"), b"x", 0o644),
        remove(tree.at("shared/link/file")),
        remove_tree(tree.at("shared/link/directory")),
        directory(tree.at("shared/link"), 0o777),
        rewrite(tree.at("shared/link"), b"x"),
    ] {
        let error = format!("{:#}", result.unwrap_err());
        assert!(
            error.contains("link is a symbolic link that an account other than root"),
            "{error}"
        );
    }
    // The link itself may be removed.
    remove_tree(tree.at("shared/link")).unwrap();
    assert!(tree.at("outside/file").exists() && !tree.at("shared/link").is_symlink());
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let tree = Tree::new();
    nix::unistd::mkfifo(&tree.at("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    for path in [
        tree.at("pipe"),
        tree.at("shared"),
        PathBuf::from("/dev/zero"),
    ] {
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("not a regular file"), "{error}");
    }
}

#[test]
fn a_tree_of_any_depth_goes() {
    let tree = Tree::new();
    // The tree is deeper than the longest path.
    let mut deep = place::directory(&tree.at("shared/sub"), place::Missing::Fail)
        .unwrap()
        .open()
        .unwrap();
    for _ in 0..3_000 {
        let name = std::ffi::OsStr::new("d");
        sys::make_directory(std::os::fd::AsFd::as_fd(&deep), name, 0o755).unwrap();
        deep = sys::listing(std::os::fd::AsFd::as_fd(&deep), name).unwrap();
    }
    remove_tree(tree.at("shared/sub")).unwrap();
    assert!(!tree.at("shared/sub").exists());
}

#[test]
fn a_lock_is_closed_to_others_and_waited_for_no_longer_than_asked() {
    let tree = Tree::new();
    fs::write(tree.at("lock"), "").unwrap();
    fs::set_permissions(tree.at("lock"), fs::Permissions::from_mode(0o644)).unwrap();
    let held = lock(tree.at("lock"), Duration::ZERO).unwrap();
    assert_eq!(fs::metadata(tree.at("lock")).unwrap().mode() & 0o777, 0o600);
    let error = format!(
        "{:#}",
        lock(tree.at("lock"), Duration::from_millis(1))
            .err()
            .unwrap()
    );
    assert!(
        error.contains(&format!("locked by process {}", std::process::id())),
        "{error}"
    );
    drop(held);
    lock(tree.at("lock"), Duration::ZERO).unwrap();
}
