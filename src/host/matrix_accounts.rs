//! Users of Synapse, through its admin API at the socket of the main process.
//!
//! The admin API requires the token of an administrator. A script in Synapse's sandbox adds one to the database that is
//! valid for a minute, for an existing administrator; another one, which root runs, uses it and ends it with a logout. A
//! temporary administrator instead would need no access to the database, but each one would stay in it for ever, as a
//! deactivated user.

use super::Host;
use super::confined::Sandbox;
use super::files;
use super::tools::{self, Tool};
use crate::deployment::endpoints::Endpoint;
use crate::failure::Failure;
use crate::state::{State, units};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

const SCRIPT: &str = include_str!("matrix_accounts.py");
const TOKEN: &str = include_str!("administrator_token.py");
/// Letters and digits that are hard to confuse; 32, so that each stands for five random bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// The timeout of a request: Synapse has a minute for each answer.
const LIMIT: Duration = Duration::from_secs(180);
/// The letters of a generated password, in groups of [`GROUP`]: 100 bits.
const LETTERS: usize = 20;
const GROUP: usize = 5;

/// A change or question about users. A password has at most 512 characters (rest/admin/users.py).
#[derive(Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Request<'a> {
    /// Adds a user with this localpart.
    Add {
        /// The part of the user ID between `@` and the colon.
        name: &'a str,
        /// The password in clear text.
        password: &'a str,
        /// Whether the user may use the admin API.
        admin: bool,
    },
    /// Sets the password of a user.
    Password {
        /// The user ID.
        user: &'a str,
        /// The password in clear text.
        password: &'a str,
        /// Whether all sessions of the user end.
        logout: bool,
    },
    /// Deactivates a user for good.
    Deactivate {
        /// The user ID.
        user: &'a str,
        /// Whether messages of the user are hidden from users who join their rooms later.
        erase: bool,
    },
    /// Lists the users of this server.
    List {
        /// Whether to include deactivated ones.
        all: bool,
    },
}

/// A user of this server.
#[derive(Deserialize, Serialize)]
pub struct User {
    /// The user ID.
    pub name: String,
    /// Whether the user may use the admin API.
    pub admin: bool,
    /// Whether the user has no account of their own.
    pub guest: bool,
    /// Whether an administrator has locked the account.
    pub locked: bool,
    /// Whether the account is deactivated.
    pub deactivated: bool,
    /// When the account was created, in seconds since 1970; 0 if unknown.
    pub created: u64,
}

/// The answer of the script.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    user: String,
    #[serde(default)]
    users: Vec<User>,
    #[serde(default)]
    refused: Option<String>,
    #[serde(default)]
    text: String,
}

/// The outcome of a request.
pub struct Outcome {
    /// The user ID; empty for [`Request::List`].
    pub user: String,
    /// The users, for [`Request::List`].
    pub users: Vec<User>,
}

impl Host {
    /// Asks the main process at this endpoint. `state` is the generation in use.
    ///
    /// # Errors
    /// When the main process does not answer, when there is no administrator, or when Synapse refuses the request.
    pub fn matrix_accounts(
        &self,
        state: &State,
        endpoint: &Endpoint,
        request: &Request,
    ) -> Result<Outcome> {
        let mut input = serde_json::to_value(request)?;
        input["endpoint"] = match endpoint {
            Endpoint::Socket(path) => json!({"Socket": path}),
            Endpoint::Port(port) => json!({"Address": ["127.0.0.1", port]}),
            Endpoint::Address(address) => json!({"Address": [address.ip(), address.port()]}),
        };
        match request {
            Request::Add { .. } => input["secret"] = json!(secret(state)?),
            _ => input["token"] = json!(self.administrator_token(state)?),
        }
        let output = Tool::new("python3")
            .args(["-I", "-c", SCRIPT])
            .input(serde_json::to_vec(&input)?)
            .within(LIMIT)
            .output()?;
        ensure!(
            output.status.success(),
            "the admin API of Synapse cannot be used\n{}",
            tools::tail(&output, 4)
        );
        let answer: Answer = serde_json::from_slice(&output.stdout)
            .context("cannot parse the answer of the script for users")?;
        match answer.refused {
            Some(reason) => Err(failure(&reason, &answer.text).into()),
            None => Ok(Outcome {
                user: answer.user,
                users: answer.users,
            }),
        }
    }
}

impl Host {
    /// A token of an administrator, valid for a minute.
    fn administrator_token(&self, state: &State) -> Result<String> {
        let output = Tool::confined(Sandbox::like(units::MAIN, state)?, &self.facts.python)
            .args(["-I", "-c", TOKEN])
            .input(serde_json::to_vec(&state.database())?)
            .output()?;
        ensure!(
            output.status.success(),
            "the database cannot be used\n{}",
            tools::tail(&output, 4)
        );
        let token: Option<String> = serde_json::from_slice(&output.stdout)
            .context("cannot parse the token that the script printed")?;
        token.ok_or_else(|| failure("no administrator", "").into())
    }
}

/// The shared secret with which Synapse accepts new users.
fn secret(state: &State) -> Result<String> {
    let option = |key| Some(state.option(key)?.as_str()?.to_owned());
    if let Some(secret) = option("registration_shared_secret") {
        return Ok(secret);
    }
    let path = option("registration_shared_secret_path");
    let text = path.map(files::read_text).transpose()?.flatten();
    let secret = text.map(|text| text.trim().to_owned());
    secret.filter(|secret| !secret.is_empty()).ok_or_else(|| {
        let text = "the options of this Synapse contain no `registration_shared_secret`, or its file is empty";
        let help = "add `registration_shared_secret_path` with the path of a file that contains a long random word, then \
                    run: synapse-workers install";
        Failure::preflight(text).help(help).into()
    })
}

/// The reasons of the script.
fn failure(reason: &str, text: &str) -> Failure {
    let text = text.escape_debug();
    match reason {
        "silent" => Failure::failed(format!("the main process does not answer: {text}"))
            .help("synapse-workers status"),
        "no administrator" => {
            Failure::failed("this server has no administrator, whose rights this command needs")
                .help("synapse-workers user add NAME --admin")
        }
        _ => Failure::failed(format!("Synapse refuses the request: {text}")),
    }
}

/// A random password that is easy to copy by hand.
///
/// # Errors
/// When the kernel has no random numbers.
pub fn generated_password() -> Result<String> {
    let bytes: [u8; LETTERS] = files::random()?;
    let letters = bytes.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
    let groups = letters.chunks(GROUP).map(String::from_iter);
    Ok(groups.collect::<Vec<_>>().join("-"))
}
