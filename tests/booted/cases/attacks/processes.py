"""Processes of Synapse: connections that cost their launcher everything, and a journal that cannot be read any more."""

import re
import time

from cases.attacks.common import attacker, bounded, changed, undone
from harness.checks import Checks
from harness.deployment import SETTINGS, URL, worker
from harness.expect import CheckFailed, assert_equal, wait_until
from harness.host import Host

# Its metrics come over its own socket. A process with a port for them has a thread of Synapse's, which spins by itself as long
# as it has no descriptor.
WORKER = "synchrotron1"
UNIT = worker(WORKER)
SOCKET = f"/run/synapse-workers/public/{WORKER}.sock"
NOTE = "/var/lib/synapse-workers/nginx/closed"
DROP_IN = f"/run/systemd/system/{UNIT}.d/case.conf"
CLEAN = f"rm -rf {NOTE}* {DROP_IN.rpartition('/')[0]}; systemctl daemon-reload; systemctl restart {UNIT}"
# Connections that send nothing, from the account that may make them; it notes how many of them the worker has closed.
SILENT = """
import os, select, socket, sys, time
path, number, note = sys.argv[1], int(sys.argv[2]), sys.argv[3]
connections, poll, closed = {}, select.poll(), 0
for _ in range(number):
    one = socket.socket(socket.AF_UNIX)
    while one.connect_ex(path):
        time.sleep(0.01)
    connections[one.fileno()] = one
    poll.register(one, select.POLLIN)
while True:
    with open(note + ".next", "w") as file:
        file.write(str(closed))
    os.rename(note + ".next", note)
    for descriptor, _ in poll.poll():
        poll.unregister(descriptor)
        closed += 1
"""
# Descriptors of the worker, some more than it needs without connections.
FEW, MANY = 96, 200
# At 0.1 s for each, a start that waits for them takes a minute.
WAITING = 600


def run(host: Host, check: Checks) -> None:
    with check("B3: the journal reads the same before and after a change of the log level"):
        levels(host)
    with check("C1: more connections than a worker has descriptors for: it does not spin, and serves when they are gone") as note:
        note(f"{descriptors(host):.2f} s of CPU in 3 s")
    with check(f"C2: {WAITING} silent connections at a worker that starts slower than its drain time-out: it starts") as note:
        note(f"{silent(host):.1f} s")


def levels(host: Host) -> None:
    with undone(host, "true"):
        before = shape(host, "case-before")
        for level in ("WARNING", "INFO"):
            host.write(SETTINGS, changed("log_level", level))
            bounded(host, 60, "install", "--yes")
        assert_equal(shape(host, "case-after"), before, "the beginning of a line")


def shape(host: Host, marker: str) -> str:
    """The beginning of the journal's line for a request that this makes, without numbers."""
    host.net("curl", "--silent", "--fail", "--user-agent", marker, f"{URL}/_matrix/client/v3/login")
    found = wait_until("the request in the journal", lambda: host.run(
        "journalctl", "--quiet", "--output=cat", "--lines=1", "--unit=synapse-*", f"--grep=Processed request.*{marker}", expect=(0, 1)).out)
    return re.sub(r"\d+", "N", found.partition("Processed request")[0])


def descriptors(host: Host) -> float:
    with undone(host, CLEAN):
        limit(host, f"LimitNOFILE={FEW}")
        host.run("systemctl", "restart", UNIT)
        with attacker(host, "synapse-nginx", "silent", "python3", "-c", SILENT, SOCKET, str(MANY), NOTE):
            wait_until("connections without a descriptor to be closed", lambda: closed(host) >= MANY - FEW, seconds=15)
            begun, before = time.monotonic(), host.cpu_seconds(UNIT)
            time.sleep(3)  # the time that is measured
            spent = (host.cpu_seconds(UNIT) - before) * 3 / (time.monotonic() - begun)
        serves(host)
    if spent > 1.0:
        raise CheckFailed(f"{spent:.2f} s of CPU in 3 s")
    return spent


def serves(host: Host) -> None:
    """The worker answers, and asks for a token."""
    words = ("--silent", "--max-time", "10", "--output", "/dev/null", "--write-out", "%{http_code}")
    assert_equal(host.net("curl", *words, f"{URL}/_matrix/client/v3/sync").out, "401", "the answer to a sync without a token")


def closed(host: Host) -> int:
    """How many connections of the attacker's the worker has closed."""
    return int(host.shell(f"cat {NOTE} 2>/dev/null || echo 0").out)


def silent(host: Host) -> float:
    """The connections are made as soon as systemd listens, before the worker can have been imported."""
    with undone(host, CLEAN):
        unit = host.read("/etc/systemd/system/synapse-worker@.service")
        start = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
        limit(host, "ExecStart=", start.replace(" --drain ", " --patience 0.1 --drain "))
        host.run("systemctl", "stop", UNIT)
        with attacker(host, "synapse-nginx", "silent", "python3", "-c", SILENT, SOCKET, str(WAITING), NOTE):
            begun = time.monotonic()
            host.run("systemctl", "start", "--no-block", UNIT)
            wait_until("the connections", lambda: host.run("test", "-e", NOTE, expect=(0, 1)).code == 0)
            wait_until("the worker to be ready", lambda: host.units(UNIT)[UNIT]["ActiveState"] == "active", seconds=30)
            ready = time.monotonic() - begun
            serves(host)
    return ready


def limit(host: Host, *lines: str) -> None:
    """A drop-in of the administrator's."""
    host.shell('mkdir -p "$(dirname "$1")"; cat >"$1"; systemctl daemon-reload', DROP_IN, stdin="\n".join(("[Service]", *lines, "")))
