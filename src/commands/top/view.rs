//! What the screen shows, and how keys change it.

use crate::advice::{ProcessLoad, Sample};
use crate::printable::printable;

/// The state of the screen.
pub(super) struct View {
    /// The load since the reading before; `None` until there are two readings.
    pub sample: Option<Sample>,
    /// The column by which processes are sorted.
    pub sort: Sort,
    /// The name of the selected process; `None` for the first one.
    selected: Option<String>,
    /// The lines of a log, in place of the table.
    pub log: Option<Vec<String>>,
    /// Why the last reading failed.
    pub problem: Option<String>,
    /// Whether the terminal shows colours.
    pub colours: bool,
}

/// The column by which processes are sorted, the largest figure first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Cpu,
    Memory,
    Requests,
    Name,
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    None,
    Quit,
    /// Read the log of a unit.
    Log(String),
}

impl Sort {
    /// The word at the bottom of the screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Requests => "requests",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Cpu => Self::Memory,
            Self::Memory => Self::Requests,
            Self::Requests => Self::Name,
            Self::Name => Self::Cpu,
        }
    }

    /// The figure of a process.
    fn figure(self, process: &ProcessLoad) -> f64 {
        let megabytes = |bytes: u64| u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
        let figure = match self {
            Self::Cpu => process.cpu,
            Self::Memory => process.memory.map(|bytes| megabytes(bytes).into()),
            Self::Requests => process.synapse.as_ref().map(|load| load.requests),
            Self::Name => None,
        };
        figure.unwrap_or(0.0)
    }
}

impl View {
    /// A view without figures.
    pub fn new(colours: bool) -> Self {
        Self {
            sample: None,
            sort: Sort::Cpu,
            selected: None,
            log: None,
            problem: None,
            colours,
        }
    }

    /// Shows the load of the next two seconds.
    pub fn update(&mut self, sample: Sample) {
        self.sample = Some(sample);
        self.problem = None;
    }

    /// Shows why a reading failed; the figures before stay.
    pub fn fail(&mut self, problem: &str) {
        self.problem = Some(problem.to_owned());
    }

    /// Shows a log.
    pub fn open(&mut self, text: Option<String>) {
        let text = text.unwrap_or_else(|| "the journal cannot be read".to_owned());
        self.log = Some(text.lines().map(printable).collect());
    }

    /// The processes in the order of the screen.
    pub fn processes(&self) -> Vec<&ProcessLoad> {
        let all = self.sample.iter().flat_map(|sample| &sample.processes);
        let mut all: Vec<&ProcessLoad> = all.collect();
        all.sort_by(|a, b| {
            let figures = self.sort.figure(b).total_cmp(&self.sort.figure(a));
            figures.then_with(|| a.name.cmp(&b.name))
        });
        all
    }

    /// The position of the selected process. It stays selected when the order changes.
    pub fn position(&self) -> usize {
        let name = self.selected.as_deref();
        let processes = self.processes();
        let found = processes
            .iter()
            .position(|process| Some(process.name.as_str()) == name);
        found.unwrap_or(0)
    }

    /// Answers a key.
    pub fn press(&mut self, key: &[u8]) -> Action {
        if self.log.is_some() {
            if let b"q" | b"l" | b"\r" | b"\n" | b"\x1b" = key {
                self.log = None;
            }
            return Action::None;
        }
        match key {
            b"q" | b"Q" => return Action::Quit,
            b"s" => self.sort = self.sort.next(),
            b"k" | b"\x1b[A" | b"\x1bOA" => self.select(self.position().saturating_sub(1)),
            b"j" | b"\x1b[B" | b"\x1bOB" => self.select(self.position() + 1),
            b"l" | b"\r" | b"\n" => {
                if let Some(process) = self.processes().get(self.position()) {
                    return Action::Log(process.unit.clone());
                }
            }
            _ => {}
        }
        Action::None
    }

    fn select(&mut self, position: usize) {
        let processes = self.processes();
        let last = processes.len().saturating_sub(1);
        let name = processes.get(position.min(last));
        self.selected = name.map(|process| process.name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let process = |name: &str, cpu, memory| ProcessLoad {
            name: name.to_owned(),
            unit: format!("synapse-{name}.service"),
            cpu: Some(cpu),
            memory: Some(memory),
            ..ProcessLoad::default()
        };
        let mut view = View::new(false);
        view.update(Sample {
            processes: vec![
                process("a", 0.1, 300 << 20),
                process("b", 0.9, 200 << 20),
                process("c", 0.5, 400 << 20),
            ],
            ..Sample::default()
        });
        view
    }

    fn names(view: &View) -> Vec<&str> {
        let processes = view.processes().into_iter();
        processes.map(|process| process.name.as_str()).collect()
    }

    #[test]
    fn keys_sort_select_and_quit() {
        let mut view = view();
        assert_eq!(names(&view), ["b", "c", "a"]);
        view.press(b"j");
        assert_eq!(view.position(), 1);
        // The selected process stays selected in the other order.
        view.press(b"s");
        assert_eq!(names(&view), ["c", "a", "b"]);
        assert_eq!(view.position(), 0);
        for _ in 0..5 {
            view.press(b"\x1b[B");
        }
        assert_eq!(view.position(), 2);
        view.press(b"\x1b[A");
        assert_eq!(
            view.press(b"\r"),
            Action::Log("synapse-a.service".to_owned())
        );
        assert_eq!(view.press(b""), Action::None);
        assert_eq!(view.press(b"q"), Action::Quit);
    }

    #[test]
    fn a_log_is_closed_before_the_screen_and_cannot_control_the_terminal() {
        let mut view = view();
        view.open(Some("one\n\x1b[2Jtwo\tthree\n".to_owned()));
        let log = view.log.clone().unwrap();
        assert_eq!(log, ["one", "?[2Jtwo    three"]);
        assert_eq!(view.press(b"q"), Action::None);
        assert!(view.log.is_none());
        assert_eq!(view.press(b"q"), Action::Quit);
    }
}
