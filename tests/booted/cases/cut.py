"""Runs that are killed at any moment, within steps as well as between them: the next install repairs the host each time."""

import random

from cases import deployment
from cases.deployment import SERVER, talk
from hosts import contains, same

KILLS = 40
# The seed is printed with a failure, so that the same moments can be tried again.
SEED = 20
SMALL, MORE = "small", "small,event_persister"
# Each leads away from what the one before may have left; the longest takes some ten seconds.
CHANGES = (
    ("install", "--workers", MORE, "--yes"),
    ("scale", "sync=2", "--yes"),
    ("rollback", "--yes"),
    ("install", "--workers", SMALL, "--yes"),
)
LONGEST = 10.0


def run(host, check):
    moments = random.Random(SEED)
    with check("a server with four processes", vital=True):
        host.product("install", "--server-name", SERVER, "--preset", "small", "--yes")
        host.installed = True
        talk(host)
    for number in range(KILLS):
        change, after = CHANGES[number % len(CHANGES)], moments.uniform(0.02, LONGEST)
        with check(f"{number + 1}: {change[0]} killed after {after:.2f} s, seed {SEED}: the next install repairs the host") as note:
            # timeout(1) sends itself the same signal; a run that ended before has its own code, whatever that is.
            killed = host.run("timeout", "--signal=KILL", f"{after:.3f}", "synapse-workers", *change, expect=None)
            repaired = host.product("install", "--yes")
            note(f"{killed.code}, {repaired.seconds:.1f} s")
            contains(host.product("install", "--yes").out, "0 changed")
            host.product("verify")
            same(deployment.services_down(host), "", "failed units of the host")
    with check("users go on"):
        talk(host)
    with check("--purge"):
        deployment.purge(host)
