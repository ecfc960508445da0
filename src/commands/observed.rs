//! The running server as `advise` and `top` observe it.

use super::installed::running;
use crate::advice::reading::Reading;
use crate::converge::verify::Expected;
use crate::deployment::Sizes;
use crate::failure::Failure;
use crate::host::load::{Observer, Sources};
use crate::host::{self, is_root};
use crate::request::Request;
use crate::state::{HostFacts, HostSize};

/// The running server.
pub(super) struct Observed {
    /// The request of the generation in use.
    pub request: Request,
    /// Makes readings of its counters.
    pub observer: Observer,
}

impl Observed {
    /// The server of the generation in use, for this command.
    ///
    /// # Errors
    /// When this program does not run as root, when nothing is installed, or when systemd cannot be reached.
    pub fn new(command: &str) -> Result<Self, Failure> {
        if !is_root() {
            return Err(Failure::preflight(format!(
                "{command} needs root, to measure the processes of other accounts"
            ))
            .help("run the same command with sudo"));
        }
        let (state, request) = running()?;
        // Endpoints, servers and metrics do not depend on host facts.
        let facts = HostFacts::default();
        let input = request.input(&facts);
        let database = Expected::of(&input, &state).database;
        let observer = Observer::new(Sources::of(&input, &state, database))?;
        Ok(Self { request, observer })
    }

    /// The sizes of caches and pools on this host, with the connections that PostgreSQL has at a reading.
    pub fn sizes(&self, reading: Option<&Reading>) -> Sizes {
        let postgres = reading.and_then(|reading| reading.postgres.as_ref());
        let connections = postgres.map_or(0, |postgres| postgres.limit);
        self.request.deployment.sizes(&HostSize {
            connections: u32::try_from(connections).unwrap_or(0),
            ..host::size()
        })
    }
}
