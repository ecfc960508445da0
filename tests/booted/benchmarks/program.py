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
# Computes the files of the first host and of every other, which the agents do at the same time. The last line of the output
# has the CPU time of all of that: of the program, and of the system, which writes the files.
RENDER_HOSTS = """
render() { synapse-workers render --root /root/rendered --settings /root/hosts.yaml "$@" || exit; }
render; for host; do render --host $host; done; times
"""
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
    """CPU seconds in which the program computes the files of 200 workers on 20 hosts, and those of the first host."""
    host.write("/root/hosts.yaml", json.dumps(HOSTS_SETTINGS))
    text = timed(host, "sh", "-c", RENDER_HOSTS, "sh", *HOSTS)[2]
    assert text.count(" files below ") == len(HOSTS) + 1, text
    minutes, rest = text.split()[-2].rstrip("s").split("m")
    return 60 * int(minutes) + float(rest)


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
    absolute("CPU time of rendering 20 hosts with 200 workers", several(2 * pairs + 1, render_hosts, host))
    compared(ONE_MORE, several(pairs, one_more, host), BARE)
    compared(COLD_START, several((pairs + 1) // 2, lambda: (cold_start(host, True), cold_start(host, False))), BARE)
