"""Parts of the warm start are killed at each moment of a change: users are served, and the next install changes nothing."""

import json
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from cases.lossless import TARGET, Form, assert_undisturbed, counted, idle, services, summary
from harness import deployment
from harness.checks import Checks, Note
from harness.crowd import Crowd
from harness.deployment import CLIENTS, SERVER, SETTINGS, add_test_options, purge, talk, worker
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Host
from harness.paused import Paused
from harness.warm import plainly
from harness.warm_mode import is_fork_server

# The worker for background work decodes media, so it starts plainly.
WORKERS = "small"
LOAD = Form("small", spare="clients", persister="event_persister1", rate=20)
ADD = ("install", "--workers", f"{WORKERS}, event_persister", "--yes")
REMOVE = ("install", "--workers", WORKERS, "--yes")
# With everything stopped, and with main back.
STAGES = (("start   synapse-main", ADD), ("start   synapse-worker", REMOVE))
SCALED = (("start   synapse-worker", ("scale", "clients=2", "--yes")), ("stop    synapse-worker", ("scale", "clients=1", "--yes")))
# Parts of the warm start of a unit as warm_killer.py calls them, and milliseconds after they appeared.
VICTIMS = {"server": "the fork server", "forked": "the process that waits for its unit", "helper": "the program that asked for it"}
MOMENTS, EVERY_MOMENT = (8,), (0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# Seconds into a restart of the target.
INSTANTS, EVERY_INSTANT = (1.5,), (0.0, 0.2, 0.4, 0.7, 1.0, 1.4, 1.8, 2.3, 3.0, 4.0)
ONE = worker("clients1")


@pytest.mark.slow
def test_warm_moments(host: Host, check: Checks) -> None:
    """Fork servers, forked processes and helpers are killed at some moments of a start and of a change."""
    moments(host, check, thorough=False)


@pytest.mark.slow
def test_warm_moments_all(host: Host, check: Checks) -> None:
    """Fork servers, forked processes and helpers are killed at every moment of a start and of a change."""
    moments(host, check, thorough=True)


def moments(host: Host, check: Checks, thorough: bool) -> None:
    add_test_options(host)
    since = time.time()
    with check("a server with four processes, three of them forked", vital=True) as note:
        host.write(SETTINGS, json.dumps({"server_name": SERVER, "workers": [WORKERS], "warm": {"mode": "fork"}}, indent=1))
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        deployment.bring_fail_points(host)
        assert_equal(plainly(host, since), [], "plain starts")
        talk(host)
    host.push(CLIENTS / "warm_killer.py", "/root/warm_killer.py")
    for victim, what in VICTIMS.items():
        with check(f"{what} is killed during a start: the unit runs soon") as note:
            one_start(host, victim, EVERY_MOMENT if thorough else MOMENTS, note)
    with check("users log in and start to poll", vital=True):
        crowd = Crowd(host, LOAD.rate)
    with crowd:
        for instant in EVERY_INSTANT if thorough else INSTANTS:
            with check(f"all fork servers are killed {instant} s into a restart of the target, and no request fails") as note:
                disturbed(crowd, note, lambda instant=instant: restart_target(host, instant))
        for stage, change in stages(host) if thorough else STAGES:
            with check(f"all fork servers are killed before `{stage.strip()}` of {' '.join(change[:-1])}, and no request fails") as note:
                disturbed(crowd, note, lambda stage=stage, change=change: change_host(host, stage, change))
                settled(host)
        with check("each message arrived, exactly once") as note:
            assert_undisturbed(LOAD, crowd.ask("end"))
            counted(note, crowd.heard())
    with check("--purge"):
        purge(host)


def one_start(host: Host, victim: str, times: Sequence[int], note: Note) -> None:
    since = time.time()
    server = host.run("systemctl", "show", "--value", "--property=Wants", ONE).out
    server = next(unit for unit in server.split() if is_fork_server(unit))
    note(", ".join(host.run("python3", "/root/warm_killer.py", victim, ONE, server, *map(str, times)).out.splitlines()))
    note("plain starts: " + ("; ".join(sorted({line.partition("because: ")[2] for line in plainly(host, since)})) or "none"))
    talk(host)


def stages(host: Host) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every boundary of the steps of changes, each with a change that the host does not have yet."""
    def last(change: tuple[str, ...]) -> int:
        return len(host.json("plan", *change[1:3])["steps"])

    for step in range(last(ADD) + 1):
        for change in (ADD, REMOVE):
            yield str(min(step, last(change))), change
    yield from SCALED


def change_host(host: Host, stage: str, change: tuple[str, ...]) -> None:
    running = Paused(host, stage, *change)
    kill_servers(host)
    running.go_on(0)


def restart_target(host: Host, after: float) -> None:
    before = host.invocations(*services(host))
    host.run("systemctl", "restart", "--no-block", TARGET)
    time.sleep(after)
    kill_servers(host)
    wait_until("all services restarted and active", lambda: not idle(host) and not before.items() & host.invocations(*before).items(), 120)


def kill_servers(host: Host) -> None:
    host.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "synapse-warm@*.service", expect=None)


def settled(host: Host) -> None:
    """The next install has nothing to do, and everything is as it should be."""
    wait_until("all services active", lambda: not idle(host))
    assert_contains(host.product("install", "--yes").out, "0 changed")
    host.product("verify")


def disturbed(crowd: Crowd, note: Note, do: Callable[[], None]) -> None:
    """Does this while users are at work, and asserts that no request of theirs fails."""
    since = crowd.ask("mark disturbed")
    do()
    figures = crowd.ask("mark after that")
    note(summary(figures))
    assert_undisturbed(LOAD, since)
    assert_undisturbed(LOAD, figures)
