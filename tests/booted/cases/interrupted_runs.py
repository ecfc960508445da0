"""Runs that are killed at any moment, within steps as well as between them: the next install repairs the host each time."""

import random

import pytest

from harness import deployment
from harness.checks import Checks
from harness.deployment import SERVER, talk
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import KILLED, Host

KILLS = 40
# The seed is printed with a failure, so that the same moments can be tried again.
SEED = 20
SMALL, MORE = "small", "small,event_persister"
LONGEST = 7.0


def changes(host: Host) -> tuple[tuple[str, ...], ...]:
    """Runs that always change something, in any state of the host."""
    settings = host.read(deployment.SETTINGS)
    workers = MORE if "event_persister" not in settings else SMALL
    clients = 1 if "event_creator:2" in settings else 2
    return (("install", "--workers", workers, "--yes"), ("scale", f"clients={clients}", "--yes"), ("rollback", "--yes"))


@pytest.mark.slow
def test_interrupted_runs(host: Host, check: Checks) -> None:
    """A run that is killed at any moment: the next one repairs the host."""
    moments = random.Random(SEED)
    with check("a server with four processes", vital=True):
        deployment.add_test_options(host)
        host.product("install", "--server-name", SERVER, "--preset", "small", "--yes")
        # A generation to return to.
        host.product("scale", "clients=2", "--yes")
        talk(host)
    for number in range(KILLS):
        with check(f"{number + 1} of {KILLS}: killed, and the next install repairs the host") as note:
            change, after = cut(host, moments, number)
            repaired = host.product("install", "--yes")
            note(f"seed {SEED}, {change} after {after:.2f} s, {repaired.seconds:.1f} s")
            assert_contains(host.product("install", "--yes").out, "0 changed")
            host.product("verify")
            assert_equal(deployment.services_down(host), "", "failed units of the host")
    with check("users exchange messages"):
        talk(host)
    with check("--purge"):
        deployment.purge(host)


def cut(host: Host, moments: random.Random, number: int) -> tuple[str, float]:
    """Kills a change at a random moment; one that was faster is tried again, with less time."""
    longest = LONGEST
    for _ in range(20):
        change = changes(host)[number % 3]
        after = moments.uniform(0.02, longest)
        # timeout(1) ends by the signal that it sends.
        if host.run("timeout", "--signal=KILL", f"{after:.3f}", "synapse-workers", *change, expect=(0, *KILLED)).code:
            return change[0], after
        longest = after
    raise CheckFailed("no run was slow enough to be killed")
