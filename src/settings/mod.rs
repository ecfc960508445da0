//! Settings: from what was written to values that are right.
