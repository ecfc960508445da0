"""Metrics: every process is a target and nothing else, pages and rules name existing metrics, and all of it can be removed."""

import html
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from harness.checks import Checks
from harness.deployment import CURRENT, SETTINGS, URL, add_test_options, client, psql, purge, state
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.host import Host

PROMETHEUS = "http://127.0.0.1:9095"
ON = """server_name: example.test
workers: small
metrics: {enabled: true, redis: true, postgres: true, scrape_interval: 1s}
tls: {certificate: /root/test.pem, key: /root/test.key}
"""
CERTIFICATE = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
               "-subj", "/CN=example.test", "-addext", "subjectAltName=DNS:example.test",
               "-keyout", "/root/test.key", "-out", "/root/test.pem")
OFF = "server_name: example.test\nworkers: small\n"
SYNAPSE = {("synapse", "1", "main"), ("background", "1", "background1"), ("clients", "1", "clients1"), ("streams", "1", "streams1")}
OTHERS = {"prometheus", "host", "nginx", "nginx_log", "redis", "postgres"}
UNITS = {f"synapse-{name}" for name in (
    "prometheus.service", "nginx-exporter.service", "nginx-log-exporter.service", "redis-exporter.service",
    "postgres-exporter.service", "host-metrics.timer")}
GRAFANA = "/etc/grafana/provisioning"
ROLE = "synapse-postgres-exporter"
PAGES = ("index.html", "worker.html", "worker.html?worker=clients1", "worker.html?worker=nobody",
         "routes.html", "routes.html?servlet=SyncRestServlet")
# Names of metrics in an expression.
NAME = re.compile(r"\b(?:(?:synapse|nginx|redis|pg|process|python)_[a-z0-9_]+|(?:worker|servlet|upstream):[a-z0-9_:]+)")


