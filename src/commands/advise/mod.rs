//! `advise`: measures the running server, and recommends changes.

mod print;

use super::observed::Observed;
use crate::advice::reading::Reading;
use crate::advice::{Outlook, Recommendation, Sample, Scene, rules};
use crate::cli::Common;
use crate::failure::Failure;
use crate::host::interruption;
use crate::report::{complain, outln};
use crate::settings::types;
use serde::Serialize;
use serde_json::json;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The time between two readings. PostgreSQL's waits are known only at the moment of a reading.
const INTERVAL: Duration = Duration::from_secs(5);

/// The JSON of `advise`, whose keys are stable except those below `sample`.
#[derive(Serialize)]
struct Advice {
    /// Whether Synapse's own metrics were read.
    metrics: bool,
    recommendations: Vec<Recommendation>,
    outlook: Option<Outlook>,
    sample: Sample,
}

/// Runs `synapse-workers advise`.
pub fn advise(common: &Common, time: types::Duration) -> Result<ExitCode, Failure> {
    let observed = Observed::new("advise")?;
    let readings = readings(&observed, Duration::from_secs(time.seconds()), common.json)?;
    let sample = Sample::of(&readings).ok_or_else(|| {
        Failure::failed("advise was interrupted before its second reading")
            .help("let it run for some seconds: synapse-workers advise --for 10s")
    })?;
    let sizes = observed.sizes(readings.last());
    let scene = Scene {
        sample: &sample,
        deployment: &observed.request.deployment,
        sizes: &sizes,
    };
    let advice = Advice {
        metrics: scene.has_metrics(),
        recommendations: rules::recommend(&scene),
        outlook: Outlook::of(&scene),
        sample: sample.clone(),
    };
    if common.json {
        outln!("{}", json!(advice));
    } else {
        print::print(&advice, &observed.request);
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes readings until the time is over, or until Ctrl-C.
fn readings(observed: &Observed, time: Duration, quiet: bool) -> Result<Vec<Reading>, Failure> {
    interruption::watch();
    let shown = !quiet && std::io::stderr().is_terminal();
    if shown {
        let seconds = time.as_secs();
        complain(format!(
            "measuring for {seconds} s; Ctrl-C ends it early and evaluates the readings so far"
        ));
    }
    let mut readings = vec![observed.observer.read()?];
    // From the first reading on: on a busy host it alone may take longer than a short measurement.
    let begun = Instant::now();
    while let Some(left) = time
        .checked_sub(begun.elapsed())
        .filter(|left| !left.is_zero())
    {
        if interruption::pause(left.min(INTERVAL)) {
            break;
        }
        readings.push(observed.observer.read()?);
        if shown && readings.len().is_multiple_of(6) {
            let elapsed = begun.elapsed().as_secs();
            complain(format!("  {elapsed} of {} s", time.as_secs()));
        }
    }
    // After Ctrl-C, the time since the last reading counts as well.
    if interruption::received().is_some() && begun.elapsed() > Duration::from_secs(1) {
        readings.push(observed.observer.read()?);
    }
    Ok(readings)
}
