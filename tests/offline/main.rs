//! The program without a booted host: planning and restarts as properties, rendered files before real validators, jobs
//! on a bus with a fake systemd, and the command line.

mod adoption;
mod architecture;
mod boundaries;
mod bus;
mod cases;
mod command_line;
mod compressor;
mod documents;
mod extras;
mod intact;
mod logs;
mod metrics;
mod model;
mod network;
mod nginx;
mod on_host;
mod output;
mod paths;
mod plans;
mod ports;
mod preflight;
mod probes;
mod python;
mod rendering;
mod restarts;
mod rollback;
mod sandbox;
mod setup;
mod sizing;
mod tools;
mod turn;
mod upgrades;
mod validators;
mod variables;
mod worker_keys;
