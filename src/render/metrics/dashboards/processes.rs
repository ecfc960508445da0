//! Processes of Synapse, those that are chosen on the page.

use super::{Row, panel};

/// What it shows.
pub static ROWS: &[Row] = &[
    Row {
        title: "Process",
        panels: &[
            panel(
                "CPU, of a core",
                "percentunit",
                &[(
                    r#"rate(process_cpu_seconds_total{worker=~"$worker"}[$__rate_interval])"#,
                    "{{worker}}",
                )],
            ),
            panel(
                "Memory",
                "bytes",
                &[(
                    r#"process_resident_memory_bytes{worker=~"$worker"}"#,
                    "{{worker}}",
                )],
            ),
            panel(
                "Turn of the event loop, 99 %",
                "s",
                &[(
                    r#"histogram_quantile(0.99, sum by (le, worker) (rate(python_twisted_reactor_tick_time_bucket{worker=~"$worker"}[$__rate_interval])))"#,
                    "{{worker}}",
                )],
            ),
            panel(
                "Open files",
                "none",
                &[(r#"process_open_fds{worker=~"$worker"}"#, "{{worker}}")],
            ),
        ],
    },
    Row {
        title: "Requests",
        panels: &[
            panel(
                "By kind",
                "reqps",
                &[(
                    r#"topk(15, sum by (servlet) (rate(synapse_http_server_requests_received_total{worker=~"$worker"}[$__rate_interval])))"#,
                    "{{servlet}}",
                )],
            ),
            panel(
                "Time of 95 % of the answers",
                "s",
                &[(
                    r#"topk(15, histogram_quantile(0.95, sum by (le, servlet) (rate(synapse_http_server_response_time_seconds_bucket{worker=~"$worker"}[$__rate_interval]))))"#,
                    "{{servlet}}",
                )],
            ),
            panel(
                "Under way",
                "none",
                &[(
                    r#"sum by (worker) (synapse_http_server_in_flight_requests_count{worker=~"$worker"})"#,
                    "{{worker}}",
                )],
            ),
            panel(
                "CPU by kind, of a core",
                "percentunit",
                &[(
                    r#"topk(15, sum by (servlet) (rate(synapse_http_server_response_ru_utime_seconds_total{worker=~"$worker"}[$__rate_interval]) + rate(synapse_http_server_response_ru_stime_seconds_total{worker=~"$worker"}[$__rate_interval])))"#,
                    "{{servlet}}",
                )],
            ),
        ],
    },
    Row {
        title: "Database and caches",
        panels: &[
            panel(
                "Time in transactions",
                "s",
                &[(
                    r#"topk(15, sum by (desc) (rate(synapse_storage_transaction_time_sum_total{worker=~"$worker"}[$__rate_interval])))"#,
                    "{{desc}}",
                )],
            ),
            panel(
                "Wait for a connection, 95 %",
                "s",
                &[(
                    r#"histogram_quantile(0.95, sum by (le, worker) (rate(synapse_storage_schedule_time_bucket{worker=~"$worker"}[$__rate_interval])))"#,
                    "{{worker}}",
                )],
            ),
            panel(
                "Caches that miss most",
                "ops",
                &[(
                    r#"topk(10, sum by (name) (rate(synapse_util_caches_cache{worker=~"$worker"}[$__rate_interval]) - rate(synapse_util_caches_cache_hits{worker=~"$worker"}[$__rate_interval])))"#,
                    "{{name}}",
                )],
            ),
            panel(
                "Entries in the largest caches",
                "none",
                &[(
                    r#"topk(10, sum by (name) (synapse_util_caches_cache_size{worker=~"$worker"}))"#,
                    "{{name}}",
                )],
            ),
        ],
    },
    Row {
        title: "Replication and work in the background",
        panels: &[
            panel(
                "Rows of streams received",
                "ops",
                &[(
                    r#"sum by (stream_name) (rate(synapse_replication_tcp_protocol_inbound_rdata_count_total{worker=~"$worker"}[$__rate_interval]))"#,
                    "{{stream_name}}",
                )],
            ),
            panel(
                "Updates before it that it does not get to",
                "none",
                &[(
                    r#"sum by (worker) (synapse_replication_tcp_command_queue{worker=~"$worker"})"#,
                    "{{worker}}",
                )],
            ),
            panel(
                "Requests to other processes",
                "reqps",
                &[(
                    r#"sum by (name) (rate(synapse_outgoing_replication_requests_total{worker=~"$worker"}[$__rate_interval]))"#,
                    "{{name}}",
                )],
            ),
            panel(
                "CPU in the background, of a core",
                "percentunit",
                &[(
                    r#"topk(10, sum by (name) (rate(synapse_background_process_ru_utime_seconds_total{worker=~"$worker"}[$__rate_interval]) + rate(synapse_background_process_ru_stime_seconds_total{worker=~"$worker"}[$__rate_interval])))"#,
                    "{{name}}",
                )],
            ),
        ],
    },
];
