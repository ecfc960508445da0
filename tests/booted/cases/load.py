"""A mixed load, and its cost for the one process that cannot be multiplied."""

import json

import pytest

from harness.checks import Checks
from harness.deployment import URL, client, prepared_load
from harness.expect import CheckFailed
from harness.host import Host

COUNT = 2000
# CPU seconds of the main process for 1,000 requests. The goal is 0.4; shared machines need some room.
LIMIT = 0.6


@pytest.mark.installed
def test_load(host: Host, check: Checks) -> None:
    """A mixed load: nothing fails, and the main process has little to do."""
    with check("users and rooms for the load exist", vital=True):
        users = prepared_load(host)
    with check(f"{COUNT} requests succeed", vital=True) as note:
        # The first requests fill caches; how little they cost afterwards is the question.
        client(host, "load.py", URL, "--state", users, "--count", str(COUNT // 5))
        before = host.cpu_seconds("synapse-main.service")
        result = json.loads(client(host, "load.py", URL, "--state", users, "--count", str(COUNT)).out)
        spent = (host.cpu_seconds("synapse-main.service") - before) * 1000 / result["total"]
        note(f"{result['requests_per_second']} requests per second, {result['seconds']} s")
    with check(f"the main process spends at most {LIMIT} CPU seconds for 1,000 requests") as note:
        note(f"{spent:.2f}")
        if spent > LIMIT:
            raise CheckFailed(f"{spent:.2f} CPU seconds for 1,000 requests")
