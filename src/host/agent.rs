//! The agent of this program on another host, started over ssh with the keys and known hosts of the administrator.

use super::tools::{Dialogue, Tool};
use crate::failure::{Code, Failure};
use anyhow::Result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Options of ssh (ssh_config(5)): no question, no other use of the connection, and an end within seconds if the network
/// is lost.
const OPTIONS: [&str; 7] = [
    "BatchMode=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
];
/// The variable with the socket of an agent that has keys (ssh-agent(1)).
const KEYS: &str = "SSH_AUTH_SOCK";

/// An answer of an agent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply<T> {
    /// The result.
    Done(T),
    /// The error, with its help.
    Failed {
        /// The kind, which is the exit status.
        code: Code,
        /// The problem.
        problem: String,
        /// The remedy.
        help: Option<String>,
    },
}

/// The keys that a connection may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Those of root on this host, and those of the administrator's ssh agent.
    All,
    /// Those of root on this host: a unit of systemd has no others.
    Root,
}

/// A connection to an agent.
pub struct Agent {
    dialogue: Dialogue,
}

impl Agent {
    /// Starts the agent at `destination`: USER@HOST. A user other than root needs sudo without a password.
    ///
    /// # Errors
    /// When ssh cannot be started. A connection that fails is an error of the first question.
    pub fn start(destination: &str, keys: Keys) -> Result<Self> {
        let user = destination.split_once('@').map_or("root", |(user, _)| user);
        let sudo = if user == "root" { "" } else { "sudo -n " };
        let mut tool = Tool::new("ssh").named(&format!("ssh {destination}"));
        for option in OPTIONS {
            tool = tool.args(["-o", option]);
        }
        let socket = std::env::var_os(KEYS).filter(|_| keys == Keys::All);
        if let Some(socket) = socket {
            tool = tool.env(KEYS, socket);
        }
        let command = format!("{sudo}synapse-workers agent");
        let tool = tool.args(["-T", "--", destination, command.as_str()]);
        Ok(Self {
            dialogue: tool.converse()?,
        })
    }

    /// Asks the agent.
    ///
    /// # Errors
    /// With the error of the agent, or when the connection is lost.
    pub fn ask<T: DeserializeOwned>(&mut self, question: &impl Serialize) -> Result<T> {
        match self.dialogue.ask(question)? {
            Reply::Done(result) => Ok(result),
            Reply::Failed {
                code,
                problem,
                help,
            } => {
                let failure = Failure::new(code, problem);
                Err(match help {
                    Some(help) => failure.help(help),
                    None => failure,
                }
                .into())
            }
        }
    }
}
