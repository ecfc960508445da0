"""A mixed load, and what it costs the one process that cannot be multiplied."""

import json

from cases.deployment import URL, client, state
from hosts import Unmet

COUNT = 2000
# CPU seconds of the main process for 1,000 requests. The goal is 0.4; shared machines need some room.
LIMIT = 0.6


def prepared(host):
    """The file with users, rooms and tokens for the load; made when it is missing."""
    file = state(host, "load")
    if not file.exists():
        client(host, "load.py", URL, "--state", str(file), "--prepare")
    return str(file)


def run(host, check):
    with check("users and rooms for the load", vital=True):
        users = prepared(host)
    with check(f"{COUNT} requests, none fails", vital=True) as note:
        before = host.cpu_seconds("synapse-main.service")
        result = json.loads(client(host, "load.py", URL, "--state", users, "--count", str(COUNT)).out)
        spent = (host.cpu_seconds("synapse-main.service") - before) * 1000 / result["total"]
        note(f"{result['requests_per_second']} requests per second, {result['seconds']} s")
    with check(f"the main process spends at most {LIMIT} CPU seconds for 1,000 requests") as note:
        note(f"{spent:.2f}")
        if spent > LIMIT:
            raise Unmet(f"{spent:.2f} CPU seconds for 1,000 requests")
