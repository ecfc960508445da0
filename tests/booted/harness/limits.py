"""A limit on a running unit, as when memory or the table of processes is full.

systemd sets it where the host has the controllers. Where cgroup v1 has them, hosts have none, and this machine limits the
processes that the unit has.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.expect import assert_contains
from harness.host import Host

V1 = Path("/sys/fs/cgroup")
# The controller of a property of units, and its file in cgroup v1.
FILES = {"TasksMax": ("pids", "pids.max"), "MemoryMax": ("memory", "memory.limit_in_bytes")}


@contextmanager
def limited(host: Host, unit: str, key: str, value: int) -> Iterator[None]:
    """Limits a unit: `TasksMax` is a number of processes, `MemoryMax` one of bytes."""
    controller, file = FILES[key]
    if not (V1 / controller).is_dir():
        assert_contains(host.run("cat", "/sys/fs/cgroup/cgroup.controllers").out.split(), controller)
        before = host.run("systemctl", "show", "--value", f"--property={key}", unit).out.strip()
        host.run("systemctl", "set-property", "--runtime", unit, f"{key}={value}")
        try:
            yield
        finally:
            host.run("systemctl", "set-property", "--runtime", unit, f"{key}={before}")
        return
    group = V1 / controller / f"{host.root.parent.parent.name}-{host.name}-limited"
    group.mkdir()
    try:
        (group / file).write_text(str(value))
        move(members(host, unit), group)
        yield
    finally:
        move((group / "cgroup.procs").read_text(encoding="utf-8").split(), group.parent)
        group.rmdir()


def members(host: Host, unit: str) -> list[str]:
    """The processes of a unit, by their numbers on this machine."""
    guest = Path((host.root.parent / "cgroup").read_text(encoding="utf-8").strip())
    return next(guest.glob(f"**/{unit}/cgroup.procs")).read_text(encoding="utf-8").split()


def move(processes: list[str], group: Path) -> None:
    for process in processes:
        (group / "cgroup.procs").write_text(process)
