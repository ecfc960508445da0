//! `routes`: prints the process that answers each request, or one request.

use crate::cli::{Common, Flags};
use crate::failure::Failure;
use crate::report::outln;
use crate::request;
use crate::topology::{Route, RoutingTable};
use serde_json::json;
use std::process::ExitCode;

/// Runs `synapse-workers routes [METHOD PATH]`.
pub fn routes(
    common: &Common,
    flags: &Flags,
    request: Option<(String, String)>,
) -> Result<ExitCode, Failure> {
    let asked = request::load_or_placeholder(common, flags)?;
    let table = RoutingTable::new(&asked.topology);
    match request {
        Some((method, path)) => one(common, &table, &method, &path),
        None => {
            all(common, &table);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn one(
    common: &Common,
    table: &RoutingTable,
    method: &str,
    path: &str,
) -> Result<ExitCode, Failure> {
    if !path.starts_with('/') {
        return Err(Failure::usage(format!(
            "`{path}` is not a path; it begins with /"
        )));
    }
    let (route, upstream) = table.pick(&method.to_ascii_uppercase(), path);
    let pattern = route.map_or("everything else", |route| route.pattern);
    if common.json {
        outln!(
            "{}",
            json!({
                "method": method.to_ascii_uppercase(),
                "path": path,
                "upstream": upstream.name,
                "processes": upstream.servers,
                "balance": upstream.balance,
                "pattern": pattern,
            })
        );
    } else {
        outln!("{}: {}", upstream.name, upstream.servers.join(" "));
        outln!("  balanced {}", upstream.balance);
        outln!("  matched  {pattern}");
    }
    Ok(ExitCode::SUCCESS)
}

fn all(common: &Common, table: &RoutingTable) {
    if common.json {
        let routes: Vec<_> = table
            .routes
            .iter()
            .map(|route| {
                json!({
                    "methods": route.methods,
                    "pattern": route.pattern,
                    "upstream": route.upstream,
                    "role": route.role,
                })
            })
            .collect();
        let upstreams: Vec<_> = table
            .upstreams
            .iter()
            .map(|upstream| {
                json!({
                    "name": upstream.name,
                    "processes": upstream.servers,
                    "balance": upstream.balance,
                })
            })
            .collect();
        outln!(
            "{}",
            json!({"routes": routes, "upstreams": upstreams, "otherwise": "main"})
        );
        return;
    }
    for route in &table.routes {
        outln!(
            "{:<16} {:<24} {}",
            methods(route),
            route.upstream,
            route.pattern
        );
    }
    outln!("{:<16} {:<24} everything else", "any", "main");
    outln!();
    for upstream in &table.upstreams {
        outln!(
            "{:<24} {}  (balanced {})",
            upstream.name,
            upstream.servers.join(" "),
            upstream.balance
        );
    }
}

fn methods(route: &Route) -> String {
    if route.methods.is_empty() {
        "any".to_owned()
    } else {
        route.methods.join(",")
    }
}
