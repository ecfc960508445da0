"""The cost of the program beside that of systemd and Synapse alone."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from benchmarks.figures import BARE, Goal, Line, absolute, compared
from benchmarks.timing import seconds, timed
from harness import deployment
from harness.deployment import SERVER, all_active, jobs, worker
from harness.expect import assert_contains
from harness.host import Host

# 200 workers.
MANY = "full,synchrotron:41,client_reader:41,federation_reader:41,event_creator:31,event_persister:11,federation_sender:15"
# 200 workers on 20 hosts besides the first.
SPREAD = ["event_persister", "client_reader:2", "event_creator:2", "federation_reader:2", "federation_sender", "synchrotron:2"]
HOSTS = {f"app{number}": {"address": f"10.0.1.{number}", "workers": SPREAD} for number in range(1, 21)}
HOSTS_SETTINGS = {"server_name": SERVER, "address": "10.0.0.1", "hosts": HOSTS, "database": {"host": "10.0.0.9"}, "workers": [],
                  "metrics": {"enabled": True}}
# Renders the files of every host, one after the other, as the agents of all hosts do at the same time.
RENDER_HOSTS = "for host; do synapse-workers render --root /root/rendered/$host --settings /root/hosts.yaml --host $host || exit; done"
ONE_MORE = Line("one more worker: scale synchrotron=2", "s", Goal(1.25))
COLD_START = Line("cold start of full, from the start of main", "s", Goal(1.10))
T = TypeVar("T")


def rerun(host: Host) -> float:
    """Seconds of an install without changes."""
    begun, ended, text = timed(host, "synapse-workers", "install", "--yes")
    assert_contains(text, "0 changed")
    return ended - begun


def plan_many(host: Host) -> float:
    """Seconds of a plan from 20 workers to 200."""
    begun, ended, text = timed(host, "synapse-workers", "plan", "--workers", MANY, "--json")
    started = [len(units) for verb, *units in jobs("\n".join(step["line"] for step in json.loads(text)["steps"])) if verb == "start"]
    assert max(started) == 200, started
    return ended - begun


def render_hosts(host: Host) -> float:
    """Seconds of computing and writing the files of 200 workers, on 20 hosts."""
    host.write("/root/hosts.yaml", json.dumps(HOSTS_SETTINGS))
    begun, ended, text = timed(host, "sh", "-c", RENDER_HOSTS, "sh", *HOSTS)
    assert len(text.splitlines()) >= len(HOSTS), text
    return ended - begun


def render_first(host: Host) -> float:
    """Seconds of computing and writing the files of the first of these hosts."""
    host.write("/root/hosts.yaml", json.dumps(HOSTS_SETTINGS))
    return seconds(host, "synapse-workers", "render", "--root", "/root/rendered/first", "--settings", "/root/hosts.yaml")


def cold_start(host: Host, by_product: bool) -> float:
    """Seconds from the start of main until all is up, by install or by two calls of systemctl."""
    host.run("systemctl", "stop", "synapse-workers.target")
    if by_product:
        ended = timed(host, "synapse-workers", "install", "--yes")[1]
    else:
        host.run("systemctl", "start", "synapse-redis.service")
        host.run("systemctl", "start", "synapse-main.service")
        workers = [unit for unit in deployment.FULL_UNITS if unit.startswith("synapse-worker@")]
        ended = timed(host, "systemctl", "start", *workers, "synapse-nginx.service")[1]
        host.run("systemctl", "start", "synapse-workers.target")
    main = all_active(host)["synapse-main.service"]
    return ended - int(main["InactiveExitTimestampMonotonic"]) / 1e6


def one_more(host: Host) -> tuple[float, float]:
    """Seconds of `scale` to one more worker, and of starting the same prepared unit."""
    unit = worker("synchrotron2")
    scaled = seconds(host, "synapse-workers", "scale", "synchrotron=2", "--yes")
    host.run("systemctl", "stop", unit)
    bare = seconds(host, "systemctl", "start", unit)
    host.product("scale", "synchrotron=1", "--yes")
    return scaled, bare


def several(count: int, measure: Callable[..., T], *arguments: Any) -> list[T]:
    return [measure(*arguments) for _ in range(count)]


def measure(host: Host, pairs: int) -> None:
    deployment.install(host)
    absolute("install again, nothing to do", several(2 * pairs + 1, rerun, host))
    absolute("plan of 200 workers", several(2 * pairs + 1, plan_many, host))
    absolute("files of 20 hosts with 200 workers, all hosts in turn", several(2 * pairs + 1, render_hosts, host))
    absolute("files of the first of these hosts", several(2 * pairs + 1, render_first, host))
    compared(ONE_MORE, several(pairs, one_more, host), BARE)
    compared(COLD_START, several((pairs + 1) // 2, lambda: (cold_start(host, True), cold_start(host, False))), BARE)