def test_metrics(host: Host, check: Checks) -> None:
    """Every process is a target, pages and rules name existing metrics, and all of it can be removed."""
    add_test_options(host)
    host.write(SETTINGS, ON)
    host.run(*CERTIFICATE)
    # A Grafana, as far as its package shows.
    host.run("mkdir", "-p", *(f"{GRAFANA}/{kind}" for kind in ("datasources", "dashboards")))
    with check("install with metrics on", vital=True) as note:
        result = host.product("install", "--yes")
        assert_contains(result.out, "promtool check config")
        note(f"{result.seconds:.1f} s")
    with check("there is exactly one target for each process and exporter, and all are up", vital=True) as note:
        wait_until("all targets up", lambda: up(host) == (SYNAPSE, OTHERS))
        note(f"{len(SYNAPSE)} processes, {len(OTHERS)} others")
    with check("all metrics listen on 127.0.0.1 only"):
        listening(host)
    with check("the role of the PostgreSQL exporter may only read statistics"):
        role = psql(host, f"select rolsuper or rolcreatedb or rolcreaterole or rolreplication from pg_roles where rolname = '{ROLE}'")
        groups = psql(host, "select g.rolname from pg_auth_members m join pg_roles g on g.oid = roleid "
                            f"join pg_roles r on r.oid = member where r.rolname = '{ROLE}'")
        assert_equal((role, groups), (["f"], ["pg_monitor"]), "role")
        wait_until("exporters that reach their servers", lambda: value(host, 'pg_up + on () redis_up + on () nginx_up') == 3.0)
    with check("free space and the expiry of the certificate are exported") as note:
        left = value(host, "synapse_host_certificate_end_seconds - time()") / 86400
        assert 29.9 < left < 30.1, f"the certificate ends in {left} days"
        free = value(host, 'synapse_host_disk_free_bytes{directory="media"} / 2^30')
        note(f"{free:.0f} GiB free")
    client(host, "load.py", URL, "--state", str(state(host, "metrics")), "--count", "150")
    with check("requests are counted by upstream and process"):
        wait_until("requests of clients1", lambda: value(host, 'sum(nginx_log_requests_total{process="clients1",code="200"})') > 50)
        wait_until("events stored", lambda: value(host, 'sum(synapse_storage_events_persisted_events_total{worker="streams1"})') > 10)
    with check("all rules load and evaluate without errors, and no alert fires") as note:
        groups = api(host, "rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert_equal([rule["lastError"] for rule in rules if rule.get("lastError")], [], "errors of rules")
        alerts = [rule for rule in rules if rule["type"] == "alerting"]
        assert_equal([rule["name"] for rule in alerts if rule["state"] == "firing"], [], "alerts that fire")
        note(f"{len(rules) - len(alerts)} recorded, {len(alerts)} alerts")
    with check("console pages answer, and Prometheus accepts the query of each chart") as note:
        seen, filled = charts(host)
        assert seen > 50 and filled > seen * 0.6, f"{filled} of {seen} charts show anything"
        note(f"{len(PAGES)} pages, {filled} of {seen} charts with data")
    with check("every metric that rules and pages use is exported") as note:
        note(f"{names_exist(host)} names")
    with check("an added worker becomes a target, a removed one does not remain", vital=True):
        host.product("add", "synchrotron", "--yes")
        wait_until("the new target", lambda: up(host) == (SYNAPSE | {("synchrotron", "1", "synchrotron1")}, OTHERS))
        host.product("remove", "synchrotron1", "--yes")
        wait_until("the target gone", lambda: up(host) == (SYNAPSE, OTHERS))
    with check("verify probes metrics and names the exporter that does not answer"):
        assert_contains(host.product("verify").out, "metrics")
        host.run("systemctl", "stop", "synapse-redis-exporter.service")
        failed = host.product("verify", expect=(1,))
        assert_contains(failed.out + failed.err, "redis")
        host.run("systemctl", "start", "synapse-redis-exporter.service")
    with check("metrics: false removes everything", vital=True):
        host.write(SETTINGS, OFF)
        host.product("install", "--yes")
        assert_equal(UNITS & set(host.units()), set(), "units")
        for path in ("/var/lib/synapse-workers/prometheus", "/var/log/synapse-workers/nginx", f"{CURRENT}/prometheus"):
            assert_equal(host.run("test", "-e", path, expect=None).code, 1, path)
        assert_equal(psql(host, f"select rolname from pg_roles where rolname = '{ROLE}'"), [], "role")
        assert_equal(host.run("getent", "passwd", "synapse-prometheus", ROLE, expect=None).out, "", "accounts")
        assert_equal(host.shell(f"find {GRAFANA} -type f").out, "", "files of Grafana")
        assert_equal(host.run("test", "-e", "/run/synapse-workers/metrics", expect=None).code, 1, "file of the timer")
        assert_contains(host.product("install", "--yes").out, "0 changed")
    purge(host)
    host.run("rm", "-r", "/etc/grafana", "/root/test.pem", "/root/test.key")


def api(host: Host, path: str) -> Any:
    """The answer of the API of Prometheus."""
    answer = json.loads(host.run("curl", "-s", f"{PROMETHEUS}/api/v1/{path}").out)
    if answer["status"] != "success":
        raise CheckFailed(f"{path}: {answer}")
    return answer["data"]


def queries(host: Host, expressions: Sequence[str]) -> Iterator[Any]:
    """The answers of Prometheus to some expressions, asked over one connection."""
    urls = [f"{PROMETHEUS}/api/v1/query?{urlencode({'query': expression})}" for expression in expressions]
    text = host.run("curl", "-s", *urls).out if urls else ""
    for expression in expressions:
        answer, end = json.JSONDecoder().raw_decode(text)
        if answer["status"] != "success":
            raise CheckFailed(f"{expression}: {answer}")
        yield answer["data"]
        text = text[end:].lstrip()


def value(host: Host, expression: str) -> float:
    """The one value of an expression, 0 where it has none."""
    result = next(queries(host, [expression]))["result"]
    return float(result[0]["value"][1]) if result else 0.0


def up(host: Host) -> tuple[set[tuple[str, str, str]], set[str]] | None:
    """Labels of Synapse's processes and jobs of the others, of targets that are up; None while any is not."""
    targets = api(host, "targets?state=active")["activeTargets"]
    if not targets or any(target["health"] != "up" for target in targets):
        return None
    labels = [target["labels"] for target in targets]
    assert_equal({label["instance"] for label in labels}, {"example.test"}, "instance")
    synapse = [(label["job"], label["index"], label["worker"]) for label in labels if "worker" in label]
    others = [label["job"] for label in labels if "worker" not in label]
    assert_equal((len(set(synapse)), len(set(others))), (len(synapse), len(others)), "targets of their own")
    return set(synapse), set(others)


def listening(host: Host) -> None:
    """No port of metrics listens on an external address."""
    ours = set()
    for line in host.run("ss", "-Htln").out.splitlines():
        address, port = line.split()[3].rsplit(":", 1)
        if int(port) in (8060, 9095) or 20000 <= int(port) < 32000:
            assert_equal(address, "127.0.0.1", f"address of port {port}")
            ours.add(int(port))
    # Prometheus, nginx' status, which proxies the metrics of every Synapse process, and the four exporters.
    assert_equal(len(ours), 6, f"ports of metrics {sorted(ours)}")


def charts(host: Host) -> tuple[int, int]:
    """How many charts all pages have, and how many of them show anything."""
    seen = filled = 0
    for page in PAGES:
        name, _, search = page.partition("?")
        text = host.run("curl", "-sf", f"{PROMETHEUS}/consoles/{name}" + (f"?{quote(search, safe='=&')}" if search else "")).out
        for bad in ("error executing template", "error calling", "ZgotmplZ"):
            assert bad not in text, f"{page}: {text[:300]}"
        assert_contains(text, "</html>")
        expressions = [html.unescape(found) for found in re.findall(r'data-expression="([^"]*)"', text)]
        seen += len(expressions)
        filled += sum(bool(answer["result"]) for answer in queries(host, expressions))
    return seen, filled


def names_exist(host: Host) -> int:
    """Names in rules, pages and dashboards are exported by a target, recorded by a rule, or counted by mtail's program."""
    exported = set(re.findall(r"^(?:counter|histogram) (\w+)", host.read(f"{CURRENT}/mtail/nginx.mtail"), re.M))
    for target in api(host, "targets?state=active")["activeTargets"]:
        text = host.run("curl", "-s", target["scrapeUrl"]).out
        exported |= set(re.findall(r"^# TYPE (\S+)", text, re.M)) | set(re.findall(r"^([a-z_0-9]+)[{ ]", text, re.M))
    exported |= {name + part for name in list(exported) for part in ("_bucket", "_sum", "_count")}
    current = Path(host.path(CURRENT).parent / host.path(CURRENT).readlink())
    files = [path for part in ("prometheus", "grafana") for path in sorted((current / part).rglob("*")) if path.is_file()]
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    assert_equal(sum(path.suffix == ".json" for path in files), 2, "dashboards")
    exported |= set(re.findall(r"record: (\S+)", "".join(texts.values())))
    named: dict[str, str] = {}
    for path, text in texts.items():
        if path.name != "prometheus.yml":
            # The commands of alerts name tables of PostgreSQL as well.
            named |= {name: path.name for name in NAME.findall(re.sub(r"^ +run: .*", "", text, flags=re.M))}
    missing = {name: place for name, place in named.items() if name not in exported}
    assert_equal(missing, {}, "names that are not exported")
    return len(named)
