"""A mixed load, and its cost for the one process that cannot be multiplied."""

import json

import pytest

from harness.checks import Checks
from harness.deployment import FULL_UNITS, URL, client, prepared_load
from harness.expect import CheckFailed
from harness.host import Host

COUNT = 2000
MAIN = "synapse-main.service"
# The most that main may use of the CPU time of all Synapse's processes, which it alone uses without workers. A share holds on a
# slow machine too, unlike a number of seconds.
LIMIT = 0.1


@pytest.mark.installed
def test_load(host: Host, check: Checks) -> None:
    """A mixed load: nothing fails, and the main process has little to do."""
    with check("users and rooms for the load exist", vital=True):
        users = prepared_load(host)
    with check(f"{COUNT} requests succeed", vital=True) as note:
        # The first requests fill caches; how little they cost afterwards is the question.
        client(host, "load.py", URL, "--state", users, "--count", str(COUNT // 5))
        before = spent(host)
        result = json.loads(client(host, "load.py", URL, "--state", users, "--count", str(COUNT)).out)
        used = {unit: seconds - before[unit] for unit, seconds in spent(host).items()}
        note(f"{result['requests_per_second']} requests per second, {result['seconds']} s")
    with check(f"the main process uses at most {LIMIT:.0%} of the CPU time of Synapse") as note:
        main, everything = used[MAIN], sum(used.values())
        note(f"{main * 1000 / result['total']:.2f} of {everything * 1000 / result['total']:.2f} s for 1,000 requests")
        if main > LIMIT * everything:
            raise CheckFailed(f"{main / everything:.0%}")


def spent(host: Host) -> dict[str, float]:
    """The CPU seconds of each process of Synapse."""
    return {unit: host.cpu_seconds(unit) for unit in FULL_UNITS if unit == MAIN or unit.startswith("synapse-worker@")}
