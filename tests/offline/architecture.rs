//! Imports point down: this test enforces the order of modules that ARCHITECTURE.md defines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Top-level modules, from the lowest layer to the highest.
const LAYERS: &[&str] = &[
    "state",
    "settings",
    "topology",
    "deployment",
    "render",
    "plan",
    "reach",
    "advice",
    "host",
    "cli",
    "request",
    "preflight",
    "converge",
    "commands",
];

/// Import cycles inside a folder that are allowed: the files and the reason.
const CYCLES: &[(&str, &str)] = &[(
    "settings::table",
    "the macro of a row makes the table, and a value knows its row",
)];

type Edges = BTreeMap<String, BTreeSet<String>>;

/// All modules by their path, with the source text that precedes their tests.
fn modules() -> BTreeMap<String, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut todo = vec![source.clone()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(&source).unwrap().with_extension("");
                let name = name.to_str().unwrap().replace('/', "::");
                let name = name.strip_suffix("::mod").unwrap_or(&name).to_owned();
                let text = fs::read_to_string(path).unwrap();
                let text = text.split("#[cfg(test)]").next().unwrap_or_default();
                found.insert(name, text.to_owned());
            }
        }
    }
    found
}

/// Expands one `use` into its paths: `a::{b, c::d}` becomes `a::b` and `a::c::d`.
fn expanded(prefix: &str, tree: &str) -> Vec<String> {
    let Some(open) = tree.find('{') else {
        let path = format!("{prefix}{}", tree.trim());
        return vec![path.split(" as ").next().unwrap().trim().to_owned()];
    };
    let prefix = format!("{prefix}{}", tree[..open].trim());
    let inner = &tree[open + 1..tree.rfind('}').unwrap()];
    let (mut paths, mut depth, mut begun) = (Vec::new(), 0, 0);
    for (place, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = inner[begun..place].trim();
                if !part.is_empty() {
                    paths.extend(expanded(&prefix, part));
                }
                begun = place + 1;
            }
            _ => {}
        }
    }
    paths
}

/// Resolves a path in the module `from` to the module that it refers to.
fn target(from: &str, path: &str, modules: &BTreeMap<String, String>) -> Option<String> {
    let mut base: Vec<&str> = from.split("::").collect();
    let mut rest: Vec<&str> = path.split("::").collect();
    match rest[0] {
        "crate" => {
            base.clear();
            rest.remove(0);
        }
        "super" | "self" => {
            while matches!(rest.first(), Some(&"super") | Some(&"self")) {
                if rest.remove(0) == "super" {
                    base.pop();
                }
            }
        }
        _ => {}
    }
    base.extend(rest);
    (1..=base.len())
        .rev()
        .map(|length| base[..length].join("::"))
        .find(|name| modules.contains_key(name))
        .filter(|name| name != from)
}

fn edges() -> Edges {
    let modules = modules();
    let mut edges = Edges::new();
    let inline = regex::Regex::new(r"\b(?:crate|super)(?:::\w+)+").unwrap();
    for (name, text) in &modules {
        let code: String = text
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n");
        let uses = code.split(';').filter_map(|statement| {
            let at = statement.rfind("use ")?;
            let before = statement[..at].trim_end();
            (before.is_empty() || before.ends_with("pub") || before.ends_with([')', '}', '\n']))
                .then(|| statement[at + 4..].to_owned())
        });
        let mut paths: Vec<String> = uses.flat_map(|tree| expanded("", &tree)).collect();
        paths.extend(
            inline
                .find_iter(&code)
                .map(|found| found.as_str().to_owned()),
        );
        let targets = paths.iter().filter_map(|path| target(name, path, &modules));
        edges.insert(name.clone(), targets.collect());
    }
    edges
}

fn layer(module: &str) -> Option<usize> {
    let top = module.split("::").next()?;
    LAYERS.iter().position(|layer| *layer == top)
}

#[test]
fn no_module_imports_one_of_a_higher_floor() {
    let mut upward = Vec::new();
    let edges = edges();
    for (from, targets) in &edges {
        for to in targets {
            if layer(from) < layer(to) && layer(from).is_some() {
                upward.push(format!("{from} imports {to}"));
            }
        }
    }
    assert!(upward.is_empty(), "{upward:#?}");
    // The parser of `use` lines finds a known import.
    assert!(
        edges["render::nginx::upstreams"].contains("topology"),
        "{:?}",
        edges["render::nginx::upstreams"]
    );
    assert!(edges["commands::install"].contains("request"));
}

#[test]
fn every_folder_has_a_floor() {
    let folders: BTreeSet<String> = modules()
        .into_keys()
        .filter_map(|name| Some(name.split_once("::")?.0.to_owned()))
        .collect();
    let layers: BTreeSet<String> = LAYERS.iter().map(|layer| (*layer).to_owned()).collect();
    assert_eq!(folders, layers);
}

/// Every module that the imports reach, not counting steps between a folder and its files.
fn reached<'a>(edges: &'a Edges, from: &'a str) -> BTreeSet<&'a str> {
    let related =
        |a: &str, b: &str| a.starts_with(&format!("{b}::")) || b.starts_with(&format!("{a}::"));
    let mut found = BTreeSet::new();
    let mut todo = vec![from];
    while let Some(one) = todo.pop() {
        for to in edges.get(one).into_iter().flatten() {
            if !related(one, to) && found.insert(to.as_str()) {
                todo.push(to);
            }
        }
    }
    found
}

#[test]
fn only_listed_import_cycles_exist() {
    let edges = edges();
    let all: BTreeMap<&str, BTreeSet<&str>> = edges
        .keys()
        .map(|from| (from.as_str(), reached(&edges, from)))
        .collect();
    // The listed cycles exist, so the search finds cycles.
    for (one, reason) in CYCLES {
        assert!(
            all[one].contains(one),
            "{one} has no cycle any more: {reason}"
        );
    }
    let allowed: BTreeSet<&str> = CYCLES
        .iter()
        .flat_map(|(one, _)| all[one].iter().filter(|to| all[**to].contains(one)))
        .copied()
        .collect();
    let cycles: Vec<&str> = all
        .iter()
        .filter(|(from, found)| found.contains(**from) && !allowed.contains(**from))
        .map(|(from, _)| *from)
        .collect();
    assert!(cycles.is_empty(), "{cycles:#?}");
}
