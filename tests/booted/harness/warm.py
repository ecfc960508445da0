"""The memory of Synapse's processes, and their plain starts where a fork server should have forked them."""

from harness.host import Host

ACCOUNT = "synapse"


def memory(host: Host, unit: str = "", kind: str = "Pss") -> float:
    """The memory in MiB of the process of a unit, or of all processes of Synapse's account, which includes the fork servers.

    `kind` is a row of /proc/PID/smaps_rollup: Pss counts shared memory once in all, Private_Dirty is written by one process.
    """
    pids = host.units(unit)[unit]["MainPID"] if unit else host.run("pgrep", "--euid", ACCOUNT).out
    # A process may end meanwhile.
    lines = host.run("cat", *(f"/proc/{pid}/smaps_rollup" for pid in pids.split()), expect=(0, 1)).out.splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) / 1024


def plainly(host: Host, since: float) -> list[str]:
    """The reasons for plain starts in the journal, since a time in seconds since 1970."""
    lines = host.run("journalctl", "--quiet", "--no-pager", f"--since=@{since:.3f}", "--grep=a plain start, because", expect=(0, 1)).out
    return lines.splitlines()
