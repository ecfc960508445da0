//! The secrets that Synapse's processes share; generated once, kept for ever, known to Synapse by path only.

/// One secret.
#[derive(Debug)]
pub struct Secret {
    /// The file's name in the directory of secrets.
    pub name: &'static str,
    /// Needed with workers only.
    pub for_workers: bool,
}

/// Every secret; for each, Synapse has an option that ends in `_path` (config_documentation.md).
pub static SECRETS: &[Secret] = &[
    Secret {
        name: "registration_shared_secret",
        for_workers: false,
    },
    Secret {
        name: "macaroon_secret_key",
        for_workers: false,
    },
    Secret {
        name: "form_secret",
        for_workers: false,
    },
    Secret {
        name: "worker_replication_secret",
        for_workers: true,
    },
];
