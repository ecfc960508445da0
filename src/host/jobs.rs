//! Jobs of systemd: start, stop, restart and reload.

use super::dbus::JobRemovedStream;
use super::interruption;
use super::systemd::{Systemd, about};
use crate::plan::step::Verb;
use anyhow::{Context, Result, bail};
use futures_lite::StreamExt;
use std::collections::{BTreeMap, BTreeSet};

/// Jobs that failed.
#[derive(Debug)]
pub struct JobsFailed {
    verb: Verb,
    /// Each unit and the result of its job.
    pub units: Vec<(String, String)>,
}

impl std::error::Error for JobsFailed {}

impl std::fmt::Display for JobsFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = self.units.iter();
        let units: Vec<String> = units
            .map(|(unit, result)| format!("{unit} ({result})"))
            .collect();
        write!(f, "could not {} {}", self.verb.word(), units.join(", "))
    }
}

impl JobsFailed {
    /// The units whose journals contain the causes: of a unit that did not start because others had failed, these
    /// others. Each unit occurs once.
    pub fn causes(&self, systemd: &Systemd) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        for (unit, result) in &self.units {
            let failed = match result.as_str() {
                "dependency" => systemd.failed_requirements(unit).unwrap_or_default(),
                _ => Vec::new(),
            };
            let own = failed.is_empty().then(|| unit.clone());
            for cause in failed.into_iter().chain(own) {
                if !causes.contains(&cause) {
                    causes.push(cause);
                }
            }
        }
        causes
    }
}

impl Systemd {
    /// The units that a unit requires and that have failed, such as a socket whose address is in use.
    fn failed_requirements(&self, unit: &str) -> Result<Vec<String>> {
        about(unit, async {
            let mut failed = Vec::new();
            for required in self.unit(unit).await?.requires().await? {
                let state = self.unit(&required).await?.active_state().await?;
                if state == "failed" {
                    failed.push(required);
                }
            }
            Ok(failed)
        })
    }

    /// Starts a unit and does not wait for the job.
    pub fn begin_start(&self, unit: &str) -> Result<()> {
        zbus::block_on(self.manager.start_unit(unit, "replace"))
            .map(drop)
            .with_context(|| format!("starting {unit}"))
    }

    /// Queues one job for each unit and waits for all of them. For units of `Type=notify`, a finished job means that
    /// the service is ready.
    ///
    /// # Errors
    /// Names every unit whose job failed, and the result of the job.
    pub fn jobs(&self, verb: Verb, units: &[String]) -> Result<()> {
        self.jobs_counted(verb, units, &mut |_| ())
    }

    /// Like [`Systemd::jobs`], and passes on the name of each unit as its job ends.
    ///
    /// # Errors
    /// The same as for [`Systemd::jobs`].
    pub fn jobs_counted(
        &self,
        verb: Verb,
        units: &[String],
        ended: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let results = zbus::block_on(self.queue(verb, units, ended))
            .with_context(|| format!("asking systemd to {} units", verb.word()))?;
        if let Some(signal) = interruption::received() {
            bail!("{} by {signal}", interruption::ERROR);
        }
        let succeeded = |result: &str| matches!(result, "done" | "skipped");
        let failed = results.into_iter().filter(|(_, result)| !succeeded(result));
        let units: Vec<_> = failed.collect();
        match units.is_empty() {
            true => Ok(()),
            false => Err(JobsFailed { verb, units }.into()),
        }
    }

    /// Returns the result of each unit's job. It subscribes to the signal before it queues the first job, so that none
    /// is missed.
    async fn queue(
        &self,
        verb: Verb,
        units: &[String],
        take: &mut dyn FnMut(&str),
    ) -> zbus::Result<Vec<(String, String)>> {
        let mut removed = self.manager.receive_job_removed().await?;
        let mut waiting: BTreeSet<String> = BTreeSet::new();
        let mut results = Vec::new();
        let mut ended: BTreeMap<String, (String, String)> = BTreeMap::new();
        // Signals are received while jobs are queued: a full queue of signals would block the replies behind it.
        let queueing = async {
            for unit in units {
                let job = match verb {
                    Verb::Start => self.manager.start_unit(unit, "replace").await,
                    Verb::Stop => self.manager.stop_unit(unit, "replace").await,
                    Verb::Restart => self.manager.restart_unit(unit, "replace").await,
                    Verb::Reload => self.manager.reload_unit(unit, "replace").await,
                };
                match job {
                    Ok(job) => drop(waiting.insert(job.to_string())),
                    // For example a masked unit. The error is reported with the others when their jobs have finished.
                    Err(zbus::Error::MethodError(_, text, _)) => {
                        results.push((unit.clone(), text.unwrap_or_default()));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        let collecting = async {
            loop {
                let job = next(&mut removed).await?;
                ended.insert(job.0, job.1);
            }
        };
        futures_lite::future::or(queueing, collecting).await?;
        let mut interrupted = std::pin::pin!(async {
            interruption::wait().await;
            Ok(None)
        });
        loop {
            waiting.retain(|job| match ended.remove(job) {
                Some(result) => {
                    if matches!(result.1.as_str(), "done" | "skipped") {
                        take(&result.0);
                    }
                    results.push(result);
                    false
                }
                None => true,
            });
            if waiting.is_empty() {
                return Ok(results);
            }
            let job = async { next(&mut removed).await.map(Some) };
            match futures_lite::future::or(job, interrupted.as_mut()).await? {
                Some(job) => drop(ended.insert(job.0, job.1)),
                // The jobs continue; those of the rollback replace them.
                None => return Ok(results),
            }
        }
    }
}

/// Waits for the next finished job and returns its path, its unit and its result.
async fn next(removed: &mut JobRemovedStream) -> zbus::Result<(String, (String, String))> {
    let Some(signal) = removed.next().await else {
        return Err(zbus::Error::Failure("the bus closed the connection".into()));
    };
    let job = signal.args()?;
    Ok((job.job.to_string(), (job.unit.clone(), job.result.clone())))
}
