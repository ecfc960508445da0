"""Kills a part of a warm start at a moment of it, in the host: `warm_killer.py VICTIM UNIT SERVER MILLISECONDS…`.

Restarts the unit once for each time. The victim dies that long after it appeared: `helper`, the program that asks for a
process; `forked`, the process that waits; `server`, the fork server, counted from the helper on. Prints for each time the
place where the victim was, and the seconds until the unit was active again.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

CGROUP = "/sys/fs/cgroup"
# /proc/PID/comm.
HELPER = b"warm-start\n"
LIMIT = 60.0
PAUSE = 0.02


def main(victim: str, unit: str, server: str, *moments: str) -> None:
    for moment in moments:
        # systemd limits how often a unit may start (StartLimitBurst=).
        subprocess.run(["systemctl", "reset-failed", unit, server], check=True)
        restart = subprocess.Popen(["systemctl", "restart", unit], stderr=subprocess.DEVNULL)
        begun = time.monotonic()
        place = kill(victim, group(unit), group(server), int(moment) / 1000)
        restart.wait()
        while prop(unit, "ActiveState") != "active" or prop(server, "ActiveState") != "active":
            if time.monotonic() > begun + LIMIT:
                sys.exit(f"{victim} killed {moment} ms after it appeared, in {place}: {unit} is not active within {LIMIT:.0f} s")
            time.sleep(PAUSE)
        print(f"{moment} ms: {place}, {time.monotonic() - begun:.1f} s")


def kill(victim: str, unit: str, server: str, after: float) -> str:
    """Kills the victim this long after it appeared. Looks without a pause: a warm start takes some hundredths of a second."""
    fork_server = int(prop(os.path.basename(server), "MainPID"))
    deadline = time.monotonic() + LIMIT
    while not (found := helper(unit) if victim != "forked" else forked(unit, server, fork_server)):
        if time.monotonic() > deadline:
            sys.exit(f"{victim} did not appear")
    time.sleep(after)
    number = fork_server if victim == "server" else found
    try:
        place = "released" if victim == "forked" and not waits(number) else f"in {group_of(number)}"
        os.kill(number, signal.SIGKILL)
    except (ProcessLookupError, FileNotFoundError):
        return "ended before"
    return place


def helper(unit: str) -> int | None:
    return next((number for number in processes(unit) if contents(number, "comm") == HELPER), None)


def forked(unit: str, server: str, fork_server: int) -> int | None:
    """The process that waits: a child of PID 1, in the control group of the server or of the unit."""
    found = (number for place in (server, unit) for number in processes(place) if number != fork_server)
    return next((number for number in found if parent(number) == 1 and waits(number)), None)


def waits(number: int) -> bool:
    """Whether a process still shows the command line of the fork server."""
    return b"warm_server.py" in contents(number, "cmdline")


def processes(place: str) -> Iterator[int]:
    try:
        with open(f"{CGROUP}{place}/cgroup.procs", encoding="ascii") as opened:
            yield from map(int, opened.read().split())
    except OSError:
        # The control group has gone with the last process; the next start creates it.
        return


def parent(number: int) -> int:
    fields = contents(number, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def group_of(number: int) -> str:
    """The unit whose control group contains a process."""
    return os.path.basename(contents(number, "cgroup").decode().strip())


def contents(number: int, file: str) -> bytes:
    """A file of a process; empty if it has ended."""
    try:
        with open(f"/proc/{number}/{file}", "rb") as opened:
            return opened.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def group(unit: str) -> str:
    """The control group of a unit that runs or has run."""
    return prop(unit, "ControlGroup")


def prop(unit: str, key: str) -> str:
    command = ["systemctl", "show", "--value", f"--property={key}", unit]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main(*sys.argv[1:])
