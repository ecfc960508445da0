//! Secrets, and the composed files that contain them.
//!
//! A secret is a file in the secrets directory, and Synapse's configuration refers to it by path. For a program that
//! has no option for a path, a file is *composed*: a template in the generation contains the placeholder `@name@`, and
//! the value replaces it in a copy that only that program can read.

mod catalogue;
mod composed;

pub use catalogue::{
    OWN_POSTGRES_PASSWORD, OWN_REDIS_PASSWORD, SECRETS, SIGNING_KEY, Secret, secret,
};
pub use composed::{
    COMPOSED, Composed, REDIS_ACL, Reader, compose, composed, pgpass_line, template,
};
