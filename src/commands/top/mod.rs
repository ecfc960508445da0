//! `top`: the load of every process on one screen.

mod draw;
mod lines;
mod view;

use super::observed::Observed;
use crate::advice::Sample;
use crate::advice::reading::Reading;
use crate::cli::Common;
use crate::failure::Failure;
use crate::host::{self, Screen, interruption};
use anstream::{AutoStream, ColorChoice};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use view::{Action, View};

/// The time between two readings.
const INTERVAL: Duration = Duration::from_secs(2);
/// The time to the first figures, which need two readings.
const FIRST: Duration = Duration::from_millis(500);

/// Runs `synapse-workers top`.
pub fn top(common: &Common) -> Result<ExitCode, Failure> {
    if common.json || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(
            Failure::usage("top draws on a terminal, and standard output is none")
                .help("synapse-workers status --watch, or: synapse-workers advise --for 2s --json"),
        );
    }
    let observed = Observed::new("top")?;
    interruption::watch();
    let colours = !common.no_color && AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
    let (readings, received) = channel();
    let (stop, stopped) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| read(&observed, readings, stopped));
        let ended = show(&received, View::new(colours));
        drop(stop);
        ended
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Sends readings until the other side is gone.
fn read(observed: &Observed, readings: Sender<anyhow::Result<Reading>>, stopped: Receiver<()>) {
    let mut pause = FIRST;
    while readings.send(observed.observer.read()).is_ok()
        && stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
    {
        pause = INTERVAL;
    }
}

/// Draws readings and answers keys, until one of them or a signal ends it.
fn show(received: &Receiver<anyhow::Result<Reading>>, mut view: View) -> anyhow::Result<()> {
    let screen = Screen::new()?;
    let mut before: Option<Reading> = None;
    loop {
        while let Ok(reading) = received.try_recv() {
            match reading {
                Ok(now) => {
                    if let Some(before) = before.take()
                        && let Some(sample) = Sample::of(&[before, now.clone()])
                    {
                        view.update(sample);
                    }
                    before = Some(now);
                }
                Err(error) => view.fail(&format!("{error:#}")),
            }
        }
        let (columns, lines) = screen.size();
        screen.show(&draw::screen(&view, columns, lines))?;
        if interruption::received().is_some() {
            return Ok(());
        }
        match view.press(&screen.key()?) {
            Action::None => {}
            Action::Quit => return Ok(()),
            Action::Log(unit) => view.open(host::journal(&unit, lines.saturating_sub(2))),
        }
    }
}
