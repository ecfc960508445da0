//! Starts a process of Synapse from a fork server, or plainly if that is impossible: the `ExecStart=` of a unit.
//!
//! ```text
//! warm-start SOCKET SERVER UNIT PROGRAM ARGUMENT…
//! ```

use std::process::ExitCode;
use synapse_workers::host::warm::{Outcome, PLAINLY, Start, plain, start};

/// The status with which systemd itself reports that it could not execute a program (systemd.exec(5)); the units do not
/// restart after it.
const NOT_EXECUTED: u8 = 203;

fn main() -> ExitCode {
    let request = match Start::parse(std::env::args_os().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("warm-start: {error:#}");
            return ExitCode::from(NOT_EXECUTED);
        }
    };
    match start(&request) {
        Outcome::Started => ExitCode::SUCCESS,
        Outcome::Refused(reason) => {
            eprintln!("warm-start: {PLAINLY}{reason:#}");
            eprintln!("warm-start: {:#}", plain(&request));
            ExitCode::from(NOT_EXECUTED)
        }
        // systemd restarts the unit.
        Outcome::Lost(reason) => {
            eprintln!("warm-start: the forked process is lost: {reason:#}");
            ExitCode::FAILURE
        }
    }
}
