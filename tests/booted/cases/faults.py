"""Faults in the middle of a change: each one at each stage ends done, as before, or with a command to run.

The change adds an event persister, which has nearly every kind of step, or removes it if the host has it. A stage is a
boundary of its steps, named by a part of the next step's line. The thorough form kills the program and has it fail at every
boundary of the addition, and stops each service that it needs at every stage, before and after.
"""

from collections.abc import Sequence

import pytest

from harness import deployment
from harness.checks import Checks
from harness.deployment import SERVER, all_active, generation, psql, talk, worker
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.failures import Before
from harness.host import FAULTY, KILLED, Host
from harness.paused import Paused

BASE = frozenset({"synapse-workers.target", "synapse-main.service", "synapse-nginx.service", "synapse-redis.service",
        *map(worker, ("background1", "clients1", "streams1"))})
PERSISTER = worker("event_persister1")
MORE = BASE | {PERSISTER}
# The command that changes the host to the state with these units.
COMMANDS = {
    MORE: ("install", "--workers", "small,event_persister", "--yes"),
    BASE: ("install", "--workers", "small", "--yes"),
}
ADDITION = COMMANDS[MORE]
# Ways in which a run ends early, with a part of the message.
ENDINGS = (("fail", "requests a failure here"), ("int", "interrupted by SIGINT"), ("term", "interrupted by SIGTERM"))
# Before the switch, after it, with everything stopped, with main back, with all back but not verified.
STAGES = ("check   generation", "hold    ", "start   synapse-main", "start   synapse-worker", "verify  units")


@pytest.mark.lane(1)
def test_faults(host: Host, check: Checks) -> None:
    """Faults during a change: done, as before, or a message with a remedy."""
    faults(host, check, thorough=False)


@pytest.mark.slow
def test_faults_all(host: Host, check: Checks) -> None:
    """Faults during a change at every step, and each service that it needs stops at every stage."""
    faults(host, check, thorough=True)


def faults(host: Host, check: Checks, thorough: bool) -> None:
    with check("install of a server with four processes succeeds", vital=True):
        deployment.add_test_options(host)
        host.product("install", "--server-name", SERVER, "--preset", "small", "--yes")
        deployment.bring_fail_points(host)
        all_active(host, BASE)
        talk(host)
    rows = boundaries(host) if thorough else STAGES
    killed(host, check, rows, thorough)
    failed(host, check, rows, thorough)
    for what, fault in FAULTS.items():
        with check(what):
            fault(host)
            settled(host)
    settled(host, BASE)
    if thorough:
        matrix(host, check)
    host.run("rm", FAULTY)
    with check("--purge"):
        deployment.purge(host)


def present(host: Host) -> frozenset[str]:
    """The units of the host, with or without the event persister."""
    return MORE if host.path(f"{deployment.CURRENT}/synapse/workers/event_persister1.yaml").exists() else BASE


def next_state(host: Host) -> frozenset[str]:
    """The units after the next change: alternately with and without the event persister, so no run is spent on the way back."""
    return BASE if present(host) == MORE else MORE


def boundaries(host: Host) -> list[str]:
    """Numbers of all steps, and of the one after."""
    return [str(number) for number in range(len(host.json("plan", *ADDITION[1:3])["steps"]) + 1)]


def settled(host: Host, units: frozenset[str] | None = None) -> None:
    """The server serves, with these units, or with those that it has."""
    units = units or present(host)
    assert_contains(host.product(*COMMANDS[units]).out, "changed")
    assert_contains(host.product("install", "--yes").out, "0 changed")
    all_active(host, units)
    host.product("verify")
    talk(host)
    assert_equal(deployment.services_down(host), "", "failed units of the host")


def killed(host: Host, check: Checks, rows: Sequence[str], thorough: bool) -> None:
    for stage in rows:
        with check(f"killed before `{stage.strip()}`: the next install completes the change") as note:
            if thorough:
                settled(host, BASE)
            host.faulty(f"kill@{stage}", *COMMANDS[next_state(host)], expect=KILLED)
            note(f"{host.product('install', '--yes').seconds:.1f} s")
            settled(host)


