//! Files of the administrator that a deployment includes.

use super::locations::LocationFile;
use std::collections::BTreeMap;

/// The Synapse options in homeserver.d: contents by file name.
pub type SynapseOptions = BTreeMap<String, Vec<u8>>;

/// Files that settings name. They are copied into the generation, so that processes read exactly what was validated, a
/// change of their contents is planned like any other change, and a rollback restores them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferencedFiles {
    /// Registrations of application services, by absolute path.
    pub app_services: BTreeMap<String, Vec<u8>>,
    /// The logging configuration for Python that `log_config` names; `None` if this program renders one.
    pub log_config: Option<Vec<u8>>,
    /// The files with locations that `nginx.include` lists, in its order.
    pub locations: Vec<LocationFile>,
}
