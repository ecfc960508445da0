//! Files of the administrator that a deployment includes.

use std::collections::BTreeMap;

/// The administrator's own Synapse options: file name and contents.
pub type SynapseOptions = BTreeMap<String, Vec<u8>>;

/// Files that settings name, which are copied into the generation: what processes read is then what was judged, a
/// change of them is a change like any other, and the way back has them too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferencedFiles {
    /// Registrations of application services, by their absolute path.
    pub app_services: BTreeMap<String, Vec<u8>>,
    pub log_config: Option<Vec<u8>>,
}
