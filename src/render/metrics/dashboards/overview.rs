//! The whole server on one page.

use super::{Row, panel};

/// What it shows.
pub static ROWS: &[Row] = &[
    Row {
        title: "",
        panels: &[
            panel("Processes up", "none", &[(r#"sum(up{worker!=""})"#, "")]),
            panel(
                "Requests",
                "reqps",
                &[("sum(rate(nginx_log_requests_total[$__rate_interval]))", "")],
            ),
            panel(
                "Failed with 5xx",
                "percentunit",
                &[(
                    r#"sum(rate(nginx_log_requests_total{code=~"5.."}[$__rate_interval])) / sum(rate(nginx_log_requests_total[$__rate_interval])) or vector(0)"#,
                    "",
                )],
            ),
            panel(
                "Sending an event, 95 %",
                "s",
                &[(
                    r#"histogram_quantile(0.95, sum by (le) (rate(synapse_http_server_response_time_seconds_bucket{servlet="RoomSendEventRestServlet",code=~"2.."}[$__rate_interval])))"#,
                    "",
                )],
            ),
            panel(
                "Events stored",
                "ops",
                &[(
                    "sum(rate(synapse_storage_events_persisted_events_total[$__rate_interval]))",
                    "",
                )],
            ),
            panel(
                "Alerts firing",
                "none",
                &[(r#"count(ALERTS{alertstate="firing"}) or vector(0)"#, "")],
            ),
        ],
    },
    Row {
        title: "Requests",
        panels: &[
            panel(
                "Requests by upstream",
                "reqps",
                &[(
                    "sum by (upstream) (rate(nginx_log_requests_total[$__rate_interval]))",
                    "{{upstream}}",
                )],
            ),
            panel(
                "Time of 95 % of the answers, by upstream",
                "s",
                &[(
                    "histogram_quantile(0.95, sum by (le, upstream) (rate(nginx_log_upstream_seconds_bucket[$__rate_interval])))",
                    "{{upstream}}",
                )],
            ),
            panel(
                "Answers by status",
                "reqps",
                &[(
                    "sum by (code) (rate(nginx_log_requests_total[$__rate_interval]))",
                    "{{code}}",
                )],
            ),
            panel(
                "Failed with 5xx, by upstream",
                "percentunit",
                &[("upstream:nginx_errors:ratio5m", "{{upstream}}")],
            ),
            panel(
                "Sending an event",
                "s",
                &[
                    (
                        r#"histogram_quantile(0.5, sum by (le) (rate(synapse_http_server_response_time_seconds_bucket{servlet="RoomSendEventRestServlet",code=~"2.."}[$__rate_interval])))"#,
                        "50 %",
                    ),
                    (
                        r#"histogram_quantile(0.95, sum by (le) (rate(synapse_http_server_response_time_seconds_bucket{servlet="RoomSendEventRestServlet",code=~"2.."}[$__rate_interval])))"#,
                        "95 %",
                    ),
                    (
                        r#"histogram_quantile(0.99, sum by (le) (rate(synapse_http_server_response_time_seconds_bucket{servlet="RoomSendEventRestServlet",code=~"2.."}[$__rate_interval])))"#,
                        "99 %",
                    ),
                ],
            ),
            panel(
                "Connections of nginx",
                "none",
                &[
                    ("nginx_connections_active", "active"),
                    ("nginx_connections_waiting", "waiting"),
                ],
            ),
        ],
    },
    Row {
        title: "Processes",
        panels: &[
            panel(
                "CPU by process, of a core",
                "percentunit",
                &[("worker:synapse_cpu:rate5m", "{{worker}}")],
            ),
            panel(
                "Memory by process",
                "bytes",
                &[(r#"process_resident_memory_bytes{worker!=""}"#, "{{worker}}")],
            ),
            panel(
                "Turn of the event loop, 99 %",
                "s",
                &[("worker:synapse_reactor_tick_seconds:p99_5m", "{{worker}}")],
            ),
            panel(
                "Rows that others had two minutes ago",
                "none",
                &[(
                    r#"max by (worker) (worker:synapse_stream_lag:rows{stream_name!="backfill"})"#,
                    "{{worker}}",
                )],
            ),
        ],
    },
    Row {
        title: "Events and federation",
        panels: &[
            panel(
                "Events stored, by kind",
                "ops",
                &[(
                    "topk(10, sum by (type) (rate(synapse_storage_events_persisted_events_sep_total[$__rate_interval])))",
                    "{{type}}",
                )],
            ),
            panel(
                "Waiting for other servers",
                "none",
                &[(
                    "sum by (worker, type) (synapse_federation_transaction_queue_pending)",
                    "{{worker}} {{type}}",
                )],
            ),
            panel(
                "Sent to other servers",
                "ops",
                &[(
                    "sum by (type) (rate(synapse_federation_client_sent[$__rate_interval]))",
                    "{{type}}",
                )],
            ),
            panel(
                "Received from other servers",
                "ops",
                &[(
                    "sum by (type) (rate(synapse_federation_server_received[$__rate_interval]))",
                    "{{type}}",
                )],
            ),
        ],
    },
    Row {
        title: "Database",
        panels: &[
            panel(
                "Wait for a connection, mean",
                "s",
                &[("worker:synapse_database_wait_seconds:mean5m", "{{worker}}")],
            ),
            panel(
                "Time in transactions by process",
                "s",
                &[(
                    "sum by (worker) (rate(synapse_storage_transaction_time_sum_total[$__rate_interval]))",
                    "{{worker}}",
                )],
            ),
            panel(
                "Size",
                "bytes",
                &[(
                    r#"pg_database_size_bytes{datname!~"template.*|postgres"}"#,
                    "{{datname}}",
                )],
            ),
            panel(
                "Connections by state",
                "none",
                &[
                    ("sum by (state) (pg_stat_activity_count) > 0", "{{state}}"),
                    ("max(pg_settings_max_connections)", "at most"),
                ],
            ),
            panel(
                "Transactions",
                "ops",
                &[
                    (
                        "sum(rate(pg_stat_database_xact_commit[$__rate_interval]))",
                        "committed",
                    ),
                    (
                        "sum(rate(pg_stat_database_xact_rollback[$__rate_interval]))",
                        "rolled back",
                    ),
                ],
            ),
            panel(
                "Blocks found in memory",
                "percentunit",
                &[(
                    "sum(rate(pg_stat_database_blks_hit[$__rate_interval])) / (sum(rate(pg_stat_database_blks_hit[$__rate_interval])) + sum(rate(pg_stat_database_blks_read[$__rate_interval])))",
                    "found",
                )],
            ),
        ],
    },
    Row {
        title: "Redis",
        panels: &[
            panel(
                "Commands",
                "ops",
                &[(
                    "topk(10, sum by (cmd) (rate(redis_commands_total[$__rate_interval])))",
                    "{{cmd}}",
                )],
            ),
            panel(
                "Memory",
                "bytes",
                &[
                    ("redis_memory_used_bytes", "used"),
                    ("redis_memory_max_bytes", "at most"),
                ],
            ),
        ],
    },
];
