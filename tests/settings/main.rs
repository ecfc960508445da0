//! Settings as an administrator meets them: every row by every way, errors with their place,
//! the commented file, and edits that keep the rest.

mod edits;
mod files;
mod reference;
mod samples;
mod values;
