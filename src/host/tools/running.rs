//! A running program: its input, its output, its timeout and its interruption.

use super::lines::Lines;
use super::output::Output;
use crate::host::interruption;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Limit on standard output and on standard error, in bytes. A program that prints more is faulty.
const LARGEST: u64 = 8 << 20;

/// Waits for the end of a program that leads its own process group.
///
/// # Errors
/// When it exceeds its timeout, prints too much or is interrupted.
pub(super) fn finish(
    mut child: Child,
    name: &str,
    input: &[u8],
    limit: Duration,
    interruptible: bool,
    followed: bool,
) -> Result<Output> {
    let (done, ended) = channel();
    let excess = AtomicBool::new(false);
    let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let group = Pid::from_raw(child.id().cast_signed());
    let (stdout, stderr, killed) = std::thread::scope(|scope| {
        let watch = scope.spawn(move || watch(group, &ended, limit, interruptible));
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // A program that does not read all of its input may still succeed; its exit status decides.
                let _ = stdin.write_all(input);
            }
        });
        let stderr = scope.spawn(|| collect(err, group, &excess));
        let out = out.map(|out| Lines::new(out, followed));
        let stdout = collect(out, group, &excess);
        let stderr = stderr.join().unwrap_or_default();
        let _ = done.send(());
        (stdout, stderr, watch.join().unwrap_or_default())
    });
    let status = child
        .wait()
        .with_context(|| format!("waiting for {name}"))?;
    ensure!(
        !excess.into_inner(),
        "{name} printed more than {LARGEST} bytes and was killed"
    );
    match killed {
        Some(Killed::TimedOut) => bail!(
            "{name} did not end within {} s and was killed",
            limit.as_secs()
        ),
        Some(Killed::Interrupted) => bail!("{name} was killed: {}", interruption::ERROR),
        None => Ok(Output {
            status,
            stdout,
            stderr,
        }),
    }
}

/// Why a program was killed.
enum Killed {
    TimedOut,
    Interrupted,
}

/// Kills the program and all its children when its time is over.
fn watch(group: Pid, ended: &Receiver<()>, limit: Duration, interruptible: bool) -> Option<Killed> {
    let begun = Instant::now();
    loop {
        let left = limit.saturating_sub(begun.elapsed());
        match ended.recv_timeout(left.min(interruption::INTERVAL)) {
            Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                let _ = killpg(group, Signal::SIGKILL);
                return Some(Killed::TimedOut);
            }
            Err(RecvTimeoutError::Timeout)
                if interruptible && interruption::received().is_some() =>
            {
                let _ = killpg(group, Signal::SIGTERM);
                let _ = ended.recv_timeout(Duration::from_secs(5));
                let _ = killpg(group, Signal::SIGKILL);
                return Some(Killed::Interrupted);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// Reads a stream to its end. A program that prints too much is killed.
fn collect(stream: Option<impl Read>, group: Pid, excess: &AtomicBool) -> Vec<u8> {
    let mut text = Vec::new();
    let Some(stream) = stream else {
        return text;
    };
    let mut stream = stream.take(LARGEST + 1);
    // Output from before an error counts.
    let _ = stream.read_to_end(&mut text);
    if text.len() as u64 > LARGEST {
        excess.store(true, Ordering::Relaxed);
        let _ = killpg(group, Signal::SIGKILL);
    }
    text
}
