//! Commands that only read settings and generations: `routes`, `generations`, `presets`.

use crate::cli::{Common, Flags};
use crate::failure::Failure;
use crate::host::Host;
use crate::report::outln;
use crate::request;
use crate::topology::{self, Route, RoutingTable};
use serde_json::json;
use std::process::ExitCode;

/// `synapse-workers routes [METHOD PATH]`.
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

/// `synapse-workers generations`.
pub fn generations(common: &Common) -> Result<ExitCode, Failure> {
    let generations = Host::generations();
    if common.json {
        let list: Vec<_> = generations
            .iter()
            .map(|generation| match &generation.manifest {
                Ok(manifest) => json!({
                    "number": generation.number,
                    "made": manifest.made,
                    "current": generation.current,
                    "summary": manifest.summary,
                    "units": manifest.state.units.len(),
                }),
                Err(error) => json!({
                    "number": generation.number,
                    "current": generation.current,
                    "damaged": format!("{error:#}"),
                }),
            })
            .collect();
        outln!("{}", json!(list));
        return Ok(ExitCode::SUCCESS);
    }
    if generations.is_empty() {
        outln!("No generations: nothing is installed here.");
    }
    for generation in generations {
        let (number, current) = (generation.number, generation.current);
        let current = if current { "current" } else { "" };
        match generation.manifest {
            Ok(manifest) => outln!(
                "{number:>4}  {}  {current:<8} {:>3} units  {}",
                utc(manifest.made),
                manifest.state.units.len(),
                manifest.summary
            ),
            Err(error) => outln!("{number:>4}  {:<20}  {current:<8} {error:#}", "damaged"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A date and time of day for people, without the tables of time zones.
pub fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a civil date, counted in years that begin in March (the leap day is then the last day).
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year}-{month:02}-{day:02} {:02}:{:02} UTC",
        rest / 3_600,
        rest % 3_600 / 60
    )
}

/// `synapse-workers presets`.
pub fn presets(common: &Common) -> Result<ExitCode, Failure> {
    for preset in &topology::PRESETS {
        if common.json {
            outln!(
                "{}",
                json!({"name": preset.name, "description": preset.summary, "cores": preset.cores, "workers": preset.spec})
            );
        } else {
            outln!("{:<8} {}", preset.name, preset.summary);
            outln!("         {}", preset.spec);
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #[test]
    fn seconds_become_dates() {
        // Reference: date -u -d @N.
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_795_449_660, "2026-11-23 16:01 UTC"),
            (4_102_444_799, "2099-12-31 23:59 UTC"),
        ] {
            assert_eq!(super::utc(seconds), text);
        }
    }
}
