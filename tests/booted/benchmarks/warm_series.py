"""What a warm start costs and saves over time: starts, restarts, a change that restarts everything, and requests."""

import json

from benchmarks.figures import Goal, Line
from benchmarks.timing import seconds
from benchmarks.warm_modes import FORK_SERVERS, Figures, Series, cold_start, cpu
from harness.crowd import Crowd
from harness.deployment import URL, client, prepared_load, worker
from harness.expect import assert_equal
from harness.host import Host

# What two runs of the same differ by.
NOISE = 0.03
# Requests of the load, after as many as fill the caches.
REQUESTS, FIRST = 3000, 500
# Requests a second while an event persister is added, as in the case `warm`.
RATE = 20

START_CPU = Line("cold start of full: CPU of all processes", "s", Goal(0.20))
START_WALL = Line("cold start of full: until all are up", "s", Goal(0.35))
RESTART_WORKER = Line("restart of one worker", "s", Goal(0.6), of_value=True)
RESTART_MAIN = Line("restart of main", "s", Goal(0.8), of_value=True)
PERSISTER = Line("an event persister added (everything restarts)", "s", Goal(0.35))
PAUSE = Line("longest time without an answer meanwhile", "s", Goal(0.35))
COST = Line("CPU of all processes for 1,000 requests", "s", Goal(1 + NOISE))
THROUGHPUT = Line("throughput of the mixed load", "/s", Goal(1 - NOISE, at_least=True))
P99 = Line("99th percentile of its answers, long polls excepted", "ms", Goal(1 + NOISE))


def restarts(host: Host) -> Figures:
    return {line.what: seconds(host, "systemctl", "restart", unit)
            for line, unit in ((RESTART_WORKER, worker("synchrotron1")), (RESTART_MAIN, "synapse-main.service"))}


def start(host: Host) -> Figures:
    wall, spent = cold_start(host)
    return {START_WALL.what: wall, START_CPU.what: spent, "of that fork servers": cpu(host, FORK_SERVERS)}


def change(host: Host) -> Figures:
    """Another event persister, while clients use the server: all workers stop, main restarts, all workers start.

    Afterwards the server is as it was before.
    """
    with Crowd(host, RATE) as crowd:
        crowd.ask("mark change")
        spent = seconds(host, "synapse-workers", "add", "event_persister", "--yes")
        figures = crowd.ask("mark after the change")
        crowd.ask("end")
        whole = crowd.heard()
    assert_equal(whole["failed"], 0, "failed requests")
    host.product("remove", "event_persister2", "--yes")
    return {PERSISTER.what: spent, PAUSE.what: figures["silence"]}


def load(host: Host) -> Figures:
    state = prepared_load(host)
    client(host, "load.py", URL, "--state", state, "--count", str(FIRST))
    before = cpu(host)
    report = json.loads(client(host, "load.py", URL, "--state", state, "--count", str(REQUESTS)).out)
    return {COST.what: (cpu(host) - before) * 1000 / report["total"], THROUGHPUT.what: report["requests_per_second"],
            P99.what: report["p99_ms"]}


LOAD = Series((COST, THROUGHPUT, P99), load)
START = Series((RESTART_WORKER, RESTART_MAIN, START_CPU, START_WALL), lambda host: restarts(host) | start(host))
CHANGE = Series((PERSISTER, PAUSE), change)
