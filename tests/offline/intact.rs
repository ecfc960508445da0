//! Damage of a venv, found by its files: a fixture tree as `python3 -m venv` and pip create it. Nothing of it is run.

use super::model::{End, Model};
use super::setup::Setup;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use synapse_workers::host::intact::damage;
use synapse_workers::plan::Plan;
use synapse_workers::plan::step::Step;
use synapse_workers::state::{Resource, State, units};

/// A venv for Python 3.13, beside the Pythons of a host.
struct Tree(tempfile::TempDir);

const SITE: &str = "env/lib/python3.13/site-packages";

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.file("usr/bin/python3.13", "");
        symlink("python3.13", tree.at("usr/bin/python3")).unwrap();
        fs::create_dir_all(tree.at("env/bin")).unwrap();
        symlink(tree.at("usr/bin/python3"), tree.at("env/bin/python3")).unwrap();
        symlink("python3", tree.at("env/bin/python")).unwrap();
        tree.file("env/pyvenv.cfg", "home = /usr/bin\nversion = 3.13.5\n");
        tree.file(&format!("{SITE}/synapse/__init__.py"), "1234\n");
        tree.file(&format!("{SITE}/synapse/a, b.py"), "12\n");
        tree.file("env/bin/synapse_worker", "#!\n");
        tree.record(
            "matrix_synapse-1.163.2",
            "../../../bin/synapse_worker,sha256=x,3\n\
             synapse/__init__.py,sha256=x,5\n\
             \"synapse/a, b.py\",sha256=x,3\n\
             synapse/__pycache__/__init__.cpython-313.pyc,,\n\
             matrix_synapse-1.163.2.dist-info/RECORD,,\n",
        );
        tree.file(&format!("{SITE}/twisted/py.typed"), "");
        tree.record("twisted-25.5.0", "twisted/py.typed,sha256=x,0\n");
        // pip leaves this when it is killed while it replaces a package.
        tree.file(&format!("{SITE}/~wisted-25.5.0.dist-info/METADATA"), "");
        tree
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn record(&self, package: &str, text: &str) {
        self.file(&format!("{SITE}/{package}.dist-info/RECORD"), text);
    }

    fn damage(&self) -> String {
        damage(&self.at("env")).unwrap_or_default()
    }
}

/// Something that happens to a tree.
type Harm = Box<dyn Fn(&Tree)>;

/// Points the Python of the host to another version, as a distribution upgrade does.
fn upgrade(tree: &Tree) {
    tree.file("usr/bin/python3.14", "");
    fs::remove_file(tree.at("usr/bin/python3")).unwrap();
    symlink("python3.14", tree.at("usr/bin/python3")).unwrap();
}

