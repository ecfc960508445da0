//! A plan that also moves the data from SQLite to PostgreSQL: a first copy while the old server runs, and a second one
//! after it has stopped.

use super::Plan;
use super::step::{Move, Step, Verb};
use crate::state::Observed;
use crate::state::units;

impl Plan {
    /// Adds the move of an SQLite file into the database of the generation that this plan leads to.
    pub fn with_move(mut self, file: &str, observed: &Observed) -> Self {
        let Some(number) = self.generation else {
            return self;
        };
        let part = |part| Step::MoveDatabase {
            number,
            file: file.to_owned(),
            part,
        };
        let switch = self.index_of(|step| matches!(step, Step::Switch { .. }));
        self.steps.insert(switch, part(Move::First));
        let main = self.index_of(|step| {
            matches!(step, Step::Jobs { units, .. } if units.iter().any(|unit| unit == units::MAIN))
        });
        let mut steps = Vec::new();
        if let Some(Step::Jobs { verb, .. }) = self.steps.get_mut(main)
            && *verb != Verb::Start
        {
            *verb = Verb::Start;
            // Its sockets stop too: a request would start it again.
            let units = [units::MAIN, units::MAIN_SOCKET].into_iter();
            let running = units.filter(|unit| observed.units.contains_key(*unit));
            steps.push(Step::Jobs {
                verb: Verb::Stop,
                units: running.map(str::to_owned).collect(),
                reasons: vec![
                    "Synapse must not write to SQLite while the last rows are copied".to_owned(),
                ],
                rolling: None,
            });
        }
        steps.extend([part(Move::Last), part(Move::Compare)]);
        self.steps.splice(main..main, steps);
        self
    }

    /// The index of the first matching step, or of the end.
    fn index_of(&self, of: impl Fn(&Step) -> bool) -> usize {
        let found = self.steps.iter().position(of);
        found.unwrap_or(self.steps.len())
    }
}
