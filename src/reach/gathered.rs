//! The answers that the checks are made of.

use super::addresses::Names;
use super::answer::{Answer, Trouble};
use super::place::{Place, Service, places, services};
use super::question::{self, Purpose, Question};
use super::target::Target;
use crate::settings::types::ServerName;
use crate::settings::value::Scalar;
use std::net::IpAddr;

/// A question with its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The question.
    pub question: Question,
    /// The answer, or why there is none.
    pub answer: Result<Answer, Trouble>,
}

/// The answers of the DNS and of the server.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// How the server is to be reached.
    pub target: Target,
    /// The addresses of each name that was looked up.
    pub names: Names,
    /// The SRV records by name; an error if the DNS does not answer.
    pub records: Vec<(String, Result<Vec<Service>, String>)>,
    /// The answers of the server.
    pub exchanges: Vec<Exchange>,
    /// The addresses of this host.
    pub own: Vec<IpAddr>,
    /// The time in seconds since 1970.
    pub now: u64,
}

impl Gathered {
    /// Before the first answer.
    pub fn new(target: Target, own: Vec<IpAddr>, now: u64) -> Self {
        Self {
            target,
            names: Names::new(),
            records: Vec::new(),
            exchanges: Vec::new(),
            own,
            now,
        }
    }

    /// The questions that need the addresses of [`Target::hosts`].
    pub fn first_questions(&self) -> Vec<Question> {
        question::first(&self.target, &self.names)
    }

    /// The name that other homeservers use instead of the server name: that of the file for servers, or the same.
    pub fn delegated(&self) -> ServerName {
        let mut answers = self.answers(Purpose::ServerFile);
        let name = answers.find_map(|(_, answer)| server_in(answer).ok());
        name.unwrap_or_else(|| self.target.server_name.clone())
    }

    /// The names of the SRV records to ask for.
    pub fn services(&self) -> Vec<String> {
        match self.target.federates {
            true => services(&self.delegated()),
            false => Vec::new(),
        }
    }

    /// The places at which other homeservers ask for this server.
    pub fn places(&self) -> Vec<Place> {
        if !self.target.federates {
            return Vec::new();
        }
        let records = self.records.iter();
        let records: Vec<&[Service]> = records
            .map(|(_, records)| records.as_deref().unwrap_or_default())
            .collect();
        places(&self.delegated(), &records)
    }

    /// The questions of other homeservers, which need the addresses of [`Gathered::places`].
    pub fn questions_of_servers(&self) -> Vec<Question> {
        question::at(&self.places(), &self.names)
    }

    /// The answers to one kind of question.
    pub fn answers(&self, purpose: Purpose) -> impl Iterator<Item = (&Question, &Answer)> {
        let exchanges = self.exchanges.iter();
        exchanges
            .filter(move |one| one.question.purpose == purpose)
            .filter_map(|one| Some((&one.question, one.answer.as_ref().ok()?)))
    }

    /// Whether an address belongs to this host.
    pub fn is_own(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.own.contains(&address)
    }
}

/// The server in /.well-known/matrix/server.
///
/// # Errors
/// When the answer is not such a file.
pub fn server_in(answer: &Answer) -> Result<ServerName, String> {
    if answer.status != 200 {
        return Err(format!("answers {}", answer.status));
    }
    let json = answer.json().ok_or("is not JSON")?;
    let server = json.get("m.server").and_then(|server| server.as_str());
    let server = server.ok_or("has no text m.server")?;
    <ServerName as Scalar>::parse(server).map_err(|_| {
        format!(
            "has m.server \"{}\", which is no server",
            server.escape_debug()
        )
    })
}
