//! The addresses of names.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// The addresses of a name.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Those of its A and AAAA records; an error if the DNS does not answer.
    pub public: Result<Vec<IpAddr>, String>,
    /// Those that programs on this host get, for example from /etc/hosts.
    pub here: Vec<IpAddr>,
}

/// The addresses of each name.
pub type Names = BTreeMap<String, Addresses>;

impl Addresses {
    /// Every address, each with whether other hosts know it. Without an answer of the DNS, it is assumed that they do.
    pub fn all(&self) -> Vec<(IpAddr, bool)> {
        let known = self.public.as_deref().unwrap_or(&self.here);
        let others = self.here.iter().filter(|address| !known.contains(address));
        let others = others.map(|address| (*address, false));
        let known = known.iter().map(|address| (*address, true));
        known.chain(others).collect()
    }
}
