//! Whether a venv of this program is intact: its Python is the one that it was made for, and every file of its packages
//! is as pip installed it. Only files are read; nothing of the venv is run.

use super::files;
use super::python::{made_for, minor_version};
use std::path::Path;

/// The file in the directory of a venv that exists until the venv is complete.
pub(super) const UNFINISHED: &str = "unfinished";

/// Why the programs of this venv do not run, or not as they were installed; `None` if it is intact. The reason
/// continues a sentence about the venv.
pub fn damage(directory: &Path) -> Option<String> {
    let python = directory.join("bin/python");
    let Ok(real) = python.canonicalize() else {
        return Some("bin/python leads to no program".to_owned());
    };
    let Some(made) = made_for(&python) else {
        return Some("pyvenv.cfg does not name its Python".to_owned());
    };
    // A program without a version in its name may be any.
    if let Some(now) = minor_version(&real).filter(|now| *now != made) {
        return Some(format!(
            "it was made for Python {made}, but {} is Python {now}",
            python.display()
        ));
    }
    if files::exists(directory.join(UNFINISHED)) {
        return Some("its installation was not finished".to_owned());
    }
    let lib = format!("lib/python{made}/site-packages");
    let site = directory.join(&lib);
    if !files::is_directory(&site) {
        return Some(format!("{lib} is missing"));
    }
    let mut damaged = Vec::new();
    for package in files::names(&site) {
        // pip renames a package to `~…` while it replaces it.
        if !package.ends_with(".dist-info") || package.starts_with('~') {
            continue;
        }
        let record = format!("{package}/RECORD");
        match files::read_text(site.join(&record)) {
            Ok(Some(text)) => {
                let recorded = text.lines().filter_map(recorded);
                let changed = recorded.filter(|(path, size)| {
                    files::metadata(site.join(path)).is_none_or(|found| found.len() != *size)
                });
                damaged.extend(changed.map(|(path, _)| path));
            }
            _ => damaged.push(record),
        }
    }
    let first = damaged.first()?;
    Some(match damaged.len() {
        1 => format!("{first} is missing or was changed"),
        more => format!("{more} files, such as {first}, are missing or were changed"),
    })
}

/// Path and size in a line of RECORD (packaging.python.org, "Recording installed projects"): `path,hash,size` in the
/// format CSV. `None` for files without a size: byte code, which Python replaces, and RECORD itself.
fn recorded(line: &str) -> Option<(String, u64)> {
    let mut fields = line.rsplitn(3, ',');
    let size = fields.next()?.parse().ok()?;
    let path = fields.nth(1)?;
    let quoted = path
        .strip_prefix('"')
        .and_then(|path| path.strip_suffix('"'));
    let path = quoted.map_or(path.to_owned(), |path| path.replace("\"\"", "\""));
    Some((path, size))
}

#[cfg(test)]
mod tests {
    use super::recorded;

    #[test]
    fn lines_of_record_are_csv() {
        for (line, expected) in [
            ("a/b.py,sha256=x,12", Some(("a/b.py", 12))),
            ("\"a,\"\"b\"\".py\",sha256=x,0", Some(("a,\"b\".py", 0))),
            ("../../../bin/x,sha256=x,255", Some(("../../../bin/x", 255))),
            ("a/__pycache__/b.pyc,,", None),
            ("", None),
        ] {
            let expected = expected.map(|(path, size): (&str, u64)| (path.to_owned(), size));
            assert_eq!(recorded(line), expected, "{line}");
        }
    }
}
