//! Draws a view: a pure function of the view and the size of the terminal.

use super::lines::{NONE, host, postgres, time};
use super::view::View;
use crate::advice::rules::SATURATED;
use crate::advice::{ProcessLoad, Sample, UpstreamLoad};
use crate::printable::printable;
use anstyle::{AnsiColor, Style};

/// The number of columns from which there is room for all figures.
const WIDE: usize = 100;
/// The maximum number of upstreams.
const UPSTREAMS: usize = 6;
/// The least number of processes that are shown before upstreams are left out.
const PROCESSES: usize = 5;

const HEADING: Style = Style::new().bold();
const SELECTED: Style = Style::new().invert();
const BUSY: Style = AnsiColor::Red.on_default();
const PLAIN: Style = Style::new();

/// The lines of the screen, each at most this number of columns wide and with its style.
pub(super) fn screen(view: &View, columns: usize, lines: usize) -> Vec<String> {
    let keys = match view.log {
        Some(_) => "q back".to_owned(),
        None => format!(
            "q quit   s sort: {}   up, down select   enter log",
            view.sort.word()
        ),
    };
    let mut shown = match (&view.log, &view.sample) {
        (Some(log), _) => log_lines(log, lines),
        (None, Some(sample)) => table(view, sample, columns, lines),
        (None, None) => vec![(PLAIN, "measuring …".to_owned())],
    };
    shown.truncate(lines.saturating_sub(1));
    let last = match &view.problem {
        Some(problem) => (BUSY, format!("not measured: {problem}")),
        None => (HEADING, keys),
    };
    shown.push(last);
    let styled = shown.into_iter().map(|(style, text)| {
        let text: String = printable(&text).chars().take(columns).collect();
        let style = match style == BUSY && !view.colours {
            true => PLAIN,
            false => style,
        };
        match style == SELECTED {
            // The selection covers the whole line.
            true => format!("{style}{text:<columns$}{style:#}"),
            false => format!("{style}{}{style:#}", text.trim_end()),
        }
    });
    styled.collect()
}

/// The last lines of a log.
fn log_lines(log: &[String], lines: usize) -> Vec<(Style, String)> {
    let from = log.len().saturating_sub(lines.saturating_sub(1));
    log[from..]
        .iter()
        .map(|line| (PLAIN, line.clone()))
        .collect()
}

fn table(view: &View, sample: &Sample, columns: usize, lines: usize) -> Vec<(Style, String)> {
    let mut shown = vec![(PLAIN, host(sample))];
    let server = sample.postgres.iter().flat_map(postgres);
    shown.extend(server.map(|line| (PLAIN, line)));
    shown.push((PLAIN, String::new()));
    let mut upstreams = upstreams(sample);
    // Two lines for the headings, one for the keys.
    let left = lines.saturating_sub(shown.len() + 2);
    if left < PROCESSES + upstreams.len() {
        upstreams.clear();
    }
    let room = left.saturating_sub(upstreams.len());
    let wide = columns >= WIDE;
    shown.push((HEADING, heading(columns, wide)));
    let (processes, selected) = (view.processes(), view.position());
    let from = (selected + 1).saturating_sub(room);
    let visible = processes.iter().enumerate().skip(from).take(room);
    shown.extend(visible.map(|(at, process)| {
        let busy = process.demand.is_some_and(|demand| demand >= SATURATED);
        let style = match (at == selected, busy) {
            (true, _) => SELECTED,
            (false, true) => BUSY,
            (false, false) => PLAIN,
        };
        (style, row(process, columns, wide))
    }));
    shown.extend(upstreams);
    shown
}

/// The width of the names: what the figures leave.
fn name_width(columns: usize, wide: bool) -> usize {
    let figures = if wide { 69 } else { 51 };
    columns.saturating_sub(figures).clamp(12, 40)
}

fn heading(columns: usize, wide: bool) -> String {
    let name = name_width(columns, wide);
    let more = if wide {
        format!(" {:>8} {:>8}", "QUERY/S", "POOL")
    } else {
        String::new()
    };
    format!(
        "{:<name$} {:>5} {:>6} {:>8} {:>7} {:>6} {:>7} {:>5}{more}",
        "PROCESS", "CPU%", "NEED%", "MEMORY", "REQ/S", "ERR/S", "LAG", "CONN"
    )
}

