//! The section of backups.

use crate::settings::fragment::Values;
use crate::settings::origin::SettingsError;
use crate::settings::row::{Row, Section, section};
use crate::settings::types::{AbsolutePath, Calendar, Repository, Span, Whole};
use crate::settings::value::{Raw, Value};

section! {
    /// Backups by restic: the database, local media, the signing key, settings and secrets.
    backup: Backup {
        /// The restic repository: the path of a directory, sftp:USER@HOST:PATH, s3:https://HOST/BUCKET or
        /// rest:https://HOST/PATH, without a password. The first backup creates it. If empty, there are no
        /// backups of this server.
        repository: Option<Repository>;

        /// A file with the credentials for the repository, one NAME=VALUE on each line, such as
        /// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. No other account may read it.
        environment_file: Option<AbsolutePath>;

        /// The times of backups, in the format of OnCalendar= (systemd.time(7)).
        calendar: Calendar = "*-*-* 03:00";

        /// The times of checks, in the same format. A check restores the newest backup into a database of
        /// its own, compares the number of users, rooms and events, and removes that database.
        check_calendar: Calendar = "*-*-01 05:00";

        /// Also back up copies of media of other homeservers. Without them, Synapse downloads a copy
        /// again when a user opens it, if the other homeserver still has it.
        remote_media: bool = "false";

        /// The number of days whose newest backup is kept. If this and the next two are 0, every backup is kept.
        keep_daily: Whole<0, 10_000> = "7";

        /// The number of weeks whose newest backup is kept.
        keep_weekly: Whole<0, 10_000> = "5";

        /// The number of months whose newest backup is kept.
        keep_monthly: Whole<0, 10_000> = "12";

        /// The age of the newest complete backup from which `status` reports a problem, `doctor` warns and
        /// the alert BackupOld fires.
        max_age: Span = "2d";
    }
}

impl Backup {
    /// Whether backups are made.
    pub fn is_on(&self) -> bool {
        self.repository.is_some()
    }
}
