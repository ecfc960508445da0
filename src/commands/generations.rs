//! `generations`: the generations that this host can roll back to.

use super::time::utc;
use crate::cli::Common;
use crate::failure::Failure;
use crate::host::{Generation, Host};
use crate::report::outln;
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;

/// One generation.
#[derive(Serialize)]
struct Row {
    number: u32,
    current: bool,
    #[serde(flatten)]
    contents: Contents,
}

/// The facts from the manifest, or the reason why it cannot be read.
#[derive(Serialize)]
#[serde(untagged)]
enum Contents {
    Intact {
        made: u64,
        summary: String,
        units: usize,
    },
    Damaged {
        damaged: String,
    },
}

impl From<Generation> for Row {
    fn from(generation: Generation) -> Self {
        Self {
            number: generation.number,
            current: generation.current,
            contents: match generation.manifest {
                Ok(manifest) => Contents::Intact {
                    made: manifest.created,
                    units: manifest.state.units.len(),
                    summary: manifest.summary,
                },
                Err(error) => Contents::Damaged {
                    damaged: format!("{error:#}"),
                },
            },
        }
    }
}

/// Runs `synapse-workers generations`.
pub fn generations(common: &Common) -> Result<ExitCode, Failure> {
    let rows: Vec<Row> = Host::generations().into_iter().map(Row::from).collect();
    if common.json {
        outln!("{}", json!(rows));
    } else if rows.is_empty() {
        outln!("No generations: nothing is installed on this host.");
    } else {
        rows.iter().for_each(print);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(row: &Row) {
    let number = row.number;
    let current = if row.current { "current" } else { "" };
    match &row.contents {
        Contents::Intact {
            made,
            summary,
            units,
        } => outln!(
            "{number:>4}  {}  {current:<8} {units:>3} units  {summary}",
            utc(*made)
        ),
        Contents::Damaged { damaged } => {
            outln!("{number:>4}  {:<20}  {current:<8} {damaged}", "damaged");
        }
    }
}
