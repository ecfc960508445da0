//! A plan that moves the data from SQLite to PostgreSQL on its way: copied while the old server runs, and again once it
//! is stopped.

use super::Plan;
use super::step::{Move, Step, Verb};
use crate::state::Observed;
use crate::state::units;

impl Plan {
    /// This plan with the move of an SQLite file into the database of the generation that it leads to.
    pub fn moving(mut self, file: &str, observed: &Observed) -> Self {
        let Some(number) = self.generation else {
            return self;
        };
        let part = |part| Step::MoveDatabase {
            number,
            file: file.to_owned(),
            part,
        };
        let switch = self.place(|step| matches!(step, Step::Switch { .. }));
        self.steps.insert(switch, part(Move::First));
        let main = self.place(|step| {
            matches!(step, Step::Jobs { units, .. } if units.iter().any(|unit| unit == units::MAIN))
        });
        let mut steps = Vec::new();
        if let Some(Step::Jobs { verb, .. }) = self.steps.get_mut(main)
            && *verb != Verb::Start
        {
            *verb = Verb::Start;
            // With its sockets: a request would start it again.
            let units = [units::MAIN, units::MAIN_SOCKET].into_iter();
            let running = units.filter(|unit| observed.units.contains_key(*unit));
            steps.push(Step::Jobs {
                verb: Verb::Stop,
                units: running.map(str::to_owned).collect(),
                reasons: vec!["nothing may change while the last rows are copied".to_owned()],
                rolling: None,
            });
        }
        steps.extend([part(Move::Last), part(Move::Compare)]);
        self.steps.splice(main..main, steps);
        self
    }

    /// Where the first such step is, or the end.
    fn place(&self, of: impl Fn(&Step) -> bool) -> usize {
        let found = self.steps.iter().position(of);
        found.unwrap_or(self.steps.len())
    }
}
