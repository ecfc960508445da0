//! The file with the credentials for a repository. Its variables are passed to restic and to nothing else.

use crate::failure::Failure;
use crate::host::files;
use crate::settings;
use anyhow::Result;
use std::path::Path;

/// Beginnings of the variables that reach restic: its own, those of S3, and the ways through a proxy (restic manual,
/// "Environment variables").
const PASSED: &[&str] = &["AWS_", "RESTIC_"];
const PROXIES: &[&str] = &[
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];
/// Variables that this program sets itself.
const OWN: &[&str] = &["RESTIC_REPOSITORY", "RESTIC_PASSWORD", "RESTIC_CACHE_DIR"];

/// Reads the variables.
///
/// # Errors
/// When another account may read or replace the file, or with the line that restic may not get.
pub fn read(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    if let Some(failure) = problem(path) {
        return Err(failure);
    }
    let shown = path.display();
    let text = files::read_text(path)?.unwrap_or_default();
    let assignments = settings::read_env_file(path, &text).map_err(Failure::usage)?;
    for assignment in &assignments {
        let name = &assignment.name;
        let passed = PASSED.iter().any(|start| name.starts_with(start));
        let own = OWN.iter().any(|own| name.starts_with(own));
        if own || !(passed || PROXIES.contains(&name.as_str())) {
            return Err(Failure::usage(format!(
                "{shown} line {}: {name} is not a variable for restic",
                assignment.line
            ))
            .help(match own {
                true => "remove the line: the repository is in backup.repository, its password in the secret backup_password",
                false => "remove the line; the names of variables for restic begin with AWS_ or RESTIC_",
            }));
        }
    }
    let pairs = assignments.into_iter();
    Ok(pairs.map(|it| (it.name, it.value)).collect())
}

/// Why the file cannot be used; `None` if it can.
pub fn problem(path: &Path) -> Option<Failure> {
    let shown = path.display();
    let Some(mode) = files::mode(path) else {
        return Some(
            Failure::preflight(format!("backup.environment_file: there is no file {shown}"))
                .help("create it, or leave backup.environment_file empty"),
        );
    };
    let closed = mode & 0o077 == 0 && files::only_root_can_replace(path);
    (!closed).then(|| {
        Failure::preflight(format!(
            "backup.environment_file: accounts other than root can read or replace {shown}"
        ))
        .help(format!("chown root:root {shown} && chmod 0600 {shown}"))
    })
}
