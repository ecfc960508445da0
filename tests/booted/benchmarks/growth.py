"""How far one installation carries: the costs of a mixed load of requests, measured, and what they mean for more workers."""

import json
import re
import statistics

from benchmarks.figures import say
from benchmarks.growth_model import ASSUMPTIONS, Measured, forecast, table
from benchmarks.timing import seconds
from benchmarks.warm_modes import OFF, switch
from benchmarks.warm_series import FIRST, REQUESTS
from harness.deployment import CURRENT, FULL, URL, client, prepared_load, worker
from harness.host import Host

REDIS = "/run/synapse-workers/redis/redis.sock"
SIZES = (10, 50, 200)
# Workers that no request of the load reaches: what they do is follow the others.
FOLLOWERS = ("federation_inbound1", "federation_reader1", "media_repository1")
IDLE_SECONDS = 30


class Reading:
    """Counters: CPU seconds by unit, and the messages and bytes of Redis."""

    def __init__(self, host: Host) -> None:
        units = host.units("synapse-*.service", postgresql(host))
        self.cpu = {name: int(unit["CPUUsageNSec"]) / 1e9 for name, unit in units.items() if unit["ActiveState"] == "active"}
        text = host.run("redis-cli", "-s", REDIS, "info", "all").out
        self.sent = number(r"^total_net_output_bytes:(\d+)", text)
        self.messages = number(r"^cmdstat_publish:calls=(\d+)", text)


def number(pattern: str, text: str) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    return int(found[1]) if found else 0


def postgresql(host: Host) -> str:
    return f"postgresql@{host.postgresql}-main.service"


def costs(host: Host) -> Measured:
    """Measures `full` without a warm start, first without requests and then with the load of the part `load`."""
    switch(host, OFF)
    state = prepared_load(host)
    client(host, "load.py", URL, "--state", state, "--count", str(FIRST))
    workers = [worker(f"{role}1") for role in FULL]
    synapse = ["synapse-main.service", *workers]
    first = Reading(host)
    quiet = seconds(host, "sleep", str(IDLE_SECONDS))
    before = Reading(host)
    report = json.loads(client(host, "load.py", URL, "--state", state, "--count", str(REQUESTS)).out)
    after = Reading(host)

    def idle(unit: str) -> float:
        return (before.cpu[unit] - first.cpu[unit]) / quiet

    def cost(*units: str) -> float:
        """CPU seconds of these units for one request, beyond what they use in this time without requests."""
        spent = sum(after.cpu[unit] - before.cpu[unit] - idle(unit) * report["seconds"] for unit in units)
        return max(spent, 0.0) / report["total"]

    messages = (after.messages - before.messages) / report["total"]
    sent = (after.sent - before.sent) / report["total"]
    say("mixed load of full", f"{report['total']:,} requests in {report['seconds']:.0f} s, {report['requests']['send']:,} send an event")
    say("messages in Redis for one request", f"{messages:8.2f}, and {sent / 1000:.1f} kB sent to {len(synapse)} processes")
    return Measured(
        workers=len(workers),
        main=cost("synapse-main.service"),
        serving=cost(*workers),
        following=statistics.median(cost(worker(name)) for name in FOLLOWERS),
        redis=cost("synapse-redis.service"),
        postgres=cost(postgresql(host)),
        sent=sent,
        idle=statistics.mean(idle(unit) for unit in synapse),
        pool=number(r"^database\.cp_max (\d+)", host.read(f"{CURRENT}/sizes")),
    )


def measure(host: Host, _: int) -> None:
    measured = costs(host)
    parts = {"main": measured.main, "all workers together": measured.serving, "a worker that only follows": measured.following,
             "Redis": measured.redis, "PostgreSQL": measured.postgres}
    for what, value in parts.items():
        say(f"CPU for one request: {what}", f"{value * 1000:8.3f} ms")
    say("CPU of a process without requests", f"{measured.idle:8.2%}")
    print("\n".join(table([forecast(measured, workers) for workers in SIZES])), flush=True)
    print("Assumptions:\n" + "\n".join(f"* {line}" for line in ASSUMPTIONS), flush=True)