def failed(host: Host, check: Checks, rows: Sequence[str], thorough: bool) -> None:
    settled(host, BASE)
    for number, stage in enumerate(rows):
        with check(f"fails, or is interrupted, before `{stage.strip()}`: the host is as before") as note:
            before = Before(host)
            for fault, cause in ENDINGS if thorough else [ENDINGS[0], ENDINGS[1 + number % 2]]:
                result = host.faulty(f"{fault}@{stage}", *ADDITION, expect=(1,))
                # The cause is printed last, after the steps of the rollback.
                end = result.err.splitlines()[-2:]
                assert_equal((cause in end[0], end[1]), (True, "the host is as it was before"), f"the end of\n{result.err}")
            found = host.read(deployment.SETTINGS), generation(host)[0]
            assert_equal(found, (before.settings, before.generation[0]), "settings, current")
            all_active(host, BASE)
            talk(host)
            note(f"{result.seconds:.1f} s")


def two_at_once(host: Host) -> None:
    units = next_state(host)
    first = Paused(host, "hold    ", *COMMANDS[units])
    assert_contains(host.product(*COMMANDS[units], expect=(1, 65)).err, "another synapse-workers is changing this host")
    first.go_on(0)
    assert_equal(present(host), units, "the units of the first")


def without_postgresql(host: Host) -> None:
    running = Paused(host, "start   synapse-main", *COMMANDS[next_state(host)])
    host.run("systemctl", "stop", "postgresql")
    try:
        _, out = running.go_on(70)
    finally:
        host.run("systemctl", "start", "postgresql")
    assert_contains(out, "run: synapse-workers install")
    host.product("install", "--yes")
    assert_equal(psql(host, "select count(*) > 0 from pg_database where datname = 'synapse'"), ["t"], "the database")


def postgresql_down_before(host: Host) -> None:
    host.run("systemctl", "stop", "postgresql")
    try:
        before = Before(host)
        assert_contains(host.product(*COMMANDS[next_state(host)], expect=(65,)).err, "PostgreSQL", "systemctl start postgresql")
        assert_equal((host.read(deployment.SETTINGS), generation(host)), (before.settings, before.generation), "settings, generations")
    finally:
        postgresql_back(host)


def postgresql_back(host: Host) -> None:
    host.run("systemctl", "start", "postgresql")
    served_again(host)


def served_again(host: Host) -> None:
    """Each connection to PostgreSQL that Synapse has kept fails once, and is then replaced: requests fail until all have been."""
    def served() -> bool:
        try:
            talk(host)
        except CheckFailed:
            return False
        return host.product("verify", expect=None).code == 0
    wait_until("Synapse's connections to be new ones", lambda: served() and served() and served(), seconds=60)


def without_redis(host: Host) -> None:
    running = Paused(host, "start   synapse-main", *COMMANDS[next_state(host)])
    host.run("systemctl", "stop", "synapse-redis.service")
    _, out = running.go_on(0, 1, 75)
    if "changed" not in out:
        assert_contains(out, "the host is as it was before")
    host.product("install", "--yes")


def redis_down_before(host: Host) -> None:
    host.run("systemctl", "stop", "synapse-redis.service")
    assert_contains(host.product(*COMMANDS[next_state(host)]).out, "! start   synapse-redis.service")


def nginx_killed(host: Host) -> None:
    running = Paused(host, "stop    synapse-worker", *COMMANDS[next_state(host)])
    host.run("systemctl", "kill", "--signal=KILL", "synapse-nginx.service", expect=None)
    running.go_on(0)


def without_dbus(host: Host) -> None:
    running = Paused(host, "start   synapse-worker", *COMMANDS[next_state(host)])
    host.run("systemctl", "stop", "dbus.socket", "dbus.service")
    try:
        _, out = running.go_on(70)
    finally:
        host.run("systemctl", "start", "dbus.socket", "dbus.service")
    assert_contains(out, "error: ", "run: synapse-workers install")
    host.product("install", "--yes")


