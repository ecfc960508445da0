//! The counters of Synapse and of nginx's access log, in the text format of Prometheus.

use std::collections::BTreeMap;

/// Counters of one process of Synapse since its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Requests.
    pub requests: f64,
    /// Answers with a status of 500 and above.
    pub errors: f64,
    /// The number of rounds of the event loop that took at most so many seconds: pairs of limit and number. The last
    /// limit is infinite.
    pub ticks: Vec<(f64, f64)>,
    /// The seconds that queries waited for a connection of the pool.
    pub pool_wait: f64,
    /// The number of queries that asked for a connection.
    pub pool_requests: f64,
    /// The seconds of all transactions.
    pub transactions: f64,
    /// The maximum number of connections of the pool.
    pub pool_size: f64,
    /// The seconds of processor time of each kind of work, by the servlet or the background process.
    pub work: BTreeMap<String, f64>,
    /// Lookups in caches.
    pub lookups: f64,
    /// Lookups that found a value.
    pub hits: f64,
    /// Values that were removed because their cache was full.
    pub evicted: f64,
}

/// Counters of one upstream of nginx.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Upstream {
    /// Requests.
    pub requests: f64,
    /// Answers with a status of 500 and above.
    pub errors: f64,
    /// The seconds of the answers of the processes.
    pub seconds: f64,
    /// The number of those answers.
    pub answers: f64,
}

/// The number of values that are read of one kind. Synapse and nginx have some hundred; a process that was taken over
/// could have any number.
const MOST: usize = 1000;
/// The label that names the kind of work of a request.
const SERVLET: &str = "servlet";
/// The label that names a background process.
const NAME: &str = "name";

impl Counters {
    /// Reads the metrics of a process. Names: http/request_metrics.py, storage/database.py,
    /// metrics/background_process_metrics.py, util/caches/__init__.py of Synapse 1.163.2.
    pub fn read(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines().filter_map(Line::read) {
            let Line { name, value, .. } = line;
            match name {
                "synapse_http_server_requests_received_total" => found.requests += value,
                "synapse_http_server_responses_total" if line.is_error() => found.errors += value,
                "synapse_http_server_response_ru_utime_seconds_total"
                | "synapse_http_server_response_ru_stime_seconds_total" => {
                    found.spend(line.label(SERVLET), value);
                }
                "synapse_background_process_ru_utime_seconds_total"
                | "synapse_background_process_ru_stime_seconds_total" => {
                    found.spend(line.label(NAME), value);
                }
                "python_twisted_reactor_tick_time_bucket" if found.ticks.len() < MOST => {
                    let limit = line.label("le").and_then(|limit| limit.parse().ok());
                    found.ticks.push((limit.unwrap_or(f64::INFINITY), value));
                }
                "synapse_storage_schedule_time_sum" => found.pool_wait += value,
                "synapse_storage_schedule_time_count" => found.pool_requests += value,
                "synapse_storage_transaction_time_sum_total" => found.transactions += value,
                "synapse_threadpool_max_threads" if line.is_database() => {
                    found.pool_size += value;
                }
                "synapse_util_caches_cache" => found.lookups += value,
                "synapse_util_caches_cache_hits" => found.hits += value,
                "synapse_util_caches_cache_evicted_size"
                    if line.label("reason") == Some("size") =>
                {
                    found.evicted += value;
                }
                _ => {}
            }
        }
        found.ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
        found
    }

    fn spend(&mut self, work: Option<&str>, seconds: f64) {
        if let Some(work) = work {
            add(&mut self.work, work, |sum: &mut f64| *sum += seconds);
        }
    }
}

impl Upstream {
    /// Reads the metrics that mtail makes of nginx's access log (`templates/mtail/nginx.mtail`), by upstream.
    pub fn read(text: &str) -> BTreeMap<String, Self> {
        let mut found: BTreeMap<String, Self> = BTreeMap::new();
        for line in text.lines().filter_map(Line::read) {
            let Some(name) = line.label("upstream") else {
                continue;
            };
            add(&mut found, name, |upstream: &mut Self| match line.name {
                "nginx_log_requests_total" => {
                    upstream.requests += line.value;
                    if line.is_error() {
                        upstream.errors += line.value;
                    }
                }
                "nginx_log_upstream_seconds_sum" => upstream.seconds += line.value,
                "nginx_log_upstream_seconds_count" => upstream.answers += line.value,
                _ => {}
            });
        }
        found
    }
}

