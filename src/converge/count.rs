//! The progress of a step that waits for several services.

use crate::plan::step::Verb;
use crate::status_line::progress;

/// The services of a step whose jobs have ended. A socket has no process to wait for, so it does not count.
pub(super) struct Count {
    verb: Verb,
    ended: usize,
    all: usize,
}

impl Count {
    /// Nothing has ended when a step begins. The number is shown if there is more than one service.
    pub fn new(verb: Verb, units: &[String]) -> Self {
        let services = units.iter().filter(|unit| is_service(unit));
        let count = Self {
            verb,
            ended: 0,
            all: services.count(),
        };
        count.show();
        count
    }

    /// Counts a unit.
    pub fn add(&mut self, unit: &str) {
        self.ended += usize::from(is_service(unit));
        self.show();
    }

    fn show(&self) {
        if self.all > 1 {
            progress(self.text());
        }
    }

    fn text(&self) -> String {
        let state = match self.verb {
            Verb::Stop => "stopped",
            Verb::Reload => "reloaded",
            Verb::Start | Verb::Restart => "ready",
        };
        format!("{} of {} {state}", self.ended, self.all)
    }
}

fn is_service(unit: &str) -> bool {
    unit.ends_with(".service")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_counted_without_their_sockets() {
        let units = ["a.socket", "a.service", "b.socket", "b.service"].map(str::to_owned);
        let mut count = Count::new(Verb::Restart, &units);
        units[..3].iter().for_each(|unit| count.add(unit));
        assert_eq!(count.text(), "1 of 2 ready");
        count.add(&units[3]);
        assert_eq!(count.text(), "2 of 2 ready");
        assert_eq!(Count::new(Verb::Stop, &units).text(), "0 of 2 stopped");
    }
}
