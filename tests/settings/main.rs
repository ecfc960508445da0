//! Settings as an administrator uses them: every row from every source, errors that name the place, the generated file
//! with its comments, and edits that leave the rest unchanged.

mod edits;
mod files;
mod reference;
mod samples;
mod values;
