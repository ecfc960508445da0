//! SIGINT and SIGTERM. The handler records them, and the run checks for them between steps, so that an interrupted
//! change is rolled back.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// The error of an interrupted run.
pub const ERROR: &str = "this run was interrupted";

/// Interval for polling when no signal wakes up the waiting thread.
pub const INTERVAL: Duration = Duration::from_millis(200);

static RECEIVED: AtomicI32 = AtomicI32::new(0);
static IGNORED: AtomicBool = AtomicBool::new(false);

extern "C" fn record(signal: nix::libc::c_int) {
    RECEIVED.store(signal, Ordering::Relaxed);
}

/// From this call on, SIGINT and SIGTERM no longer end this program at once, and a lost terminal has no effect: none of
/// them may leave a host half changed. Rust's runtime ignores SIGPIPE, so neither a closed pager nor a program that does
/// not read its input ends this one.
pub fn watch() {
    let recording = SigAction::new(
        SigHandler::Handler(record),
        SaFlags::empty(),
        SigSet::empty(),
    );
    let ignoring = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    let actions = [
        (Signal::SIGINT, &recording),
        (Signal::SIGTERM, &recording),
        (Signal::SIGHUP, &ignoring),
    ];
    for (signal, action) in actions {
        // SAFETY: the handler stores one number, which is async-signal-safe (signal-safety(7)).
        let _ = unsafe { sigaction(signal, action) };
    }
}

/// Ends [`watch`]: from this call on, the signals end this program again, and one that has arrived is forgotten.
pub fn unwatch() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: no handler is installed.
        let _ = unsafe { sigaction(signal, &default) };
    }
    RECEIVED.store(0, Ordering::Relaxed);
}

/// The signal that interrupted this program, if any.
pub fn received() -> Option<Signal> {
    let signal = Signal::try_from(RECEIVED.load(Ordering::Relaxed)).ok();
    signal.filter(|_| !IGNORED.load(Ordering::Relaxed))
}

/// Waits for this time. Returns at once, with `true`, when a signal interrupts this program.
pub fn pause(time: Duration) -> bool {
    let end = Instant::now() + time;
    while received().is_none() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(INTERVAL));
    }
    true
}

/// Completes when a signal interrupts this program.
pub async fn wait() {
    let waker: Arc<Mutex<Option<Waker>>> = Arc::default();
    let waiting = Arc::downgrade(&waker);
    std::thread::spawn(move || {
        // The loop ends when the signal arrives, or when no task waits for it any more.
        while let Some(waker) = waiting.upgrade() {
            if received().is_some() {
                take(&waker).into_iter().for_each(Waker::wake);
                return;
            }
            drop(waker);
            std::thread::sleep(INTERVAL);
        }
    });
    std::future::poll_fn(move |context| {
        // The waker is stored before the check: otherwise a signal between the two would be missed.
        *waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        match received() {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    })
    .await;
}

fn take(waker: &Mutex<Option<Waker>>) -> Option<Waker> {
    waker.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// From this call on, signals are ignored: the rollback has begun, and a second Ctrl-C must not leave it half done.
pub fn ignore() {
    IGNORED.store(true, Ordering::Relaxed);
}
