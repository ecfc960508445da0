//! SIGINT and SIGTERM: noted when they come, and looked at between steps, so that a change that is cut is taken back.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// What an interrupted run ends with.
pub const ERROR: &str = "this run was interrupted";

/// How often it is looked whether a signal has come, where nothing wakes up a wait.
pub const INTERVAL: Duration = Duration::from_millis(200);

static CAME: AtomicI32 = AtomicI32::new(0);
static IGNORED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(signal: nix::libc::c_int) {
    CAME.store(signal, Ordering::Relaxed);
}

/// From here on, SIGINT and SIGTERM no longer end this program at once; a lost terminal or a closed pager does nothing: none
/// of them may leave a host half changed.
pub fn watch() {
    let noting = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
    let ignoring = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    let actions = [
        (Signal::SIGINT, &noting),
        (Signal::SIGTERM, &noting),
        (Signal::SIGHUP, &ignoring),
        (Signal::SIGPIPE, &ignoring),
    ];
    for (signal, action) in actions {
        // SAFETY: the handler stores one number, which may be done at any time (signal-safety(7)).
        let _ = unsafe { sigaction(signal, action) };
    }
}

/// The signal that asked this program to end, if one came.
pub fn came() -> Option<Signal> {
    let came = Signal::try_from(CAME.load(Ordering::Relaxed)).ok();
    came.filter(|_| !IGNORED.load(Ordering::Relaxed))
}

/// Is done when a signal has asked this program to end.
pub async fn wait() {
    let waker: Arc<Mutex<Option<Waker>>> = Arc::default();
    let waiting = Arc::downgrade(&waker);
    std::thread::spawn(move || {
        // Until the signal has come, or nothing waits for it any more.
        while let Some(waker) = waiting.upgrade() {
            if came().is_some() {
                take(&waker).into_iter().for_each(Waker::wake);
                return;
            }
            drop(waker);
            std::thread::sleep(INTERVAL);
        }
    });
    std::future::poll_fn(move |context| {
        // First this, then the question: else the signal may come between the two.
        *waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        match came() {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    })
    .await;
}

fn take(waker: &Mutex<Option<Waker>>) -> Option<Waker> {
    waker.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// From here on no signal counts: the rollback has begun, and a second Ctrl-C must not leave it half done.
pub fn ignore() {
    IGNORED.store(true, Ordering::Relaxed);
}
