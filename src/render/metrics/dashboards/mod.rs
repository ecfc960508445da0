//! Our dashboards for Grafana, as rows of panels; made into Grafana's JSON by [`super::grafana`].

mod overview;
mod processes;

/// A title over panels.
pub struct Row {
    pub title: &'static str,
    pub panels: &'static [Panel],
}

/// One chart.
pub struct Panel {
    pub title: &'static str,
    /// Grafana's name of the unit.
    pub unit: &'static str,
    /// Expressions with the names of their lines.
    pub queries: &'static [(&'static str, &'static str)],
}

/// A page.
pub struct Dashboard {
    /// Its name in addresses, and that of its file.
    pub uid: &'static str,
    pub title: &'static str,
    /// Whether `$worker` is chosen on the page.
    pub by_worker: bool,
    pub rows: &'static [Row],
}

/// Every one.
pub static DASHBOARDS: &[Dashboard] = &[
    Dashboard {
        uid: "synapse-workers-overview",
        title: "Synapse: overview",
        by_worker: false,
        rows: overview::ROWS,
    },
    Dashboard {
        uid: "synapse-workers-processes",
        title: "Synapse: processes",
        by_worker: true,
        rows: processes::ROWS,
    },
];

const fn panel(
    title: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel {
        title,
        unit,
        queries,
    }
}
