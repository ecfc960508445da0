//! `synapse-workers`: Synapse, the Matrix homeserver, with workers on plain Linux.
//!
//! The modules are listed in the order in which data flows through them. Everything except [`host`] and its callers is
//! a pure function of its arguments.
//!
//! ```text
//! settings.yaml ─┐
//! environment    ├─> settings ─> topology ─> deployment ─┐
//! flags         ─┘                                       ├─> render ─> State (desired) ─┐
//! host ─> HostFacts ─────────────────────────────────────┘                              ├─> Plan ─> apply ─> verify
//! host ─> observe ─> State (observed) ──────────────────────────────────────────────────┘
//! ```

// Not in Cargo.toml, because tests may unwrap.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod state;

pub mod settings;
pub mod topology;

pub mod deployment;

pub mod render;

pub mod plan;

pub mod advice;
pub mod reach;

pub mod host;

#[expect(
    missing_docs,
    reason = "its doc comments are help texts; a group of options has none"
)]
pub mod cli;
pub mod request;

#[expect(missing_docs)]
pub mod preflight;

pub mod converge;

pub mod commands;

pub mod failure;
pub mod parallel;
pub mod printable;
pub mod pyyaml;
pub mod report;
pub mod special_ranges;
mod status_line;
pub mod suggest;
pub mod yaml;
