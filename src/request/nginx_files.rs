//! Files with locations of nginx (`nginx.include`).

use super::places::NGINX;
use crate::deployment::locations::LocationFile;
use crate::host;
use crate::settings::types::AbsolutePath;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

/// Reads and checks the files; `place` maps a path of the settings to a path on the host.
///
/// # Errors
/// Names the setting and the file, with the refused line.
pub(super) fn read(
    files: &[AbsolutePath],
    place: impl Fn(&Path) -> PathBuf,
) -> Result<Vec<LocationFile>> {
    let read = |path: &AbsolutePath| {
        let there = place(path.as_path());
        let text = host::read_text(&there)?.context("there is no such file")?;
        // nginx reads its configuration with an account of its own, so copies are readable by every account.
        ensure!(
            host::mode(&there).is_some_and(|mode| mode & 0o004 != 0),
            "it is not readable by every account, but its copy would be\n  help: remove secrets from the file, then: \
             chmod o+r {}",
            path.as_str()
        );
        LocationFile::new(path.as_str().to_owned(), text, |path| NGINX.refuse(path))
            .map_err(anyhow::Error::from)
    };
    files
        .iter()
        .map(|path| read(path).with_context(|| format!("`nginx.include`: {}", path.as_str())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::value::Scalar;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_with_secrets_is_not_copied_to_where_every_account_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("own.conf");
        fs::write(&path, "location /a/ { return 204; }").unwrap();
        let file = <AbsolutePath as Scalar>::parse(path.to_str().unwrap()).unwrap();
        for (mode, refused) in [(0o644, false), (0o640, true), (0o600, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(std::slice::from_ref(&file), Path::to_owned).err();
            let error = error.map(|error| format!("{error:#}")).unwrap_or_default();
            assert_eq!(
                error.contains("own.conf: it is not readable by every account"),
                refused,
                "{error}"
            );
        }
    }
}
