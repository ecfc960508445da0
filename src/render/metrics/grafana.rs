//! Files for a Grafana that this host has: where our Prometheus is, and dashboards. Provisioning reads the former at
//! Grafana's start, the latter every minute (grafana.com, "Provision Grafana").

use super::super::Sheaf;
use super::dashboards::{DASHBOARDS, Dashboard, Panel, Row};
use crate::paths;
use anyhow::Result;
use askama::Template;
use serde_json::{Value, json};

/// The name of our Prometheus in Grafana.
const SOURCE: &str = "synapse-workers";
/// Width of a page in Grafana's units.
const WIDTH: usize = 24;

#[derive(Template)]
#[template(path = "grafana/datasource.yaml")]
struct DataSource<'a> {
    uid: &'a str,
    port: u16,
}

#[derive(Template)]
#[template(path = "grafana/dashboards.yaml")]
struct Provider<'a> {
    directory: &'a str,
}

/// Adds them where Grafana is.
pub(super) fn render(sheaf: &mut Sheaf) -> Result<()> {
    if !sheaf.input.facts.grafana {
        return Ok(());
    }
    let source = DataSource {
        uid: SOURCE,
        port: sheaf.input.settings.metrics.prometheus_port.number(),
    };
    let directory = format!("{}/grafana", paths::CURRENT);
    let provider = Provider {
        directory: &directory,
    };
    let place = |kind: &str| format!("host{}/{kind}/synapse-workers.yaml", paths::GRAFANA);
    sheaf.text(&place("datasources"), source.render()?);
    sheaf.text(&place("dashboards"), provider.render()?);
    for dashboard in DASHBOARDS {
        let text = serde_json::to_string_pretty(&json_of(dashboard))?;
        sheaf.text(&format!("grafana/{}.json", dashboard.uid), text);
    }
    Ok(())
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": SOURCE})
}

fn json_of(dashboard: &Dashboard) -> Value {
    let mut variables = Vec::new();
    if dashboard.by_worker {
        let query = r#"label_values(up{worker!=""}, worker)"#;
        variables.push(json!({
            "name": "worker", "label": "Process", "type": "query", "datasource": source(),
            "query": {"query": query, "refId": "worker"}, "definition": query,
            "refresh": 2, "sort": 1, "multi": true, "includeAll": true,
            "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
        }));
    }
    json!({
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["synapse"],
        "schemaVersion": 39,
        "editable": false,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": variables},
        "annotations": {"list": [{
            "name": "Starts of processes", "enable": true, "iconColor": "orange", "datasource": source(),
            "expr": r#"changes(process_start_time_seconds{worker!=""}[1m]) > 0"#,
            "titleFormat": "start", "textFormat": "{{worker}}", "step": "60s",
        }]},
        "links": [{"type": "dashboards", "tags": ["synapse"], "title": "Synapse"}],
        "panels": panels(dashboard.rows),
    })
}

/// The first row without a title is one of single figures, the others are charts, two beside each other.
fn panels(rows: &[Row]) -> Vec<Value> {
    let mut panels = Vec::new();
    let mut y = 0;
    for row in rows {
        let figures = row.title.is_empty();
        let (width, height) = if figures { (4, 4) } else { (12, 8) };
        if !figures {
            let grid = json!({"x": 0, "y": y, "w": WIDTH, "h": 1});
            panels.push(json!({
                "id": panels.len() + 1, "type": "row", "title": row.title, "collapsed": false,
                "gridPos": grid, "panels": [],
            }));
            y += 1;
        }
        let beside = WIDTH / width;
        for (number, panel) in row.panels.iter().enumerate() {
            let (x, below) = (number % beside * width, number / beside * height);
            let grid = json!({"x": x, "y": y + below, "w": width, "h": height});
            panels.push(json_of_panel(panel, panels.len() + 1, figures, grid));
        }
        y += row.panels.len().div_ceil(beside) * height;
    }
    panels
}

fn json_of_panel(panel: &Panel, id: usize, figure: bool, grid: Value) -> Value {
    let targets: Vec<Value> = ('A'..)
        .zip(panel.queries)
        .map(|(letter, (expression, legend))| {
            json!({
                "refId": letter.to_string(), "datasource": source(),
                "expr": expression, "legendFormat": legend,
            })
        })
        .collect();
    let (kind, options, custom) = if figure {
        let options = json!({
            "reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area",
        });
        ("stat", options, json!({}))
    } else {
        let options = json!({
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        });
        let custom = json!({"fillOpacity": 8, "lineWidth": 1, "showPoints": "never"});
        ("timeseries", options, custom)
    };
    json!({
        "id": id, "type": kind, "title": panel.title, "datasource": source(), "gridPos": grid,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": custom}, "overrides": [],
        },
        "options": options,
        "targets": targets,
    })
}
