//! Whether every route ends at a process that serves it.

use super::Expected;
use crate::host::{self, Host, Peer};
use crate::topology::RoutingTable;
use anyhow::{Result, bail, ensure};
use std::collections::BTreeMap;

/// A process that has the servlet asks for a token or an argument; one that has not answers 404 `M_UNRECOGNIZED`. One
/// that does not answer at all is asked once: each question would wait for its bound.
pub(super) fn routes(_: &Host, expected: &Expected) -> Result<String> {
    let Some((topology, endpoints)) = &expected.topology else {
        return Ok("not asked".to_owned());
    };
    let table = RoutingTable::new(topology);
    let mut wrong = Vec::new();
    let mut silent: BTreeMap<&str, String> = BTreeMap::new();
    let mut asked = 0;
    for route in table.routes.iter().filter(|route| route.needs.is_none()) {
        let Some(upstream) = table
            .upstreams
            .iter()
            .find(|upstream| upstream.name == route.upstream)
        else {
            bail!("route {} names no upstream", route.pattern);
        };
        for server in &upstream.servers {
            if silent.contains_key(server.as_str()) {
                continue;
            }
            // Asked for somebody else's server, Synapse would go and ask that one.
            let (method, path) = route.probe();
            let path = &path.replace("example.com", &expected.server_name);
            asked += 1;
            match host::get(&Peer::At(endpoints.public(server)), method, path) {
                Ok(answer) if answer.has_servlet() => {}
                Ok(answer) => wrong.push(format!(
                    "{server} answers {} to {}",
                    answer.status, route.example
                )),
                Err(error) => {
                    let text = format!("{server} to {}: {error:#}", route.example);
                    silent.insert(server, text);
                }
            }
        }
    }
    wrong.extend(silent.into_values());
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(format!("{asked} answered by the process that should"))
}
