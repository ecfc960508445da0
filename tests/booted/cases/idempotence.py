"""The same install again."""

import pytest

from harness.checks import Checks
from harness.deployment import FULL_UNITS, SERVER, assert_equal_except, generation
from harness.expect import assert_contains, assert_equal
from harness.host import Host


@pytest.mark.installed
def test_idempotence(host: Host, check: Checks) -> None:
    """The same install again changes nothing."""
    before = host.invocations(), generation(host)
    with check("install with the same flags prints `0 changed`") as note:
        result = host.product("install", "--server-name", SERVER, "--workers", "full", "--yes")
        assert_contains(result.out, "0 changed")
        note(result.out.strip())
    with check("plain install prints `0 changed`") as note:
        result = host.product("install", "--yes")
        assert_contains(result.out, "0 changed")
        note(f"{result.seconds:.2f} s with the way into the host")
    with check("no unit restarted and no generation was written"):
        assert_equal_except(before[0], host.invocations())
        assert_equal(set(before[0]), FULL_UNITS, "units")
        assert_equal(generation(host), before[1], "generations")
    with check("plan prints no step"):
        host.product("plan", "--detailed-exitcode")
        assert_equal(host.json("plan")["steps"], [], "plan")
