"""The files and units of a trial, and the assertion that none is left."""

import re

from harness.expect import assert_equal, wait_until
from harness.host import Host

# A change that restarts nothing.
CHANGE = re.compile(r"(?m)^( *gzip_comp_level: ).*$")
UNITS = ("synapse-trial.timer", "synapse-trial.service")
NOTE = "/var/lib/synapse-workers/trial.json"
UNIT_FILES = tuple(f"/etc/systemd/system/{unit}" for unit in UNITS)
FILES = (NOTE, *UNIT_FILES)


def over(host: Host) -> None:
    """Asserts that no record, unit, link or failure of a trial is left."""
    assert_equal([path for path in FILES if host.path(path).exists()], [], "files")
    assert_equal(host.shell("ls /etc/systemd/system/timers.target.wants | grep trial || true").out, "", "links")
    wait_until("no unit of it", lambda: not host.units(*UNITS))
    assert_equal(host.json("status")["trial"], None, "trial")
