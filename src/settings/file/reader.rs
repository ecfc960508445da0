//! The reader of a settings file: the keys read so far, and the first problem.

use super::{Document, Place};
use crate::settings::origin::SettingsError;
use crate::settings::row::Row;
use crate::settings::table::{ROWS, SECTIONS};
use crate::suggest::nearest;
use serde::de::Error;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

/// The settings read so far, and the first problem.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) document: RefCell<Document>,
    seen: RefCell<BTreeSet<String>>,
    problem: RefCell<Option<(usize, SettingsError)>>,
}

impl Reader {
    /// Returns the document, or the problem with its line.
    pub fn finish(self) -> Result<Document, (usize, SettingsError)> {
        match self.problem.into_inner() {
            Some(problem) => Err(problem),
            None => Ok(self.document.into_inner()),
        }
    }

    /// Stops reading with this problem.
    pub fn fail<T, E: Error>(&self, line: usize, problem: SettingsError) -> Result<T, E> {
        *self.problem.borrow_mut() = Some((line, problem));
        Err(E::custom(""))
    }

    /// Whether the library found a type other than the requested one; the test matches serde's own message.
    pub fn is_wrong_type(&self, error: &impl fmt::Display) -> bool {
        self.problem.borrow().is_none() && error.to_string().contains("invalid type")
    }

    /// Records a key, and refuses one that is set twice.
    pub(super) fn only_once<E: Error>(&self, key: &str, place: Place) -> Result<(), E> {
        if self.seen.borrow_mut().insert(key.to_owned()) {
            return Ok(());
        }
        let problem = SettingsError::new(format!("`{key}` is set twice"));
        self.fail(place.line, problem.help("remove one of the two"))
    }

    pub(super) fn unknown<T, E: Error>(&self, key: &str, place: Place) -> Result<T, E> {
        let sections = SECTIONS.iter().map(|(section, _)| *section);
        let known = ROWS.iter().filter(|row| !row.secret).map(|row| row.key);
        let help = match (
            Row::of(key).map(Row::path),
            nearest(key, known.chain(sections)),
        ) {
            (Some((Some(section), name)), _) => {
                format!("write `{name}:` in the section `{section}:`")
            }
            (_, Some(near)) => format!("did you mean `{near}`?"),
            (_, None) => "put an option of Synapse itself into a file in \
                          /etc/synapse-workers/homeserver.d"
                .to_owned(),
        };
        let problem = SettingsError::new(format!("unknown setting `{key}`"));
        self.fail(place.line, problem.help(help))
    }

    /// The row of a key in the file.
    pub(super) fn row<E: Error>(&self, key: &str, place: Place) -> Result<&'static Row, E> {
        match Row::of(key) {
            Some(row) if row.secret => {
                let problem = SettingsError::new(format!("`{key}` does not belong in this file"));
                let names = row.env.join(" or ");
                let help = format!("set {names} in the environment, or in a file for --env-file");
                self.fail(place.line, problem.help(help))
            }
            Some(row) => Ok(row),
            None => self.unknown(key, place),
        }
    }
}
