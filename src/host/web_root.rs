//! The directory of a web client (`nginx.web_root`), which nginx reads with an account of its own.

use super::files;
use std::path::Path;

/// The permission of every account to enter a directory, and to read a file.
const ENTER: u32 = 0o001;
const READ: u32 = 0o004;

/// Why nginx's account cannot read the directory or its start page; `None` if it can.
pub(super) fn problem(directory: &Path) -> Option<String> {
    let mut parents: Vec<&Path> = directory.ancestors().collect();
    parents.reverse();
    let mut entered = parents.into_iter().map(|parent| (parent, ENTER));
    if !files::is_directory(directory) {
        return Some(format!("{} is not a directory", directory.display()));
    }
    let page = directory.join("index.html");
    if !files::exists(&page) {
        return Some(format!("{} does not exist", page.display()));
    }
    let closed =
        |(path, needed): &(&Path, u32)| files::mode(path).is_none_or(|mode| mode & needed == 0);
    let page = (page.as_path(), READ);
    let (path, _) = entered.find(closed).or_else(|| Some(page).filter(closed))?;
    Some(format!(
        "{} is not readable by every account, and nginx's account does not own it",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_web_client_is_a_directory_that_every_account_can_read() {
        let place = tempfile::tempdir().unwrap();
        let chmod = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        chmod(place.path(), 0o755);
        let root = place.path().join("element");
        let problem = || problem(&root).unwrap_or_default();
        assert!(problem().ends_with("element is not a directory"));
        fs::create_dir(&root).unwrap();
        assert!(problem().ends_with("index.html does not exist"));
        let page = root.join("index.html");
        fs::write(&page, "x").unwrap();
        chmod(&page, 0o644);
        chmod(&root, 0o755);
        assert_eq!(problem(), "");
        chmod(&page, 0o640);
        assert!(problem().contains("index.html is not readable"));
        chmod(&page, 0o644);
        chmod(&root, 0o750);
        assert!(problem().contains("element is not readable"));
    }
}