def masked(host: Host) -> None:
    settled(host, BASE)
    host.run("systemctl", "mask", PERSISTER)
    try:
        failed = host.product(*ADDITION, expect=(1, 65))
        assert_contains(failed.err, PERSISTER, "unmask")
    finally:
        host.run("systemctl", "unmask", PERSISTER)


def full_disk(host: Host) -> None:
    """A small file system takes the place of the directory of generations, and there is no room in it."""
    place = "/var/lib/synapse-workers"
    host.shell(f"cp -a {place} /root/saved && mount -t tmpfs -o size=64m,mode=0755 tmpfs {place} && cp -a /root/saved/. {place} "
               f"&& head -c 64m /dev/zero >{place}/full || true")
    try:
        before = Before(host)
        failed = host.product(*COMMANDS[next_state(host)], expect=(1,))
        assert_contains(failed.err, "No space left on device", "the host is as it was before")
        assert_equal(host.read(deployment.SETTINGS), before.settings, "settings")
    finally:
        host.shell(f"umount {place} && rm -r /root/saved")


def dated_in_the_future(host: Host) -> None:
    """As after a clock that was turned back."""
    host.shell('find "$1" -type f -exec touch --date=tomorrow {} +', "/etc/synapse-workers")
    before = host.invocations()
    assert_contains(host.product("install", "--yes").out, "0 changed")
    assert_equal(host.invocations(), before, "invocations")


def matrix(host: Host, check: Checks) -> None:
    for what, units in NEEDED.items():
        for moment in ("before", *STAGES, "after"):
            with check(f"{what} goes down {moment if moment in ('before', 'after') else f'before `{moment.strip()}`'}") as note:
                try:
                    note(outcome(*changed_without(host, units, moment)))
                finally:
                    host.run("systemctl", "start", *units)
                host.product("install", "--yes")
                served_again(host)
                settled(host)
                settled(host, BASE)


def changed_without(host: Host, units: tuple[str, ...], moment: str) -> tuple[int, str]:
    """Makes the change while these go down; exit code and text."""
    if moment in ("before", "after"):
        if moment == "after":
            host.product(*ADDITION)
        host.run("systemctl", "stop", *units)
        result = host.product(*(ADDITION if moment == "before" else ("install", "--yes")), expect=None)
        return result.code, result.out + result.err
    running = Paused(host, moment, *ADDITION)
    host.run("systemctl", "stop", *units)
    return running.go_on()


def outcome(code: int, text: str) -> str:
    """One of those that a fault may have."""
    ends = {
        "done": code == 0 and "changed (" in text,
        "as before": code in (1, 75) and "the host is as it was before" in text,
        "refused with the remedy": code == 65 and "help: " in text,
        "a message with the command to run": code == 70 and "run: synapse-workers install" in text,
    }
    for end, here in ends.items():
        if here:
            return end
    raise CheckFailed(f"exit code {code}\n{text}")


# Services that a change needs, by name.
NEEDED = {
    "PostgreSQL": ("postgresql",),
    "Redis": ("synapse-redis.service",),
    "nginx": ("synapse-nginx.service",),
    "D-Bus": ("dbus.socket", "dbus.service"),
}
FAULTS = {
    "two installs at once: the second one says so, the first is done": two_at_once,
    "PostgreSQL is down before: refused with the remedy, nothing changed": postgresql_down_before,
    "PostgreSQL goes down with everything stopped: the error names the command to run, and that helps": without_postgresql,
    "Redis is down before: it is started": redis_down_before,
    "Redis is stopped in the middle: done, or as before": without_redis,
    "nginx is killed while requests wait at its ports: done": nginx_killed,
    "D-Bus goes away in the middle: the error names the command to run, and that helps": without_dbus,
    "files have a time to come, as after a clock that was turned back: nothing happens": dated_in_the_future,
    "a unit that is masked: refused with the remedy": masked,
    "the disk is full: as before": full_disk,
}
