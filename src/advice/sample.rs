//! From readings to a sample: the growth of counters over time.

use super::counters::{Counters, Upstream};
use super::load::{MachineLoad, PostgresLoad, ProcessLoad, Sample, SynapseLoad, UpstreamLoad};
use super::reading::{Machine, Postgres, Process, Reading};
use std::collections::BTreeMap;
use std::time::Duration;

impl Sample {
    /// The load between the first and the last of these readings; `None` if there are not two.
    pub fn of(readings: &[Reading]) -> Option<Self> {
        let ([first, ..], [.., last]) = (readings, readings) else {
            return None;
        };
        let seconds = (last.at.saturating_sub(first.at)).as_secs_f64();
        if seconds <= 0.0 {
            return None;
        }
        let before = |now: &Process| {
            let mut known = first.processes.iter();
            known.find(|known| known.unit == now.unit && known.pid == now.pid)
        };
        let processes = last.processes.iter();
        let upstreams = last.upstreams.iter();
        Some(Self {
            seconds,
            machine: machine(&first.machine, &last.machine, seconds),
            processes: processes
                .filter_map(|now| Some(process(before(now)?, now, seconds)))
                .collect(),
            postgres: postgres(readings),
            clients: last.clients,
            // Without counters before, the growth is not known.
            upstreams: upstreams
                .filter(|_| !first.upstreams.is_empty())
                .map(|(name, now)| upstream(name, first.upstreams.get(name), now, seconds))
                .collect(),
        })
    }
}

/// The growth of a counter; none if it began again.
fn growth(before: f64, now: f64) -> f64 {
    (now - before).max(0.0)
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a number of processors or connections"
)]
fn number(count: usize) -> f64 {
    count as f64
}

fn machine(before: &Machine, now: &Machine, seconds: f64) -> MachineLoad {
    let time = growth(before.time, now.time);
    let busy = ratio(growth(before.busy, now.busy), time).unwrap_or(0.0);
    let processors = number(now.processors);
    let stalled = before.stalled.zip(now.stalled);
    MachineLoad {
        processors,
        busy: busy * processors,
        memory: now.memory,
        available: now.available,
        stalled: stalled.and_then(|(before, now)| ratio(growth(before, now), seconds)),
        load: now.load,
    }
}

fn process(before: &Process, now: &Process, seconds: f64) -> ProcessLoad {
    let rate = |before: Option<f64>, now: Option<f64>| Some(growth(before?, now?) / seconds);
    let cpu = rate(before.cpu, now.cpu);
    let delayed = rate(before.delayed, now.delayed).unwrap_or(0.0);
    let counters = before.synapse.as_ref().zip(now.synapse.as_ref());
    ProcessLoad {
        name: now.name.clone(),
        unit: now.unit.clone(),
        pid: now.pid,
        cpu,
        demand: cpu.map(|cpu| cpu + delayed),
        memory: now.memory,
        private: now.private,
        connections: now.connections,
        synapse: counters.map(|(before, now)| synapse(before, now, seconds)),
    }
}

fn synapse(before: &Counters, now: &Counters, seconds: f64) -> SynapseLoad {
    let queries = growth(before.pool_requests, now.pool_requests);
    let mean = |before, now| ratio(growth(before, now), queries).unwrap_or(0.0);
    let lookups = growth(before.lookups, now.lookups);
    let found = ratio(growth(before.hits, now.hits), lookups).unwrap_or(1.0);
    let spent = |(name, now): (&String, &f64)| {
        let before = before.work.get(name).copied().unwrap_or(0.0);
        let spent = growth(before, *now) / seconds;
        (spent > 0.0).then(|| (name.clone(), spent))
    };
    SynapseLoad {
        requests: growth(before.requests, now.requests) / seconds,
        errors: growth(before.errors, now.errors) / seconds,
        lag: lag(&before.ticks, &now.ticks),
        transactions: queries / seconds,
        transaction_time: mean(before.transactions, now.transactions),
        pool_wait: mean(before.pool_wait, now.pool_wait),
        pool_size: now.pool_size,
        work: now.work.iter().filter_map(spent).collect(),
        lookups: lookups / seconds,
        misses: 1.0 - found.min(1.0),
        evicted: growth(before.evicted, now.evicted) / seconds,
    }
}

