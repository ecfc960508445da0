"""Advice from measurements, and the load in `top` and `status --watch`. The case `bottlenecks` follows recommendations."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.checks import Checks
from harness.deployment import CLIENTS, SETTINGS, URL, add_test_options, prepared_load, purge
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import Host

ON = "server_name: example.test\nworkers: pusher\nmetrics: {enabled: true}\n"
# More requests than any of these measurements lets through.
ENDLESS = "1000000"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_advise(host: Host, check: Checks) -> None:
    """A saturated server gets the right recommendation, and screens show the load."""
    add_test_options(host)
    host.write(SETTINGS, ON)
    with check("install with metrics", vital=True):
        host.product("install", "--yes")
        prepared_load(host)
    with check("every process, PostgreSQL and the host are measured", vital=True) as note:
        advice = host.json("advise", "--for", "4s")
        assert advice["metrics"], "the metrics of Synapse were read"
        sample = advice["sample"]
        loads = {process["name"]: process for process in sample["processes"]}
        for name in ("main", "pusher1"):
            assert loads[name]["cpu"] is not None and loads[name]["synapse"] is not None, f"{name}: {loads[name]}"
        assert loads["nginx"]["cpu"] is not None, loads["nginx"]
        assert sample["postgres"]["limit"] > 10 and sample["postgres"]["cpu"] is not None, sample["postgres"]
        assert sample["machine"]["processors"] >= 1, sample["machine"]
        note(f"{len(loads)} processes, {advice['outlook']}")
    with check("a saturated main process gets a worker for most of its work, if a processor is idle") as note, load(host):
        advice = host.json("advise", "--for", "20s")
        note(judge(advice))
    with check("the requests of upstreams are counted"):
        assert any(upstream["requests"] > 0 for upstream in advice["sample"]["upstreams"]), advice["sample"]["upstreams"]
    with check("the text names the change and the effect, or the load that the host can carry") as note:
        text = host.product("advise", "--for", "2s").out
        assert "expected effect:" in text or "The most loaded process is" in text, text
        note(text.strip().splitlines()[-1])
    with check("status --watch repeats the status"):
        watched = host.run("timeout", "-s", "INT", "8", "synapse-workers", "status", "--watch", expect=None).out
        assert watched.count("generation ") >= 2, watched
        assert "\x1b" not in watched, "no terminal is cleared"
    with check("top fits 80 and 120 columns, opens a log, and restores the terminal") as note:
        for columns in (80, 120):
            screen = top(host, columns)
            assert_contains(screen, "\x1b[?1049h", "\x1b[?1049l", "PROCESS", "main", "PostgreSQL:", "q quit", "q back")
            lines = [ESCAPES.sub("", line) for line in screen.replace("\x1b[H", "\n").splitlines()]
            longest = max(map(len, lines))
            assert longest <= columns, f"{longest} of {columns} columns"
            note(f"{longest} of {columns} columns")
    purge(host)


@contextmanager
def load(host: Host) -> Iterator[None]:
    """Users who send requests as fast as they are answered."""
    command = ("python3", str(CLIENTS / "load.py"), URL, "--state", prepared_load(host), "--count", ENDLESS)
    clients = host.talk_to(*command)
    try:
        yield
    finally:
        clients.kill()
        clients.communicate()


def main_of(advice: dict[str, Any]) -> Any:
    return next(process for process in advice["sample"]["processes"] if process["name"] == "main")


def judge(advice: dict[str, Any]) -> str:
    """Checks the first recommendation; which one is right depends on whether the machine has an idle processor."""
    main, machine = main_of(advice), advice["sample"]["machine"]
    figures = f"main needs {main['demand']:.2f}, {machine['busy']:.2f} of {machine['processors']:.0f} processors are busy"
    rules = [one["rule"] for one in advice["recommendations"]]
    if machine["busy"] >= 0.95 * machine["processors"]:
        assert_equal(rules[:1], ["host-processors"], figures)
        assert "main-process" not in rules, f"{figures}: {rules}"
        return f"{figures}: no worker is recommended"
    if main["demand"] < 0.85:
        raise CheckFailed(f"the load does not saturate main: {figures}")
    first = advice["recommendations"][0]
    assert_equal(first["rule"], "main-process", figures)
    assert first["change"]["command"].startswith("synapse-workers add "), first
    return f"{figures}: {first['change']['command']}; {first['effect']}"


def top(host: Host, columns: int) -> str:
    """What `top` writes to a terminal of this width, while keys select a process, open its log, close it, and quit."""
    keys = "sleep 5; printf j; sleep 1; printf '\\r'; sleep 3; printf q; sleep 1; printf q; sleep 2"
    command = f"stty cols {columns} rows 24; synapse-workers top"
    return host.shell(f"({keys}) | script -qec '{command}' /dev/null").out
