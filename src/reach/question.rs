//! The requests that other homeservers and clients send.

use super::addresses::{Addresses, Names};
use super::place::Place;
use super::target::Target;
use std::net::IpAddr;

/// The purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The file with the name that other homeservers use instead of the server name.
    ServerFile,
    /// The file with the URL for clients.
    ClientFile,
    /// The versions and features that the server has for clients.
    Versions,
    /// The question of a browser before it sends a request of another site.
    Preflight,
    /// The keys that verify events and requests of the server.
    Keys,
    /// The name and version of the software, for other homeservers.
    Software,
}

/// How a request is sent.
pub struct Request {
    purpose: Purpose,
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// Headers besides `Host`.
    pub headers: &'static [&'static str],
    /// Whether redirects are followed.
    pub follows: bool,
    /// The largest body, in bytes. That of well-known files is Synapse's (http/federation/well_known_resolver.py).
    pub largest: usize,
}

/// Any site but that of the server.
const ORIGIN: &str = "Origin: https://client.invalid";
/// The same in an answer, in lower case.
pub(super) const SITE: &str = ORIGIN.split_at(8).1;
const FILE: usize = 50 << 10;
const ANSWER: usize = 1 << 20;

#[rustfmt::skip] // one request per line
static REQUESTS: [Request; 6] = [
    Request { purpose: Purpose::ServerFile, method: "GET", path: "/.well-known/matrix/server", headers: &[], follows: true, largest: FILE },
    Request { purpose: Purpose::ClientFile, method: "GET", path: "/.well-known/matrix/client", headers: &[ORIGIN], follows: true, largest: FILE },
    Request { purpose: Purpose::Versions, method: "GET", path: "/_matrix/client/versions", headers: &[ORIGIN], follows: false, largest: ANSWER },
    Request { purpose: Purpose::Preflight, method: "OPTIONS", path: "/_matrix/client/v3/login", headers: &[ORIGIN, "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization,content-type"], follows: false, largest: ANSWER },
    Request { purpose: Purpose::Keys, method: "GET", path: "/_matrix/key/v2/server", headers: &[], follows: false, largest: ANSWER },
    Request { purpose: Purpose::Software, method: "GET", path: "/_matrix/federation/v1/version", headers: &[], follows: false, largest: ANSWER },
];

impl Purpose {
    /// The request.
    pub fn request(self) -> &'static Request {
        let found = REQUESTS.iter().find(|request| request.purpose == self);
        found.unwrap_or(&REQUESTS[0])
    }

    /// Whether only other homeservers ask it.
    pub fn is_of_servers(self) -> bool {
        matches!(self, Self::ServerFile | Self::Keys | Self::Software)
    }
}

/// A request to one address.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its purpose.
    pub purpose: Purpose,
    /// Whether it is encrypted.
    pub is_https: bool,
    /// The host in the URL, whose name the certificate must have; an IPv6 address is in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path before that of the request.
    pub prefix: String,
    /// The header `Host`, if it differs from that of the URL.
    pub header: Option<String>,
    /// The address.
    pub address: IpAddr,
    /// The host that has this address. It differs from `host` if an SRV record leads to it.
    pub owner: String,
    /// Whether the DNS has this address, and not this host alone.
    pub is_public: bool,
}

impl Question {
    /// The URL.
    pub fn url(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        let path = self.purpose.request().path;
        format!(
            "{scheme}://{}:{}{}{path}",
            self.host, self.port, self.prefix
        )
    }
}

/// The questions that need no earlier answer.
pub fn first(target: &Target, names: &Names) -> Vec<Question> {
    let name = &target.server_name;
    let at_name = |purpose| asked(names, purpose, name.host(), 443);
    let mut questions = at_name(Purpose::ClientFile);
    if target.federates && name.address().is_none() && name.port().is_none() {
        questions.extend(at_name(Purpose::ServerFile));
    }
    for purpose in [Purpose::Versions, Purpose::Preflight] {
        match &target.base_url {
            None => questions.extend(at_name(purpose)),
            Some(url) => {
                let asked = asked(names, purpose, url.host(), url.port());
                questions.extend(asked.into_iter().map(|question| Question {
                    is_https: url.is_https(),
                    prefix: url.path().to_owned(),
                    ..question
                }));
            }
        }
    }
    questions
}

/// The questions of other homeservers at these places.
pub fn at(places: &[Place], names: &Names) -> Vec<Question> {
    let purposes = [Purpose::Keys, Purpose::Software];
    let of_place = |place: &Place| {
        let of_purpose = |purpose| asked(names, purpose, &place.host, place.port);
        let questions: Vec<Question> = purposes.into_iter().flat_map(of_purpose).collect();
        let (host, header) = (place.name.clone(), place.header.clone());
        questions.into_iter().map(move |question| Question {
            host: host.clone(),
            header: Some(header.clone()),
            ..question
        })
    };
    places.iter().flat_map(of_place).collect()
}

/// The same question at each address of a host.
fn asked(names: &Names, purpose: Purpose, host: &str, port: u16) -> Vec<Question> {
    let addresses = names.get(host).into_iter().flat_map(Addresses::all);
    addresses
        .map(|(address, is_public)| Question {
            purpose,
            is_https: true,
            host: host.to_owned(),
            port,
            prefix: String::new(),
            header: None,
            address,
            owner: host.to_owned(),
            is_public,
        })
        .collect()
}
