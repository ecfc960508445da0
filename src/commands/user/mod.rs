//! `user`: adds, lists and changes users of Synapse on this host.

mod name;
mod password;

use super::confirmation::ask;
use super::installed::running;
use super::time;
use crate::cli::{Common, UserAction};
use crate::deployment::endpoints::Endpoint;
use crate::failure::Failure;
use crate::host::matrix_accounts::{Outcome, Request, User};
use crate::host::{self, Host};
use crate::preflight::{self, Purpose};
use crate::report::{self, outln};
use crate::request::Request as Loaded;
use crate::settings::types::ServerName;
use crate::state::State;
use name::Name;
use serde_json::json;
use std::process::ExitCode;

/// The running server.
struct Server {
    host: Host,
    state: State,
    name: ServerName,
    /// Where the main process listens.
    main: Endpoint,
}

impl Server {
    fn of(state: State, request: &Loaded) -> Result<Self, Failure> {
        let host = preflight::host(request, Purpose::Inspect)?;
        let facts = host.facts.for_rendering();
        let main = request.input(&facts).endpoints().public("main");
        let name = request.settings.server_name.clone();
        Ok(Self {
            host,
            state,
            name,
            main,
        })
    }

    fn ask(&self, request: &Request) -> Result<Outcome, Failure> {
        let state = &self.state;
        Ok(self.host.matrix_accounts(state, &self.main, request)?)
    }

    fn name(&self, text: &str) -> Result<Name, Failure> {
        Name::parse(text, self.name.as_str()).map_err(Failure::usage)
    }
}

/// Runs `synapse-workers user`.
pub fn user(common: &Common, action: &UserAction) -> Result<ExitCode, Failure> {
    if !host::is_root() {
        return Err(
            Failure::preflight("user needs root, to read the secrets of the server")
                .help("run the same command with sudo"),
        );
    }
    let (state, request) = running()?;
    if request.settings.mas.is_on() {
        return Err(in_mas(action));
    }
    let server = Server::of(state, &request)?;
    match action {
        UserAction::Add {
            name,
            admin,
            generate,
        } => {
            let name = server.name(name)?;
            name.check_new().map_err(Failure::usage)?;
            let password = password::read(&name.id(), *generate)?;
            let request = Request::Add {
                name: name.localpart(),
                password: &password.text,
                admin: *admin,
            };
            let added = server.ask(&request)?.user;
            let kind = if *admin { "administrator" } else { "user" };
            done(common, &added, &format!("Added the {kind}"), &password);
        }
        UserAction::Password {
            name,
            generate,
            keep_sessions,
        } => {
            let user = server.name(name)?.id();
            let password = password::read(&user, *generate)?;
            let request = Request::Password {
                user: &user,
                password: &password.text,
                logout: !keep_sessions,
            };
            server.ask(&request)?;
            let text = match keep_sessions {
                true => "Changed the password, and kept the sessions, of",
                false => "Changed the password, and ended all sessions, of",
            };
            done(common, &user, text, &password);
        }
        UserAction::Deactivate { name, erase } => {
            let user = server.name(name)?.id();
            let text = "permanently: the name cannot be used again. Continue?";
            ask(common, format_args!("This deactivates {user} {text}"))?;
            let request = Request::Deactivate {
                user: &user,
                erase: *erase,
            };
            server.ask(&request)?;
            let none = password::Password::default();
            done(common, &user, "Deactivated", &none);
        }
        UserAction::List { all } => {
            let users = server.ask(&Request::List { all: *all })?.users;
            list(common, &users);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn done(common: &Common, user: &str, text: &str, password: &password::Password) {
    let shown = password.generated.then_some(&password.text);
    if common.json {
        outln!("{}", json!({"user": user, "password": shown}));
        return;
    }
    outln!("{text} {user}");
    if let Some(shown) = shown {
        outln!("  password: {shown}   (shown only now)");
    }
}

fn list(common: &Common, users: &[User]) {
    if common.json {
        outln!("{}", json!({"users": users}));
        return;
    }
    for user in users {
        let marks = [
            (user.admin, "administrator"),
            (user.guest, "guest"),
            (user.locked, "locked"),
            (user.deactivated, "deactivated"),
        ];
        let marks: Vec<&str> = marks
            .iter()
            .filter_map(|(is, name)| is.then_some(*name))
            .collect();
        let created = match user.created {
            0 => "-".to_owned(),
            seconds => time::utc(seconds),
        };
        let line = format!(
            "{created:<21}  {}  {}",
            user.name.escape_debug(),
            marks.join(" ")
        );
        outln!("{}", line.trim_end());
    }
    if users.is_empty() {
        report::complain(
            "note: there are no users; add one: synapse-workers user add NAME --admin",
        );
    }
}

/// The command of the Matrix Authentication Service that adds a user.
pub(super) fn registration_in_mas(name: &str, admin: bool) -> String {
    let admin = if admin { " --admin" } else { "" };
    format!("mas-cli manage register-user{admin} {name}")
}

/// With the Matrix Authentication Service, Synapse refuses all of these requests.
fn in_mas(action: &UserAction) -> Failure {
    let (text, command) = match action {
        UserAction::Add { name, admin, .. } => ("adds users", registration_in_mas(name, *admin)),
        UserAction::Password { name, .. } => (
            "sets passwords",
            format!("mas-cli manage set-password {name}"),
        ),
        UserAction::Deactivate { name, .. } => (
            "deactivates users",
            format!("mas-cli manage lock-user --deactivate {name}"),
        ),
        UserAction::List { .. } => (
            "lists users",
            "see the admin API of the Matrix Authentication Service".to_owned(),
        ),
    };
    Failure::usage(format!(
        "mas.endpoint: the Matrix Authentication Service {text}"
    ))
    .help(command)
}