/// Adds to the value of a name, unless there are too many names.
fn add<T: Default>(found: &mut BTreeMap<String, T>, name: &str, add: impl FnOnce(&mut T)) {
    if found.len() < MOST || found.contains_key(name) {
        add(found.entry(name.to_owned()).or_default());
    }
}

/// The number of connections in nginx's stub_status page (ngx_http_stub_status_module).
pub fn connections(status: &str) -> Option<u64> {
    let rest = status.trim_start().strip_prefix("Active connections:")?;
    rest.lines().next()?.trim().parse().ok()
}

/// A line with a value.
struct Line<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
}

impl<'a> Line<'a> {
    /// `None` for comments, and for lines that are no metric.
    fn read(line: &'a str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (series, value) = line.trim_end().rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        Some(Self {
            name,
            labels: labels.strip_suffix('}').unwrap_or(labels),
            value: value.parse().ok()?,
        })
    }

    /// The value of a label. Values of the labels that are read here contain no quotes.
    fn label(&self, key: &str) -> Option<&'a str> {
        let mut rest = self.labels;
        loop {
            let (name, after) = rest.split_once("=\"")?;
            let (value, next) = after.split_once('"')?;
            if name.trim_start_matches(',') == key {
                return Some(value);
            }
            rest = next;
        }
    }

    fn is_error(&self) -> bool {
        self.label("code").is_some_and(|code| code.starts_with('5'))
    }

    /// Whether it is about the threads with connections to the database.
    fn is_database(&self) -> bool {
        let name = self.label(NAME);
        name.is_some_and(|name| name.starts_with("database-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_synapse_are_added_up() {
        let text = "# HELP a b\n\
            synapse_http_server_requests_received_total{method=\"GET\",server_name=\"a\",servlet=\"SyncRestServlet\"} 7.0\n\
            synapse_http_server_requests_received_total{method=\"PUT\",server_name=\"a\",servlet=\"X\"} 3.0\n\
            synapse_http_server_responses_total{code=\"200\",method=\"GET\"} 9.0\n\
            synapse_http_server_responses_total{code=\"502\",method=\"GET\"} 1.0\n\
            synapse_http_server_response_ru_utime_seconds_total{servlet=\"X\",tag=\"\"} 0.5\n\
            synapse_http_server_response_ru_stime_seconds_total{servlet=\"X\",tag=\"\"} 0.25\n\
            synapse_background_process_ru_utime_seconds_total{name=\"persist_events\"} 2\n\
            python_twisted_reactor_tick_time_bucket{le=\"+Inf\"} 4\n\
            python_twisted_reactor_tick_time_bucket{le=\"0.1\"} 3\n\
            synapse_threadpool_max_threads{name=\"database-master\"} 4.0\n\
            synapse_threadpool_max_threads{name=\"default\"} 20.0\n\
            synapse_util_caches_cache_evicted_size{name=\"a\",reason=\"size\"} 5.0\n\
            synapse_util_caches_cache_evicted_size{name=\"a\",reason=\"time\"} 50.0\n";
        let found = Counters::read(text);
        assert_eq!((found.requests, found.errors), (10.0, 1.0));
        assert_eq!((found.work["X"], found.work["persist_events"]), (0.75, 2.0));
        assert_eq!(found.ticks, [(0.1, 3.0), (f64::INFINITY, 4.0)]);
        assert_eq!((found.pool_size, found.evicted), (4.0, 5.0));
        assert_eq!(Counters::read("nonsense\n\n{} x\n"), Counters::default());
    }

    #[test]
    fn counters_of_nginx_are_grouped_by_upstream() {
        let text = "nginx_log_requests_total{prog=\"nginx.mtail\",code=\"200\",upstream=\"main\",process=\"main\"} 6\n\
            nginx_log_requests_total{code=\"504\",upstream=\"main\",process=\"main\"} 2\n\
            nginx_log_upstream_seconds_sum{upstream=\"main\"} 1.5\nnginx_log_upstream_seconds_count{upstream=\"main\"} 8\n";
        let expected = Upstream {
            requests: 8.0,
            errors: 2.0,
            seconds: 1.5,
            answers: 8.0,
        };
        assert_eq!(Upstream::read(text)["main"], expected);
        let status = "Active connections: 12 \nserver accepts handled requests\n 1 1 1\n";
        assert_eq!(connections(status), Some(12));
    }
}