/// The limit of the first bucket that contains 99 of 100 rounds; for the last bucket, the limit before it.
fn lag(before: &[(f64, f64)], now: &[(f64, f64)]) -> Option<f64> {
    let old = |limit: f64| before.iter().find(|known| known.0 == limit);
    let rounds: Vec<(f64, f64)> = now
        .iter()
        .map(|(limit, count)| (*limit, growth(old(*limit).map_or(0.0, |old| old.1), *count)))
        .collect();
    let all = rounds.last().filter(|all| all.1 > 0.0)?.1;
    let found = rounds.iter().position(|(_, count)| *count >= 0.99 * all)?;
    let finite = |(limit, _): &(f64, f64)| limit.is_finite().then_some(*limit);
    finite(&rounds[found]).or_else(|| finite(rounds.get(found.checked_sub(1)?)?))
}

fn postgres(readings: &[Reading]) -> Option<PostgresLoad> {
    let read: Vec<(Duration, &Postgres)> = readings
        .iter()
        .filter_map(|one| Some((one.at, one.postgres.as_ref()?)))
        .collect();
    let [(begun, before), .., (ended, now)] = &read[..] else {
        return None;
    };
    let seconds = ended.saturating_sub(*begun).as_secs_f64();
    let (hits, reads) = (
        growth(before.hits, now.hits),
        growth(before.reads, now.reads),
    );
    // A process that is new at the last reading did all of its work in between.
    let spent = now.cpu.iter().map(|(pid, now)| {
        let before = before.cpu.get(pid).copied().unwrap_or(0.0);
        growth(before, *now) / seconds
    });
    let mut active: BTreeMap<String, f64> = BTreeMap::new();
    let share = 1.0 / number(read.len());
    for (wait, count) in read.iter().flat_map(|(_, one)| &one.active) {
        let count = usize::try_from(*count).unwrap_or(usize::MAX);
        *active.entry(wait.clone()).or_default() += number(count) * share;
    }
    Some(PostgresLoad {
        limit: now.limit,
        used: now.used,
        buffers: now.buffers,
        commits: growth(before.commits, now.commits) / seconds,
        reads: reads / seconds,
        hits: ratio(hits, hits + reads),
        cpu: (!now.cpu.is_empty()).then(|| spent.sum()),
        active,
    })
}

fn upstream(name: &str, before: Option<&Upstream>, now: &Upstream, seconds: f64) -> UpstreamLoad {
    let before = before.copied().unwrap_or_default();
    let time = growth(before.seconds, now.seconds);
    UpstreamLoad {
        name: name.to_owned(),
        requests: growth(before.requests, now.requests) / seconds,
        errors: growth(before.errors, now.errors) / seconds,
        answer_time: ratio(time, growth(before.answers, now.answers)).unwrap_or(0.0),
        // Little's law: arrivals a second, times the seconds of each.
        waiting: time / seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn reading(at: u64, cpu: f64, requests: f64) -> Reading {
        Reading {
            at: Duration::from_secs(at),
            machine: Machine {
                processors: 2,
                busy: cpu * 2.0,
                time: (at * 2) as f64,
                ..Machine::default()
            },
            processes: vec![Process {
                name: "main".to_owned(),
                pid: 7,
                cpu: Some(cpu),
                delayed: Some(cpu / 2.0),
                synapse: Some(Counters {
                    requests,
                    ticks: vec![(0.1, requests), (1.0, requests), (f64::INFINITY, requests)],
                    ..Counters::default()
                }),
                ..Process::default()
            }],
            ..Reading::default()
        }
    }

    #[test]
    fn a_sample_has_rates_of_the_time_between_two_readings() {
        let sample = Sample::of(&[reading(10, 1.0, 100.0), reading(20, 6.0, 300.0)]).unwrap();
        assert_eq!((sample.seconds, sample.machine.busy), (10.0, 1.0));
        let main = &sample.processes[0];
        assert_eq!((main.cpu, main.demand), (Some(0.5), Some(0.75)));
        let synapse = main.synapse.as_ref().unwrap();
        assert_eq!((synapse.requests, synapse.lag), (20.0, Some(0.1)));
    }

    #[test]
    fn a_process_that_was_restarted_is_not_compared() {
        let mut last = reading(20, 0.1, 5.0);
        last.processes[0].pid = 8;
        let sample = Sample::of(&[reading(10, 9.0, 900.0), last]).unwrap();
        assert!(sample.processes.is_empty());
        assert!(Sample::of(&[reading(10, 9.0, 900.0)]).is_none());
    }
}
