"""The distribution's own services, which were running before us."""

import pytest

from harness.checks import Checks
from harness.deployment import distribution_services
from harness.expect import assert_contains, assert_equal
from harness.host import Host


@pytest.mark.installed
def test_distribution_services(host: Host, check: Checks) -> None:
    """The distribution's own nginx, Redis and PostgreSQL run on untouched."""
    with check("nginx, Redis and PostgreSQL of the distribution were never restarted"):
        assert_equal(host.invocations(*distribution_services(host)), host.distribution_services, "their InvocationIDs")
    with check("these services answer as before"):
        assert_contains(host.run("curl", "--silent", "--show-error", "http://127.0.0.1:80/").out, "Welcome to nginx")
        assert_contains(host.run("redis-cli", "-h", "127.0.0.1", "ping").out, "PONG")
