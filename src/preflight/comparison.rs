//! The needs of the processes beside the size of this host: a table with one row for each quantity.

use super::check::Examined;
use super::sizing::LEAST_SPACE;
use crate::deployment::tuning;
use crate::settings::types::DatabaseKind;
use crate::state::host_size::show_memory;
use crate::topology::needs::{self, PER_PROCESSOR};
use serde::Serialize;
use std::fmt;

/// One quantity, in bytes or as a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The name of the quantity.
    pub quantity: &'static str,
    /// The amount that the processes need.
    pub needed: u64,
    /// The amount that the host has.
    pub available: u64,
    /// Whether both are bytes.
    #[serde(skip)]
    bytes: bool,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |number: u64| match self.bytes {
            true => show_memory(number),
            false => number.to_string(),
        };
        let (needed, available) = (show(self.needed), show(self.available));
        write!(
            f,
            "  {:<16}{needed:>10} needed, {available:>10} here",
            self.quantity
        )
    }
}

/// A quantity: its name, whether it is in bytes, and the needed and the available amount, if both are known.
type Row = (&'static str, bool, fn(&Examined) -> Option<(u64, u64)>);

static ROWS: &[Row] = &[
    ("memory", true, |at| {
        Some((needs::memory_at_start(at.processes), at.facts.size.memory))
    }),
    ("processors", false, |at| {
        let needed = at.processes.div_ceil(PER_PROCESSOR);
        Some((needed as u64, at.facts.size.processors as u64))
    }),
    ("open files", false, |at| {
        let needed = at.scope.open_files(&at.facts.size());
        Some((needed.into(), at.facts.open_files?))
    }),
    ("free space", true, |at| {
        Some((LEAST_SPACE, at.facts.free_space?))
    }),
    ("connections", false, |at| {
        let postgres = at.facts.answering_postgres()?;
        let pool = at.scope.sizes(&at.facts.size()).cp_max;
        Some((
            at.processes as u64 * u64::from(pool),
            postgres.available().into(),
        ))
    }),
    ("shared_buffers", true, |at| {
        let postgres = at.facts.answering_postgres()?;
        let needed = tuning::shared_buffers(at.facts.size.nominal_memory());
        let local = at.scope.database() == DatabaseKind::Local;
        local.then_some((needed, postgres.shared_buffers))
    }),
];

/// The size of the host beside the needs of the processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The number of Synapse processes.
    pub processes: usize,
    /// Every quantity of which both amounts are known.
    pub quantities: Vec<Compared>,
}

impl Comparison {
    /// Compares every quantity.
    pub fn of(at: &Examined) -> Self {
        let rows = ROWS.iter().filter_map(|(quantity, bytes, amounts)| {
            let (needed, available) = amounts(at)?;
            (available > 0).then_some(Compared {
                quantity,
                needed,
                available,
                bytes: *bytes,
            })
        });
        Self {
            processes: at.processes,
            quantities: rows.collect(),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The size of this host for {} processes of Synapse:",
            self.processes
        )?;
        let mut quantities = self.quantities.iter();
        quantities.try_for_each(|quantity| write!(f, "\n{quantity}"))
    }
}
