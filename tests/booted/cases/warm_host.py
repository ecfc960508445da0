"""What systemd, the administrator and a full host do to forked processes has the effect that it has on others."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cases.lossless import TARGET, idle, release, services
from cases.warm import active, facts, restart
from harness.checks import Checks
from harness.deployment import NEW_RELEASE, SERVER, SETTINGS, URL, add_test_options, purge, remember_distribution_services, talk, worker
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.host import Host
from harness.limits import limited
from harness.warm import plainly

MAIN, ONE = "synapse-main.service", worker("clients1")
SERVERS = "synapse-warm@*.service"
LIBRARIES = "/opt/venvs/matrix-synapse/lib/python3.*/site-packages"
OPTIONS = "/etc/synapse-workers/homeserver.d/case.yaml"
# A module of the administrator that draws random values and starts a thread while it is imported.
MODULE = """\
import os, random, secrets, threading, uuid

def report():
    drawn = [random.random(), secrets.token_hex(), str(uuid.uuid4()), str(uuid.uuid1()), os.urandom(8).hex()]
    try:
        with open(f"/var/lib/synapse/case-{os.getpid()}", "w") as opened:
            print(*drawn, file=opened)
    except OSError:
        pass  # Synapse's parser, which may not write there

threading.Thread(target=report).start()

class Module:
    def __init__(self, config, api):
        pass
