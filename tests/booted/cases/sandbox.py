"""How far the units are closed in."""

import re

from hosts import Unmet

# Of 10, where 10 is a service without any limits. Ours read and write where Synapse must and nowhere else.
LIMITS = {"synapse-main.service": 2.0, "synapse-worker@synchrotron1.service": 2.0, "synapse-nginx.service": 3.0, "synapse-redis.service": 3.0}


def run(host, check):
    for unit, limit in LIMITS.items():
        with check(f"{unit}: systemd-analyze security at most {limit}") as note:
            note(exposure(host, unit, limit))
    with check("a process of Synapse runs as its own user, without capabilities"):
        for unit in ("synapse-main.service", "synapse-worker@synchrotron1.service"):
            pid = host.units(unit)[unit]["MainPID"]
            status = host.run("cat", f"/proc/{pid}/status").out
            user = host.run("id", "--user", "synapse").out.strip()
            if not re.search(rf"^Uid:\s+{user}\s+{user}\s", status, re.M) or not re.search(r"^CapBnd:\s+0+$", status, re.M):
                raise Unmet(status)


def exposure(host, unit, limit):
    """What systemd gives a unit, which must not be above the limit."""
    text = host.run("systemd-analyze", "security", "--no-pager", unit).out
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", text)
    if not found or float(found[1]) > limit:
        raise Unmet(text)
    return found[1]
