//! The report that ends `install`: where the server answers, and which parts of it are still missing.

mod address;
mod facts;
mod rows;
mod text;

pub(super) use facts::gather;
pub(super) use text::Closing;
