"""One server with `warm.mode` off and on in turn, so that both have the same machine, data and clients."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.figures import PLAIN, Line, compared
from benchmarks.timing import timed
from harness.deployment import SERVER, SETTINGS, add_test_options
from harness.expect import CheckFailed, assert_equal, wait_until
from harness.host import Host, Units
from harness.warm import plainly

OFF, FORK, IMMORTAL = "off", "fork", "immortal"
TARGET = "synapse-workers.target"
SERVICES = "synapse-*.service"
# Units with a process of Synapse, and fork servers.
FORK_SERVERS = "synapse-warm@*.service"
OF_SYNAPSE = ("synapse-main.service", "synapse-worker@*.service", FORK_SERVERS)
# Figures by the text of their lines. Others, without a line, are printed with the pair.
Figures = dict[str, float]


@dataclass(frozen=True)
class Series:
    """Figures of a running server, measured once in each visit of a mode."""

    lines: tuple[Line, ...]
    measure: Callable[[Host], Figures]


def in_turn(host: Host, series: Sequence[Series], mode: str, pairs: int) -> None:
    """Visits plain starts and `mode` in turn, and prints the medians of both."""
    found: dict[str, list[Figures]] = {OFF: [], mode: []}
    for number in range(1, pairs + 1):
        for visited, visits in found.items():
            switch(host, visited)
            visits.append({what: value for one in series for what, value in one.measure(host).items()})
            print(f"  pair {number}, {visited}: " + ", ".join(f"{what} {value:.2f}" for what, value in visits[-1].items()), flush=True)
    for line in (line for one in series for line in one.lines):
        compared(line, [(warm[line.what], plain[line.what]) for warm, plain in zip(found[mode], found[OFF], strict=True)], PLAIN)


def switch(host: Host, mode: str, workers: str = "full") -> None:
    """Installs the server with these workers and this mode, while nothing runs: Synapse's processes start once."""
    if host.units(TARGET):
        stop(host)
    add_test_options(host)
    host.write(SETTINGS, json.dumps({"server_name": SERVER, "workers": [workers], "warm": {"mode": mode}}, indent=1))
    with only_forked(host):
        host.product("install", "--yes")
    assert_equal(bool(host.units(FORK_SERVERS)), mode != OFF, f"fork servers with {mode}")


def stop(host: Host) -> None:
    host.run("systemctl", "stop", TARGET)
    wait_until("nothing runs", lambda: all(unit["ActiveState"] == "inactive" for unit in host.units(SERVICES).values()), 120)


def cold_start(host: Host) -> tuple[float, float]:
    """Seconds from the start of the target until all units are active, and CPU seconds of Synapse's processes and fork servers."""
    stop(host)
    with only_forked(host):
        begun = timed(host, "systemctl", "start", TARGET)[0]
        units = wait_until("all services active", lambda: active(host), 300)
    return max(int(unit["ActiveEnterTimestampMonotonic"]) for unit in units.values()) / 1e6 - begun, cpu(host)


def active(host: Host) -> Units | None:
    """The services, once all of them are active."""
    units = {name: unit for name, unit in host.units().items() if name.endswith(".service")}
    return units if all(unit["ActiveState"] == "active" for unit in units.values()) else None


def cpu(host: Host, *patterns: str) -> float:
    """CPU seconds that Synapse's processes and the fork servers have used since their start, or those of some units."""
    return sum(int(unit["CPUUsageNSec"]) for unit in host.units(*(patterns or OF_SYNAPSE)).values()) / 1e9


class only_forked:
    """Raises an error if a process started plainly that a fork server should have forked: its figures would be those of a plain start."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def __enter__(self) -> None:
        self.since = time.time()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and (plain := plainly(self.host, self.since)):
            raise CheckFailed("plain starts:\n" + "\n".join(plain))
