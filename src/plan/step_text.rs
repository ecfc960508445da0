//! The printed form of a step: a sign (`+` adds, `~` changes, `-` removes, `!` affects running services), a verb and its
//! object, with details on indented lines.

use super::step::{Move, Step, Validator};
use crate::state::Resource;
use std::fmt;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::InstallPrograms { programs, command } => write!(
                f,
                "+ install {}\n          with {}",
                list(programs),
                command.join(" ")
            ),
            Step::WriteSettings { path, what } => write!(f, "~ write   {path}: {what}"),
            Step::RemoveSettings { path } => write!(f, "- remove  {path}"),
            Step::Create(resource @ Resource::Stopped(service)) => {
                let reason = match resource.is_adopted_service() {
                    true => "its server is adopted",
                    false => {
                        "it serves only the page of its package, at the port 80 that ours needs"
                    }
                };
                write!(f, "! stop    {service}\n          because {reason}")
            }
            Step::Create(Resource::Listening { unit, address }) => write!(
                f,
                "! restart {unit}\n          because PostgreSQL listens on {address} only after a restart; requests of all its \
                 clients fail meanwhile"
            ),
            Step::Remove(Resource::Listening { unit, address }) => write!(
                f,
                "- leave   {address} at the next start of PostgreSQL: systemctl restart {unit}"
            ),
            Step::Create(Resource::Disabled(service)) => {
                write!(f, "- disable {service} (`uninstall` enables it again)")
            }
            Step::Remove(resource @ Resource::Stopped(service)) => {
                let reason = match resource.is_adopted_service() {
                    true => "its server is restored",
                    false => "ours no longer needs its port",
                };
                write!(f, "! start   {service}\n          because {reason}")
            }
            Step::Remove(Resource::Disabled(service)) => write!(f, "+ enable  {service}"),
            Step::Create(resource) => write!(f, "+ create  {resource}"),
            Step::Rebuild { resource, reason } => {
                write!(f, "~ rebuild {resource}\n          because {reason}")
            }
            Step::Remove(resource) => write!(f, "- remove  {resource}"),
            Step::Directories => write!(f, "~ set     ownership and permissions of directories"),
            Step::WriteGeneration { number, changes } => {
                write!(f, "+ write   generation {number}")?;
                changes.iter().try_for_each(|change| {
                    write!(f, "\n          {} {}", change.kind.sign(), change.path)
                })
            }
            Step::Validate { number, validator } => {
                let by = match validator {
                    Validator::Nginx => "with nginx -t",
                    Validator::Synapse(_) => "with Synapse's own configuration parser",
                    Validator::Systemd => "with systemd-analyze verify",
                    Validator::Prometheus => "with promtool check config",
                    Validator::Alertmanager => "with amtool check-config",
                    Validator::Postgres(_) => "with PostgreSQL's own configuration parser",
                    Validator::Schema => "against the database schema",
                    Validator::Endpoints => "against the endpoints of Synapse's workers",
                };
                write!(f, "  check   generation {number} {by}")
            }
            Step::MoveDatabase { file, part, .. } => match part {
                Move::First => write!(f, "+ copy    {file} into PostgreSQL while Synapse uses it"),
                Move::Last => write!(
                    f,
                    "~ copy    the rows of {file} that changed since the first copy"
                ),
                Move::Compare => write!(f, "  check   that both databases have the same rows"),
            },
            Step::Switch { number } => write!(f, "~ switch  to generation {number}"),
            Step::WriteFile { path, edited } => {
                let note = if *edited {
                    " (modified outside synapse-workers)"
                } else {
                    ""
                };
                write!(f, "+ write   {path}{note}")
            }
            Step::RemoveFile { path } => write!(f, "- remove  {path}"),
            Step::ReloadManager => write!(f, "~ reload  unit files (systemctl daemon-reload)"),
            Step::Enable(units) => write!(f, "+ enable  {}", list(units)),
            Step::Disable(units) => write!(f, "- disable {}", list(units)),
            Step::Jobs {
                verb,
                units,
                reasons,
                rolling,
            } => {
                write!(f, "! {:<7} {}", verb.word(), list(units))?;
                if let Some(number) = rolling.filter(|number| *number < units.len()) {
                    write!(f, "\n          {number} at a time")?;
                }
                reasons
                    .iter()
                    .try_for_each(|reason| write!(f, "\n          because {reason}"))
            }
            Step::ObtainCertificate(order) => write!(f, "~ obtain  certificate for {order}"),
            Step::Hold => write!(
                f,
                "! hold    new connections at nginx's sockets until the other units are up"
            ),
            Step::Drain(units) => {
                write!(
                    f,
                    "  wait    for nginx to drain connections to {}",
                    list(units)
                )
            }
            Step::ResetFailed(units) => write!(f, "~ reset   failed state of {}", list(units)),
            Step::RemoveSockets(names) => {
                write!(f, "- remove  sockets of {}", list(names))
            }
            Step::Forget => write!(f, "- remove  all generations"),
        }
    }
}

/// Maximum width of a line of names, in columns.
const WIDTH: usize = 80;

/// Names separated by blanks, wrapped and indented below the first one.
fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let mut text = String::new();
    let mut column = 10;
    for name in names {
        if !text.is_empty() && column + name.len() > WIDTH {
            text.push_str("\n          ");
            column = 10;
        } else if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(name);
        column += name.len() + 1;
    }
    text
}