#[test]
fn each_kind_of_damage_is_found_and_named() {
    assert_eq!(Tree::new().damage(), "");
    let remove = |path: &str| -> Harm {
        let path = path.to_owned();
        Box::new(move |tree| {
            let path = tree.at(&path);
            match path.is_dir() {
                true => fs::remove_dir_all(path).unwrap(),
                false => fs::remove_file(path).unwrap(),
            }
        })
    };
    let cases: Vec<(Harm, &str)> = vec![
        (
            Box::new(|tree| tree.file("env/unfinished", "")),
            "its installation was not finished",
        ),
        (Box::new(upgrade), "it was made for Python 3.13, but "),
        (Box::new(upgrade), "env/bin/python is Python 3.14"),
        (
            remove("usr/bin/python3.13"),
            "bin/python leads to no program",
        ),
        (remove("env/bin/python"), "bin/python leads to no program"),
        (
            remove("env/pyvenv.cfg"),
            "pyvenv.cfg does not name its Python",
        ),
        (
            Box::new(|tree| {
                let from = tree.at("env/lib/python3.13");
                fs::rename(from, tree.at("env/lib/python3.12")).unwrap();
            }),
            "lib/python3.13/site-packages is missing",
        ),
        (
            remove(&format!("{SITE}/synapse/__init__.py")),
            "synapse/__init__.py is missing or was changed",
        ),
        (
            remove("env/bin/synapse_worker"),
            "../../../bin/synapse_worker is missing or was changed",
        ),
        (
            Box::new(|tree| tree.file(&format!("{SITE}/synapse/a, b.py"), "")),
            "synapse/a, b.py is missing or was changed",
        ),
        (
            remove(&format!("{SITE}/synapse")),
            "2 files, such as synapse/__init__.py, are missing or were changed",
        ),
        (
            remove(&format!("{SITE}/twisted/py.typed")),
            "twisted/py.typed is missing or was changed",
        ),
        (
            remove(&format!("{SITE}/twisted-25.5.0.dist-info/RECORD")),
            "twisted-25.5.0.dist-info/RECORD is missing or was changed",
        ),
    ];
    for (harm, expected) in cases {
        let tree = Tree::new();
        harm(&tree);
        let found = tree.damage();
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn a_newer_patch_release_of_python_is_no_damage() {
    let tree = Tree::new();
    tree.file("env/pyvenv.cfg", "version_info = 3.13.9.final.0\n");
    assert_eq!(tree.damage(), "");
    // Byte code is not recorded with a size; Python writes it again.
    assert!(!Path::new(&tree.at(&format!("{SITE}/synapse/__pycache__"))).exists());
}

const REASON: &str = "it was made for Python 3.13, but its Python is 3.14";

fn venv(state: &State) -> Resource {
    let mut all = state.resources.iter();
    all.find(|it| matches!(it, Resource::Venv(_)))
        .cloned()
        .unwrap()
}

fn damaged(state: &State) -> Model {
    let mut model = Model::running(state);
    model.damaged.insert(venv(state), REASON.to_owned());
    model
}

#[test]
fn a_damaged_venv_is_built_again_and_every_process_of_synapse_restarts() {
    let state = Setup::new("synchrotron, pusher").state();
    let mut model = damaged(&state);
    model.crash("synapse-worker@pusher1.service");
    let plan = model.run(&state, End::Done);
    let rebuild = Step::Rebuild {
        resource: venv(&state),
        reason: REASON.to_owned(),
    };
    assert_eq!(plan.steps.first(), Some(&rebuild), "{plan}");
    let text = plan.to_string();
    for part in [
        "~ rebuild Synapse 1.163.2 in /opt/synapse-workers/venv-1.163.2\n          because it was made for Python 3.13",
        "! restart synapse-main.service\n          because /opt/synapse-workers/venv-1.163.2 changed: ",
        "! restart synapse-worker@synchrotron1.service",
        "! start   synapse-worker@pusher1.service",
    ] {
        assert!(text.contains(part), "{part}\n{plan}");
    }
    let of_synapse = |step: &Step| match step {
        Step::Jobs { units, .. } => units.iter().all(|unit| units::is_synapse(unit)),
        _ => true,
    };
    assert!(plan.steps.iter().all(of_synapse), "{plan}");
    assert_eq!(
        model.run(&state, End::Done),
        Plan {
            steps: vec![],
            generation: Some(1)
        }
    );
}

#[test]
fn a_rollback_leaves_the_venv_that_the_failed_run_built_again() {
    let state = Setup::new("synchrotron").state();
    let mut model = damaged(&state);
    model.fails(&state, End::Verification);
    assert!(model.resources.contains(&venv(&state)));
    assert!(model.damaged.is_empty());
}

#[test]
fn a_damaged_venv_that_is_no_longer_needed_is_not_built_again() {
    let of_release = |release: &str| {
        let version = format!("synapse: {{version: {release}}}");
        Setup::new("synchrotron").settings(&version).state()
    };
    let (old, new) = (of_release("1.162.0"), of_release("1.163.2"));
    let plan = damaged(&old).run(&new, End::Done);
    let rebuilds = |step: &Step| matches!(step, Step::Rebuild { .. });
    assert!(!plan.steps.iter().any(rebuilds), "{plan}");
}
