//! `routes`: prints the processes that answer each request, or one request.

use crate::cli::{Common, Flags};
use crate::failure::Failure;
use crate::host;
use crate::report::outln;
use crate::request;
use crate::topology::{Balance, Route, RoutingTable, Upstream};
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;

/// The pattern of requests that match no route.
const OTHER_REQUESTS: &str = "everything else";

/// The processes that answer one request.
#[derive(Serialize)]
struct Answer<'a> {
    method: String,
    path: &'a str,
    upstream: &'a str,
    processes: &'a [String],
    balance: Balance,
    pattern: &'a str,
}

/// One route.
#[derive(Serialize)]
struct RouteRow<'a> {
    methods: &'a [&'a str],
    pattern: &'a str,
    upstream: &'a str,
    role: &'a str,
}

impl<'a> From<&'a Route> for RouteRow<'a> {
    fn from(route: &'a Route) -> Self {
        Self {
            methods: route.methods,
            pattern: route.pattern,
            upstream: &route.upstream,
            role: route.role,
        }
    }
}

/// One group of processes.
#[derive(Serialize)]
struct UpstreamRow<'a> {
    name: &'a str,
    processes: &'a [String],
    balance: Balance,
}

impl<'a> From<&'a Upstream> for UpstreamRow<'a> {
    fn from(upstream: &'a Upstream) -> Self {
        Self {
            name: &upstream.name,
            processes: &upstream.servers,
            balance: upstream.balance,
        }
    }
}

/// Runs `synapse-workers routes [METHOD PATH]`.
pub fn routes(
    common: &Common,
    flags: &Flags,
    request: Option<(String, String)>,
) -> Result<ExitCode, Failure> {
    let loaded = request::load_or_placeholder(common, flags)?;
    let facts = host::endpoints::facts(&loaded);
    let table = loaded.input(&facts).routes();
    match request {
        Some((method, path)) => print_one(common, &table, &method, &path)?,
        None => print_all(common, &table),
    }
    Ok(ExitCode::SUCCESS)
}

fn print_one(
    common: &Common,
    table: &RoutingTable,
    method: &str,
    path: &str,
) -> Result<(), Failure> {
    if !path.starts_with('/') {
        return Err(
            Failure::usage(format!("`{path}` is not a path: a path begins with /"))
                .help("synapse-workers routes GET /_matrix/client/v3/sync"),
        );
    }
    let method = method.to_ascii_uppercase();
    let (route, upstream) = table.pick(&method, path);
    let answer = Answer {
        method,
        path,
        upstream: &upstream.name,
        processes: &upstream.servers,
        balance: upstream.balance,
        pattern: route.map_or(OTHER_REQUESTS, |route| route.pattern),
    };
    if common.json {
        outln!("{}", json!(answer));
        return Ok(());
    }
    outln!("{}: {}", answer.upstream, answer.processes.join(" "));
    outln!("  balanced {}", answer.balance);
    outln!("  matched  {}", answer.pattern);
    Ok(())
}

fn print_all(common: &Common, table: &RoutingTable) {
    let routes: Vec<RouteRow> = table.routes.iter().map(RouteRow::from).collect();
    let upstreams: Vec<UpstreamRow> = table.upstreams.iter().map(UpstreamRow::from).collect();
    if common.json {
        outln!(
            "{}",
            json!({"routes": routes, "upstreams": upstreams, "otherwise": "main"})
        );
        return;
    }
    for route in &routes {
        let methods = match route.methods {
            [] => "any".to_owned(),
            methods => methods.join(","),
        };
        outln!("{methods:<16} {:<24} {}", route.upstream, route.pattern);
    }
    outln!("{:<16} {:<24} {OTHER_REQUESTS}", "any", "main");
    outln!();
    for upstream in &upstreams {
        outln!(
            "{:<24} {}  (balanced {})",
            upstream.name,
            upstream.processes.join(" "),
            upstream.balance
        );
    }
}
