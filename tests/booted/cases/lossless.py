"""Users go on while their server is changed and restarted, and not a request of theirs fails."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from harness.checks import Checks, Note
from harness.crowd import Crowd, Figures
from harness.deployment import NEW_RELEASE, OLD_RELEASE, SERVER, SETTINGS, URL, add_test_options, purge
from harness.expect import CheckFailed, assert_equal, wait_until
from harness.failures import FAILS_AT_START, OWN
from harness.host import Host, Units

TARGET, MAIN = "synapse-workers.target", "synapse-main.service"
PEACE = 5.0
# The longest time without any answer while everything restarts, in the time that the processes need for it.
GOAL = 1.15


@dataclass(frozen=True)
class Form:
    """How thoroughly: the deployment, and the load. `spare` is a worker whose number is free."""

    workers: str
    spare: str
    persister: str
    rate: int
    rounds: int = 1
    # Whether systemd holds the sockets. Where it does not, failed requests are shown, and no check fails.
    held: bool = True
    # Whether the pause must reach the goal: on a machine that does other things as well it may not.
    strict: bool = False


SHORT = Form("small", spare="clients", persister="event_persister1", rate=50)
LONG = Form("full", spare="synchrotron", persister="event_persister2", rate=32, rounds=3, strict=True)


@dataclass(frozen=True)
class Disturbance:
    """Something an administrator does; `do(host, form)` returns when it is done."""

    what: str
    do: Callable[[Host, Form], object]


def restart(unit: str) -> Disturbance:
    return Disturbance(f"{unit} is restarted", lambda host, form: host.run("systemctl", "restart", unit))


def restart_all(host: Host, form: Form) -> None:
    host.run("systemctl", "restart", TARGET)
    wait_until("all services active", lambda: not idle(host))


def break_start(host: Host, form: Form) -> None:
    """Options that Synapse's parser takes and Synapse cannot start with: the run rolls back."""
    host.write(OWN, FAILS_AT_START)
    try:
        host.product("install", "--yes", expect=(1, 75))
    finally:
        host.path(OWN).unlink()


def upgrade(host: Host, form: Form) -> None:
    """As an administrator does it; the version is named because the wheelhouse has pretended releases for some cases."""
    host.product("upgrade", NEW_RELEASE, "--yes")
    assert_equal(release(host), NEW_RELEASE, "the release that answers")


def downgrade(host: Host, form: Form) -> None:
    host.product("rollback", "--yes")
    assert_equal(release(host), OLD_RELEASE, "the release that answers")


def release(host: Host) -> str:
    return json.loads(host.net("curl", "-sS", f"{URL}/_matrix/federation/v1/version").out)["server"]["version"]


# In this order; the restart of each single service comes after the first three.
FIRST = (
    Disturbance("nothing is done", lambda host, form: time.sleep(PEACE)),
    Disturbance("a worker is added", lambda host, form: host.product("scale", f"{form.spare}=2", "--yes")),
    Disturbance("a worker is removed", lambda host, form: host.product("scale", f"{form.spare}=1", "--yes")),
)
PERSISTER = "an event persister is added"
LAST = (
    Disturbance("the target is restarted", restart_all),
    Disturbance(PERSISTER, lambda host, form: host.product("add", "event_persister", "--yes")),
    Disturbance("an event persister is removed", lambda host, form: host.product("remove", form.persister, "--yes")),
    Disturbance(f"Synapse is upgraded from {OLD_RELEASE} to {NEW_RELEASE}", upgrade),
    Disturbance("the upgrade is taken back", downgrade),
    Disturbance("a bad configuration is applied and undone", break_start),
)


def services(host: Host) -> Units:
    """The services that serve, without those that run for a moment only."""
    return {name: unit for name, unit in host.units("synapse-*.service").items() if name != "synapse-hold.service"}


def idle(host: Host) -> list[str]:
    return [name for name, unit in services(host).items() if unit["ActiveState"] != "active"]


@pytest.mark.bare
@pytest.mark.lane(1)
def test_lossless(host: Host, check: Checks) -> None:
    """Users go on while the server is changed and restarted."""
    lossless(host, check, SHORT)


@pytest.mark.slow
@pytest.mark.bare
def test_lossless_off(host: Host, check: Checks) -> None:
    """Users go on while the server is changed, without socket activation, for comparison."""
    lossless(host, check, replace(SHORT, held=False))


@pytest.mark.slow
@pytest.mark.bare
def test_soak(host: Host, check: Checks) -> None:
    """Users go on while a server with every worker is changed, at length."""
    lossless(host, check, LONG)


@pytest.mark.slow
@pytest.mark.bare
def test_soak_off(host: Host, check: Checks) -> None:
    """Users go on while a server with every worker is changed, without socket activation, for comparison."""
    lossless(host, check, replace(LONG, held=False, rounds=1, strict=False))


