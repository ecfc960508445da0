//! Parses the arguments, runs one command, prints its error, and returns its exit status.

use clap::Parser;
use std::process::ExitCode;
use synapse_workers::cli::Cli;
use synapse_workers::commands;
use synapse_workers::failure::Code;
use synapse_workers::report;

fn main() -> ExitCode {
    // Permissions are set explicitly where they matter; all other files must be readable for Synapse, whatever root's
    // umask.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A failure to print the help is not an error.
            let _ = error.print();
            return if error.use_stderr() {
                Code::Usage.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match commands::run(cli) {
        Ok(code) => code,
        Err(failure) => {
            report::complain(format!("error: {failure}"));
            failure.code.into()
        }
    }
}