"""
# Less than a process has: the kernel kills one that asks for more. Seconds within which a unit starts nevertheless.
NO_MEMORY, PATIENCE = ("MemoryMax", 1 << 14), 60
# What a process may have besides what its unit promises: lines of /proc/PID/status, and other files there.
LINES = ("SigBlk", "SigIgn", "SigCgt", "NoNewPrivs", "Seccomp", "CoreDumping", "THP_enabled")
FILES = ("comm", "coredump_filter", "loginuid", "timerslack_ns", "personality")


@pytest.mark.slow
def test_warm_host(host: Host, check: Checks) -> None:
    """Forked processes restart, reload, log and fail as others do."""
    warm_host(host, check, thorough=False)


@pytest.mark.slow
def test_warm_host_all(host: Host, check: Checks) -> None:
    """Forked processes do so without memory, with modules, after an upgrade and after a reboot as well."""
    warm_host(host, check, thorough=True)


def warm_host(host: Host, check: Checks, thorough: bool) -> None:
    add_test_options(host)
    with check("a server with four processes, three of them forked", vital=True) as note:
        configure(host)
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        forked_all(host, 0)
        talk(host)
    own(host, check)
    managed(host, check)
    processes_run_out(host, check)
    if thorough:
        singly(host, check)
        memory_runs_out(host, check)
        modules(host, check)
        replaced(host, check)
        rebooted(host, check)
    with check("--purge"):
        purge(host)


def own(host: Host, check: Checks) -> None:
    """What a process has beyond its sandbox, which the case `warm` compares."""
    plain = {}
    with check("files, streams and signals of a process are those of its plain start", vital=True), without_servers(host):
        restart(host, ONE)
        plain = facts(host, ONE) | process(host)
    with check("  and the forked process has no others"):
        restart(host, ONE)
        found = facts(host, ONE) | process(host)
        assert_equal({name: (plain[name], found[name]) for name in plain if plain[name] != found[name]}, {}, "plain and forked")
    with check("each process writes its own log file, and opens it again at a reload and at SIGHUP"):
        for reload in (("reload", MAIN, ONE), ("kill", "--signal=HUP", "--kill-whom=main", MAIN, ONE)):
            before = host.invocations(MAIN, ONE)
            host.shell("cd /var/log/synapse && rm -f *.old && mv main.log main.log.old && mv clients1.log clients1.log.old")
            host.run("systemctl", *reload)
            for unit, file in ((MAIN, "main"), (ONE, "clients1")):
                wait_until(f"{unit} has its log file", lambda unit=unit, file=file: logs(host, unit) == [f"/var/log/synapse/{file}.log"])
            assert_equal(host.invocations(MAIN, ONE), before, "processes")


def singly(host: Host, check: Checks) -> None:
    with check("a restart of each unit, one after the other, forks its process"):
        since = time.time()
        for unit in sorted(services(host)):
            restart(host, unit)
        forked_all(host, since)
        talk(host)


def managed(host: Host, check: Checks) -> None:
    with check("a restart of the target starts the fork servers first, and all processes are forked"):
        since, before = time.time(), host.invocations(*services(host))
        host.run("systemctl", "restart", TARGET)
        wait_until("all services active", lambda: not idle(host))
        assert_equal(before.items() & host.invocations(*before).items(), set(), "units that did not restart")
        in_order(host, MAIN, ONE)
        forked_all(host, since)
    for command in ("daemon-reload", "daemon-reexec"):
        with check(f"after {command} systemd still knows each process, and replaces one that is killed"):
            before = mains(host)
            host.run("systemctl", command)
            wait_until("systemd answers", lambda: host.run("systemctl", "is-system-running", expect=None).out.strip() == "running")
            assert_equal(mains(host), before, "main processes")
            host.run("systemctl", "kill", "--signal=KILL", ONE)
            wait_until("restarted", lambda killed=before[ONE]: active(host, ONE) and mains(host)[ONE] != killed)
            since = time.time()
            restart(host, ONE)
            forked_all(host, since)


def processes_run_out(host: Host, check: Checks) -> None:
    server = server_of(host, ONE)
    for count, place in ((1, "the first"), (2, "the second")):
        with check(f"no process is left for {place} fork: a plain start with its reason") as note, limited(host, server, "TasksMax", count):
            since = time.time()
            note(f"{restart(host, ONE):.1f} s")
            assert_contains("\n".join(plainly(host, since)), "the fork server failed")
            talk(host)
    with check("  and later it forks again"):
        since = time.time()
        restart(host, ONE)
        forked_all(host, since)


def memory_runs_out(host: Host, check: Checks) -> None:
    server = server_of(host, ONE)
    with check("no memory is left for the fork server: the process runs all the same, soon") as note, limited(host, server, *NO_MEMORY):
        seconds = restart(host, ONE)
        note(f"{seconds:.1f} s")
        if seconds > PATIENCE:
            raise CheckFailed("later than that")
        talk(host)
    with check("no memory is left for a process: the kernel kills it"), limited(host, ONE, *NO_MEMORY):
        before = mains(host)[ONE]
        wait_until("killed", lambda: asked(host) and mains(host)[ONE] != before)
    with check("  and later both are as before, and it forks again"):
        wait_until("active", lambda: active(host, server) and active(host, ONE), 60)
        since = time.time()
        restart(host, ONE)
        forked_all(host, since)
        talk(host)


def asked(host: Host) -> bool:
    """Makes a request to a worker, whatever comes of it."""
    host.net("curl", "--silent", "--max-time", "5", f"{URL}/_matrix/client/v3/joined_rooms", expect=None)
    return True


def modules(host: Host, check: Checks) -> None:
    with check("a module that starts a thread and draws random values at its import does so in each process by itself"):
        since = time.time()
        host.shell(f"cat >$(echo {LIBRARIES})/case_module.py", stdin=MODULE)
        host.write(OPTIONS, "modules:\n  - module: case_module.Module\n    config: {}\n")
        host.product("install", "--yes")
        forked_all(host, since)
        drawn = [value for pid in mains(host).values() for value in host.read(f"/var/lib/synapse/case-{pid}").split()]
        assert_equal((len(drawn), len(set(drawn))), (5 * len(mains(host)),) * 2, "values, different ones")
        talk(host)
    host.run("rm", OPTIONS)
    host.product("install", "--yes")
    host.shell(f"rm $(echo {LIBRARIES})/case_module.py")


def replaced(host: Host, check: Checks) -> None:
    """A package upgrade replaces files of the venv in use."""
    version = f"{NEW_RELEASE}+case"
    with check("files of Synapse are replaced: a process that restarts has the new ones"):
        host.shell(f"""cd $(echo {LIBRARIES})
            cp -a synapse synapse.new; mv synapse synapse.old; mv synapse.new synapse; rm -r synapse.old
            sed -i 's/^Version: .*/Version: {version}/' matrix_synapse-*.dist-info/METADATA""")
        since = time.time()
        restart(host, MAIN)
        assert_contains("\n".join(plainly(host, since)), "has changed since the fork server started")
        host.run("journalctl", "--quiet", f"--since=@{since:.3f}", f"--unit={MAIN}", f"--grep=Server .* version {re.escape(version)}")
    with check("  and install restarts the fork servers before the processes of before, which are forked again"):
        since, before, fresh = time.time(), mains(host, SERVERS), mains(host)[MAIN]
        host.product("install", "--yes")
        assert_equal(before.items() & mains(host, SERVERS).items(), set(), "fork servers of before")
        assert_equal(mains(host)[MAIN], fresh, "the process that has the new files already")
        in_order(host, ONE)
        forked_all(host, since)
        alone(host)
        assert_equal(release(host), version, "the release that answers")
        talk(host)
    host.shell(f"cd $(echo {LIBRARIES}) && sed -i 's/^Version: .*/Version: {NEW_RELEASE}/' matrix_synapse-*.dist-info/METADATA")


def rebooted(host: Host, check: Checks) -> None:
    with check("after a reboot the fork servers are ready before the first process, and all are forked") as note:
        since = time.time()
        note(host.reboot().err.strip())
        remember_distribution_services(host)
        wait_until("all services active", lambda: not idle(host), 120)
        in_order(host, MAIN, ONE)
        forked_all(host, since)
        host.product("verify")
        talk(host)


def configure(host: Host) -> None:
    settings = {"server_name": SERVER, "workers": ["small"], "warm": {"mode": "fork"}, "log_to_disk": True}
    host.write(SETTINGS, json.dumps(settings, indent=1))


def forked_all(host: Host, since: float) -> None:
    """No process has started plainly since then, but the one that decodes media, which always does."""
    assert_equal(plainly(host, since), [], "plain starts")


def mains(host: Host, pattern: str = "") -> dict[str, str]:
    """The main processes of the units that match, or of all processes of Synapse, by unit."""
    patterns = [pattern] if pattern else ["synapse-main.service", "synapse-worker@*.service"]
    return {name: unit["MainPID"] for name, unit in host.units(*patterns).items()}


def server_of(host: Host, unit: str) -> str:
    """The fork server of a unit."""
    wants = host.run("systemctl", "show", "--value", "--property=Wants", unit).out.split()
    return next(name for name in wants if name.startswith("synapse-warm@"))


def in_order(host: Host, *units: str) -> None:
    """Fork servers were ready before the processes of these units started."""
    for unit in units:
        server = server_of(host, unit)
        found = host.units(unit, server)
        ready, begun = (int(found[name][f"{end}TimestampMonotonic"]) for name, end in ((server, "ActiveEnter"), (unit, "InactiveExit")))
        if not 0 < ready <= begun:
            raise CheckFailed(f"{server} was ready at {ready}, {unit} began at {begun}")


def alone(host: Host) -> None:
    """No fork server has a process in its control group besides itself and the one without network access."""
    for server, pid in mains(host, SERVERS).items():
        group = host.run("systemctl", "show", "--value", "--property=ControlGroup", server).out.strip()
        isolated = host.run("pgrep", "--parent", pid).out.split()
        assert_equal(len(isolated), 1, "children of the fork server")
        assert_equal({*host.run("cat", f"/sys/fs/cgroup{group}/cgroup.procs").out.split()}, {pid, *isolated}, server)


@contextmanager
def without_servers(host: Host) -> Iterator[None]:
    servers = mains(host, SERVERS)
    host.run("systemctl", "mask", "--runtime", "--now", *servers)
    try:
        yield
    finally:
        host.run("systemctl", "unmask", "--runtime", *servers)
        host.run("systemctl", "daemon-reload")
        host.run("systemctl", "start", *servers)


def process(host: Host) -> dict[str, Any]:
    """Properties of the process of a worker, without numbers that differ with each start. Requests add threads and sockets."""
    pid = mains(host)[ONE]
    lines = host.run("cat", f"/proc/{pid}/status").out.splitlines()
    files = host.shell('cd "/proc/$1/fd"; for one in *; do readlink "$one"; done; true', pid).out
    texts = {name: host.run("cat", f"/proc/{pid}/{name}", expect=None).out for name in FILES}
    return {**dict(line.split(":", 1) for line in lines if line.startswith(LINES)), **texts,
            "files": sorted(file for file in re.sub(r"\[[0-9]+\]", "", files).splitlines() if file != "socket:")}


def logs(host: Host, unit: str) -> list[str]:
    """The log files that a process has open."""
    files = host.shell('readlink "/proc/$1/fd/"*; true', mains(host)[unit]).out.split("\n")
    return sorted({str(Path(file)) for file in files if file.startswith("/var/log/synapse/")})
