"""The memory of all processes of Synapse's account with and without a warm start: just ready, and as a mixed load goes on.

Sizes do not depend on what else the machine does, so each mode is measured once.
"""

from itertools import pairwise

from benchmarks.figures import PLAIN, Goal, Line, compared, say
from benchmarks.warm_modes import FORK, IMMORTAL, OFF, cold_start, switch
from harness.deployment import URL, client, prepared_load
from harness.host import Host
from harness.warm import memory

# Numbers of requests after which memory is measured, and the largest shares of the memory of plain starts after some of them.
STEPS = (0, 1000, 3000, 5000, 10_000, 15_000)
GOALS = {FORK: {0: 0.45, 15_000: 0.50}, IMMORTAL: {0: 0.30, 15_000: 0.38, 100_000: 0.45}}
LONG_STEPS = (0, 15_000, 30_000, 50_000, 75_000, 100_000)
MEDIUM_GOAL = 0.60
# Growth counts from this step on; before it a server fills its caches.
SETTLED = 5000
# Growth of a warm start beyond that of plain starts, in MiB for 1,000 requests of all processes.
NOISE = 1.0

# PSS and private memory in MiB by the number of requests.
Sizes = dict[int, tuple[float, float]]


def measure(host: Host, steps: tuple[int, ...], *modes: str) -> None:
    plain = sizes(host, OFF, steps)
    for mode in modes:
        warm = sizes(host, mode, steps)
        for count, goal in GOALS[mode].items():
            if count in warm:
                when = f"after {count:,} requests" if count else "just ready"
                compared(Line(f"PSS of full, {mode}, {when}", "MiB", Goal(goal)), [(warm[count][0], plain[count][0])], PLAIN)
        growth(mode, warm, plain)


def medium(host: Host) -> None:
    warm, plain = (sizes(host, mode, (0,), "medium")[0][0] for mode in (FORK, OFF))
    compared(Line("PSS of medium, fork, just ready", "MiB", Goal(MEDIUM_GOAL)), [(warm, plain)], PLAIN)


def sizes(host: Host, mode: str, steps: tuple[int, ...], workers: str = "full") -> Sizes:
    """Starts all processes, sends requests, and measures after each step."""
    switch(host, mode, workers)
    state = prepared_load(host) if steps[1:] else ""
    cold_start(host)
    found = {}
    for before, count in pairwise((0, *steps)):
        if count:
            client(host, "load.py", URL, "--state", state, "--count", str(count - before))
        pss, private = found[count] = memory(host), memory(host, kind="Private_Dirty")
        say(f"{workers}, {mode}, after {count:,} requests", f"{pss:8.0f} MiB PSS, {private:.0f} MiB private")
    return found


def growth(mode: str, warm: Sizes, plain: Sizes) -> None:
    """Private memory that each 1,000 requests add, with a warm start and without, once caches are filled."""
    first, last = min(count for count in warm if count >= SETTLED), max(warm)
    if last > first:
        ours, theirs = ((found[last][1] - found[first][1]) * 1000 / (last - first) for found in (warm, plain))
        say(f"growth of private memory per 1,000 requests, {mode}",
            f"{ours:8.2f} MiB   {PLAIN} {theirs:.2f} MiB, beyond it {Goal(NOISE).verdict(ours - theirs)} "
            f"(from {first:,} to {last:,} requests)")
