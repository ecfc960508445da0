//! Counters of the kernel: the host's processors and memory, and the processor time of processes.

use super::super::{files, size};
use crate::advice::reading::Machine;

/// The units of processor time in /proc are a hundredth of a second on all architectures of this program (`USER_HZ`).
const TICK: f64 = 0.01;

/// The counters of the host. What the kernel does not have is 0 or absent.
pub(super) fn machine() -> Machine {
    let text = |path: &str| files::read_text(path).ok().flatten().unwrap_or_default();
    let (time, busy) = processors(&text("/proc/stat")).unwrap_or_default();
    Machine {
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        busy,
        time,
        memory: size::meminfo("MemTotal:").unwrap_or(0),
        available: size::meminfo("MemAvailable:").unwrap_or(0),
        stalled: stalled(&text("/proc/pressure/memory")),
        load: first_number(&text("/proc/loadavg")).unwrap_or(0.0),
    }
}

/// The seconds of all processors together, and the busy part (proc_stat(5)): user, nice, system, idle, iowait, irq,
/// softirq and steal. The time of guests is part of the first two.
fn processors(stat: &str) -> Option<(f64, f64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let times: Vec<f64> = line
        .split_whitespace()
        .take(8)
        .map_while(|word| word.parse().ok())
        .collect();
    let all: f64 = times.iter().sum();
    let idle: f64 = times.iter().skip(3).take(2).sum();
    Some((all * TICK, (all - idle) * TICK))
}

/// The seconds with a task that waits (`some`, in microseconds).
fn stalled(pressure: &str) -> Option<f64> {
    let line = pressure.lines().find(|line| line.starts_with("some "))?;
    let total: f64 = line.split_once("total=")?.1.trim().parse().ok()?;
    Some(total / 1e6)
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// The processor time of a process with its threads and the children that it has waited for, in seconds
/// (proc_pid_stat(5), fields 14 to 17).
pub(super) fn cpu(process: u32) -> Option<f64> {
    let stat = files::of_process(process, "stat")?;
    cpu_in(&String::from_utf8_lossy(&stat))
}

fn cpu_in(stat: &str) -> Option<f64> {
    // The name of the program may contain blanks and brackets.
    let (_, rest) = stat.rsplit_once(')')?;
    let times = rest.split_whitespace().skip(11).take(4);
    let times: Vec<f64> = times.map_while(|word| word.parse().ok()).collect();
    (times.len() == 4).then(|| times.iter().sum::<f64>() * TICK)
}

/// The seconds that the main thread of a process was ready to run while no processor was free (kernel documentation,
/// scheduler/sched-stats); `None` if the kernel does not count them.
pub(super) fn delayed(process: u32) -> Option<f64> {
    let stat = files::of_process(process, "schedstat")?;
    let stat = String::from_utf8_lossy(&stat);
    let nanoseconds: f64 = stat.split_whitespace().nth(1)?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_processors_are_read() {
        let stat = "cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2 3\n";
        assert_eq!(processors(stat), Some((10.0, 2.0)));
        assert_eq!(processors(""), None);
        let pressure =
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 total=1\n";
        assert_eq!(stalled(pressure), Some(2.5));
    }

    #[test]
    fn processor_time_is_read_after_a_name_with_brackets() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 20 5 20 0 1 0";
        assert_eq!(cpu_in(stat), Some(2.25));
        assert_eq!(cpu_in("7 (a) S 1"), None);
    }
}
