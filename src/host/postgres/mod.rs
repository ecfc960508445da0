//! PostgreSQL: queries with Synapse's access, and the creation of a role and a database on the local server as its
//! superuser.

mod access;
mod objects;
mod queries;

pub use access::Access;
pub use objects::{
    create_database, create_monitor, create_role, drop_database, drop_role, has_password,
    set_password,
};
pub use queries::{Connections, Database, Postgres, ask, connections, is_used, reachable};
pub(super) use queries::{QUERY, parse};
