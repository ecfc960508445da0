//! Sizes that follow from the host and its workers, unless the settings contain them.

mod rows;
mod sizes;

pub use rows::{ROWS, Row};
pub use sizes::{Sizes, changes};
