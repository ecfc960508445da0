//! The distribution's nginx, which its package starts at port 80 as soon as it is installed.

use super::files;
use super::observe::created;
use super::tools::Tool;
use crate::state::{Resource, units};

/// The sites and options that the administrator adds, and the directory that the first site serves (nginx-common of Debian).
const SITES: &str = "/etc/nginx/sites-enabled";
const CONFIGURATION: &str = "/etc/nginx/conf.d";
const WEB_ROOT: &str = "/var/www/html";
/// The site of the package, and the page that it serves.
const SITE: &str = "default";
const PAGE: &str = "index.nginx-debian.html";

/// Whether its service may stop for ours: it serves nothing but the page of its package, or an earlier run stopped it for
/// that reason.
pub(super) fn is_spare() -> bool {
    let stopped = Resource::Stopped(units::DISTRIBUTION_NGINX.to_owned());
    created().is_ok_and(|created| created.contains(&stopped)) || serves_one_page()
}

/// On Debian and Ubuntu only: other distributions start no service at the installation.
fn serves_one_page() -> bool {
    let site = |directory: &str| files::read(format!("{directory}/{SITE}")).ok().flatten();
    files::names(SITES) == [SITE]
        && site(SITES).is_some_and(|text| site("/etc/nginx/sites-available") == Some(text))
        && files::names(CONFIGURATION).is_empty()
        && files::names(WEB_ROOT).iter().all(|name| name == PAGE)
        && is_unchanged()
}

/// Whether the configuration is that of the package: dpkg prints a line for each file that is not (dpkg(1), `--verify`).
fn is_unchanged() -> bool {
    let output = Tool::new("dpkg")
        .args(["--verify", "nginx-common"])
        .output();
    output.is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.stderr.is_empty() && !text.lines().any(|line| line.contains(" /etc/nginx/"))
    })
}