fn row(process: &ProcessLoad, columns: usize, wide: bool) -> String {
    let name = name_width(columns, wide);
    let synapse = process.synapse.as_ref();
    let percent =
        |part: Option<f64>| part.map_or(NONE.to_owned(), |part| format!("{:.0}", part * 100.0));
    let rate = |rate: Option<f64>| rate.map_or(NONE.to_owned(), |rate| format!("{rate:.1}"));
    let count = |count: Option<u64>| count.map_or(NONE.to_owned(), |count| count.to_string());
    let short: String = process.name.chars().take(name).collect();
    let more = if wide {
        format!(
            " {:>8} {:>8}",
            rate(synapse.map(|load| load.transactions)),
            time(synapse.map(|load| load.pool_wait))
        )
    } else {
        String::new()
    };
    format!(
        "{short:<name$} {:>5} {:>6} {:>8} {:>7} {:>6} {:>7} {:>5}{more}",
        percent(process.cpu),
        percent(process.demand),
        process
            .memory
            .map_or(NONE.to_owned(), |bytes| format!("{} MB", bytes / 1_000_000)),
        rate(synapse.map(|load| load.requests)),
        rate(synapse.map(|load| load.errors)),
        time(synapse.and_then(|load| load.lag)),
        count(process.connections),
    )
}

/// The upstreams of nginx with most requests, below a blank line and a heading.
fn upstreams(sample: &Sample) -> Vec<(Style, String)> {
    let mut all: Vec<&UpstreamLoad> = sample.upstreams.iter().collect();
    if all.is_empty() {
        return Vec::new();
    }
    all.sort_by(|a, b| b.requests.total_cmp(&a.requests));
    let heading = format!(
        "{:<24} {:>8} {:>8} {:>10} {:>12}",
        "UPSTREAM OF NGINX", "REQ/S", "ERR/S", "ANSWER", "IN PROGRESS"
    );
    let rows = all.iter().take(UPSTREAMS).map(|one| {
        let name: String = one.name.chars().take(24).collect();
        let text = format!(
            "{name:<24} {:>8.1} {:>8.1} {:>10} {:>12.1}",
            one.requests,
            one.errors,
            time(Some(one.answer_time)),
            one.waiting
        );
        let style = if one.errors > 0.0 { BUSY } else { PLAIN };
        (style, text)
    });
    let begin = [(PLAIN, String::new()), (HEADING, heading)];
    begin.into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::{MachineLoad, PostgresLoad, SynapseLoad};

    fn view(processes: usize) -> View {
        let process = |number: usize| ProcessLoad {
            name: format!("federation_reader_of_a_long_name{number}"),
            cpu: Some(0.9),
            demand: Some(0.95),
            memory: Some(123_456_789),
            connections: Some(17),
            synapse: Some(SynapseLoad {
                requests: 12.34,
                lag: Some(0.025),
                transactions: 240.0,
                pool_wait: 1.5,
                ..SynapseLoad::default()
            }),
            ..ProcessLoad::default()
        };
        let mut view = View::new(false);
        view.update(Sample {
            machine: MachineLoad {
                processors: 2.0,
                busy: 1.25,
                memory: 4 << 30,
                available: 1 << 30,
                load: 3.0,
                ..MachineLoad::default()
            },
            processes: (1..=processes).map(process).collect(),
            postgres: Some(PostgresLoad {
                limit: 97,
                used: 20,
                hits: Some(0.991),
                ..PostgresLoad::default()
            }),
            upstreams: vec![UpstreamLoad {
                name: "synchrotron".to_owned(),
                requests: 20.0,
                answer_time: 0.012,
                ..UpstreamLoad::default()
            }],
            ..Sample::default()
        });
        view
    }

    /// The lines without their styles.
    fn plain(lines: &[String]) -> Vec<String> {
        let lines = lines.iter();
        lines
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect()
    }

    #[test]
    fn the_screen_fits_80_and_120_columns() {
        for (columns, wide) in [(80, false), (120, true)] {
            let shown = plain(&screen(&view(3), columns, 24));
            assert!(shown.len() <= 24);
            assert!(
                shown.iter().all(|line| line.chars().count() <= columns),
                "{shown:#?}"
            );
            let text = shown.join("\n");
            for part in [
                "host: 1.2 of 2 processors busy, load 3.0, 1 GiB of 4 GiB free",
                "PostgreSQL: 20 of 97 connections, 0 commits/s, cache 99.1 %",
                "  90     95   123 MB    12.3    0.0   25 ms    17",
                "synchrotron                  20.0      0.0      12 ms          0.0",
                "q quit   s sort: cpu   up, down select   enter log",
            ] {
                assert!(text.contains(part), "{part}\n{text}");
            }
            assert_eq!(text.contains("1.5 s"), wide);
        }
    }

    #[test]
    fn the_selected_process_is_visible_on_a_small_screen() {
        let mut view = view(40);
        for _ in 0..39 {
            view.press(b"j");
        }
        let selected = view.processes()[39].name.clone();
        let shown = plain(&screen(&view, 80, 12));
        assert_eq!(shown.len(), 12);
        let start: String = selected.chars().take(20).collect();
        assert!(shown[10].starts_with(&start), "{shown:#?}");
        view.fail("no answer");
        let shown = plain(&screen(&view, 80, 12));
        assert_eq!(shown[11], "not measured: no answer");
    }
}
