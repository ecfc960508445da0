//! Rules for the section `backup`.

use super::{Rule, violated};
use crate::state::paths;
use std::path::Path;

pub(super) static RULES: &[Rule] = &[
    |settings| {
        let directory = settings.backup.repository.as_ref()?.directory()?;
        let media = settings.media_store_path.as_str();
        let own = [media, paths::DATA, paths::STATE, paths::ETC];
        let around = own
            .into_iter()
            .find(|own| Path::new(directory).starts_with(own))?;
        violated(true, "backup.repository", || {
            (
                format!(
                    "`backup.repository` is {directory}, below {around}, so `uninstall --purge` would delete the backups together \
                     with the server"
                ),
                "choose another directory, on another disk if possible, such as /srv/backup"
                    .to_owned(),
            )
        })
    },
    |settings| {
        let directory = settings.backup.repository.as_ref()?.directory()?;
        let (_, why) = paths::VOLATILE
            .iter()
            .find(|(volatile, _)| Path::new(directory).starts_with(volatile))?;
        violated(true, "backup.repository", || {
            (
                format!("`backup.repository` is {directory}, {why}"),
                "choose another directory, such as /srv/backup".to_owned(),
            )
        })
    },
];