def lossless(host: Host, check: Checks, form: Form) -> None:
    add_test_options(host)
    with check(f"a server of `{form.workers}`, {'with' if form.held else 'without'} socket activation", vital=True) as note:
        settings = {"server_name": SERVER, "workers": [form.workers], "sockets": {"held": form.held}, "synapse": {"version": OLD_RELEASE}}
        host.write(SETTINGS, json.dumps(settings, indent=1))
        note(f"{host.product('install', '--yes').seconds:.1f} s")
    with check("users log in and start to poll", vital=True):
        crowd = Crowd(host, form.rate)
    with crowd:
        longest = disturbed(host, check, form, crowd)
        with check("each message reached each reader by /sync and is in its room, exactly once", vital=True) as note:
            last, whole = crowd.ask("end"), crowd.heard()
            counted(note, whole)
        with check("no request failed" if form.held else "some requests failed, so the load detects failures") as note:
            note(f"{whole['failed']} of {whole['sent']} failed, longest pause {whole['silence']:.2f} s")
            note(f"kept connections closed while idle {whole['reopened']}, with a request on its way {whole['unread']}")
            assert_undisturbed(form, last)
            assert_equal(whole["failed"] == 0, form.held, "none failed")
    with check("the pause during a full restart is short compared with the start of the processes") as note:
        host.product("add", "event_persister", "--yes")
        needed = starting(host)
        note(f"{longest:.2f} s of {needed:.2f} s, ratio {longest / needed:.2f}, goal {GOAL}")
        if form.strict and longest > GOAL * needed:
            raise CheckFailed("longer than the goal")
    with check("--purge"):
        purge(host)


def disturbed(host: Host, check: Checks, form: Form, crowd: Crowd) -> float:
    """Makes every disturbance, round after round; returns the longest pause of all answers while everything restarted."""
    pauses = []
    for _ in range(form.rounds):
        singly = tuple(restart(unit) for unit in sorted(services(host)))
        for disturbance in FIRST + singly + LAST:
            with check(f"{disturbance.what}{', and no request fails' if form.held else ''}") as note:
                since = crowd.ask(f"mark {disturbance.what}")
                spent = used(host)
                disturbance.do(host, form)
                figures = crowd.ask(f"mark after that: {disturbance.what}")
                note(summary(figures))
                note(f"{(used(host) - spent) / figures['seconds']:.1f} cores busy")
                assert_undisturbed(form, since)
                assert_undisturbed(form, figures)
            if disturbance.what == PERSISTER:
                pauses.append(figures["silence"])
    return max(pauses)


def used(host: Host) -> float:
    """CPU seconds of all that runs in the host."""
    for line in host.run("cat", "/sys/fs/cgroup/cpu.stat").out.splitlines():
        name, value = line.split()
        if name == "usage_usec":
            return int(value) / 1e6
    raise CheckFailed("no usage_usec")


def summary(figures: Figures) -> str:
    slowest = [f"{kind} {seconds:.2f} s" for kind, seconds in list(figures["slowest"].items())[:3]]
    errors = [f"{count} {error}" for error, count in list(figures["errors"].items())[:3]]
    return (f"{figures['failed']} of {figures['sent']} failed{': ' if errors else ''}{', '.join(errors)}, "
            f"longest pause {figures['silence']:.2f} s, slowest {', '.join(slowest)}")


def assert_undisturbed(form: Form, figures: Figures) -> None:
    """Fails for a phase in which a request failed or a message came late."""
    if form.held and (figures["failed"] or figures["not_arrived"]):
        raise CheckFailed(json.dumps({key: figures[key] for key in ("phase", "not_arrived", "late", "errors", "failures")}, indent=1))


def counted(note: Note, whole: Figures) -> None:
    """Messages that the server accepted are safe, with and without socket activation."""
    sync, messages = whole["sync"], whole["messages"]
    note(f"taken {whole['taken']}")
    for name, part in (("sync", sync), ("messages", messages)):
        note(f"{name}: {part['read']} of {part['expected']}, lost {part['lost']}, duplicated {part['duplicated']}")
    wrong = [part[what] for part in (sync, messages) for what in ("lost", "duplicated")]
    if any(wrong) or whole["rooms_not_read_back"]:
        raise CheckFailed(json.dumps({"sync": sync, "messages": messages, "unread": whole["rooms_not_read_back"]}, indent=1))


def starting(host: Host) -> float:
    """Seconds that all workers need to stop, main to restart and all workers to start, without any load."""
    workers = [name for name in services(host) if name.startswith("synapse-worker@")]
    host.run("systemctl", "stop", *workers)
    host.run("systemctl", "restart", MAIN)
    host.run("systemctl", "start", *workers)
    units = services(host)
    stages = [(workers, "ActiveExit", "InactiveEnter"), ([MAIN], "ActiveExit", "ActiveEnter"),
              (workers, "InactiveExit", "ActiveEnter")]
    return sum(
        max(int(units[name][f"{end}TimestampMonotonic"]) for name in names) -
        min(int(units[name][f"{begin}TimestampMonotonic"]) for name in names) for names, begin, end in stages) / 1e6
