//! The converger and the shell around it, without a booted host: planning and restarts as properties, rendered files
//! before real judges, jobs on a bus with a fake systemd, and the program as a user calls it.

mod adoption;
mod architecture;
mod boundaries;
mod bus;
mod cases;
mod command_line;
mod compressor;
mod documents;
mod metrics;
mod model;
mod network;
mod nginx;
mod on_host;
mod output;
mod plans;
mod ports;
mod preflight;
mod python;
mod rendering;
mod restarts;
mod rollback;
mod sandbox;
mod setup;
mod tools;
mod turn;
mod upgrades;
mod validators;
mod variables;
