"""A reboot of the host, with a change on trial that is not confirmed."""

import pytest

from harness.checks import Checks
from harness.deployment import all_active, generation, remember_distribution_services, services_down, talk
from harness.expect import assert_equal, wait_until
from harness.host import Host
from harness.trial import over


@pytest.mark.installed
def test_reboot(host: Host, check: Checks) -> None:
    """Everything runs again after a reboot."""
    with check("users exchange messages before the reboot", vital=True):
        talk(host)
        before, number = host.invocations(), generation(host)[0]
    with check("the host reboots", vital=True) as note:
        host.product("scale", "synchrotron=2", "--try", "100s", "--yes")
        note(host.reboot().err.strip())
        remember_distribution_services(host)
    with check("the time of the trial starts again, and at its end the host is rolled back") as note:
        note(f"{host.json('status', expect=(0, 1))['trial']['seconds_left']} s were left")
        wait_until("the generation from before", lambda: generation(host)[0] == number, seconds=240)
        wait_until("the end of the trial", lambda: host.json("status", expect=(0, 1))["trial"] is None, seconds=60)
        over(host)
    with check("all units are active again, with new invocations"):
        wait_until("all units active", lambda: all(
            unit["ActiveState"] == "active" for unit in host.units().values()), seconds=120)
        all_active(host)
        after = host.invocations()
        assert_equal({name for name in before if before[name] == after[name]}, set(), "units of before")
        assert_equal(services_down(host), "", "failed units of the host")
    with check("earlier tokens, messages and media work"):
        talk(host)
    with check("verify succeeds, and install changes nothing"):
        host.product("verify")
        assert_equal(host.json("plan")["steps"], [], "plan")
