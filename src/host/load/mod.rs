//! The readings that advice and `top` are made of: counters of processes, PostgreSQL, nginx and the host.

mod database;
mod kernel;
mod observer;
mod sockets;

pub use observer::{Observer, Sources};
