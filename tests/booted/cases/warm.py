"""Warm start: processes that are forked from one which has imported Synapse are what plain starts are, and use less memory."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cases.lossless import Form, assert_undisturbed, counted, summary
from harness.checks import Checks
from harness.crowd import Crowd
from harness.deployment import (
    CLIENTS,
    FULL,
    FULL_UNITS,
    SERVER,
    SETTINGS,
    add_test_options,
    all_active,
    client,
    prepared_load,
    purge,
    talk,
    worker,
)
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.host import Host
from harness.warm import memory, plainly

MAIN, PLAIN = "synapse-main.service", worker("media_repository1")
# Synapse is that of the host.
FORK_SERVER = "synapse-warm@host.service"
FORKED = tuple(unit for unit in (MAIN, *(worker(f"{role}1") for role in FULL)) if unit != PLAIN)
# The sockets for processes with network access, and for those without.
OPEN_SOCKET, ISOLATED_SOCKET = (f"/run/synapse-workers/warm-{kind}/host/socket" for kind in ("open", "isolated"))
# Tries to connect to each socket, and prints the numbers of those that it reaches.
CONNECT = """
import socket, sys
for number, path in enumerate(sys.argv[1:]):
    try:
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(path)
        print(number)
    except OSError:
        pass
"""
# Has systemd move this process into each unit, and prints whether it did so and whether nginx can be reached then.
MOVE = """
import os, socket, subprocess, sys
manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
for unit in sys.argv[1:]:
    question = ["busctl", "call", *manager, "AttachProcessesToUnit", "ssau", unit, "", "1", str(os.getpid())]
    moved = subprocess.run(question, capture_output=True).returncode == 0
    try:
        socket.create_connection(("127.0.0.1", 8008), 2)
        print(unit, moved, True)
    except OSError:
        print(unit, moved, False)
"""
PYTHON = "/opt/venvs/matrix-synapse/bin/python"
ONE, OTHER = worker("synchrotron1"), worker("pusher1")
DROP_IN = f"/etc/systemd/system/{ONE}.d/case.conf"
LOAD = Form("full", spare="synchrotron", persister="event_persister2", rate=20)
REQUESTS = 3000
# The share of the memory of plain starts that the processes may have, with their fork servers.
GOAL, IMMORTAL_GOAL = 0.47, 0.30
# What a process inherits: /proc/PID/status, and namespaces, of which those of the host count as its own.
INHERITED = ("Uid", "Gid", "Groups", "Umask", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
             "Cpus_allowed", "SigIgn", "SigCgt")
NAMESPACES = ("mnt", "user", "ipc", "uts", "net", "pid", "cgroup")


@pytest.mark.slow
def test_warm(host: Host, check: Checks) -> None:
    """Processes are forked from one that has imported Synapse."""
    add_test_options(host)
    with check("a server of `full` with plain starts", vital=True) as note:
        configure(host, "off")
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        talk(host)
    expected = {unit: facts(host, unit) for unit in FORKED}
    plain = memory(host)
    with check("warm.mode: fork restarts all but the process that decodes media", vital=True) as note:
        since, before = time.time(), host.invocations(PLAIN)
        configure(host, "fork")
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        all_active(host, {*FULL_UNITS, FORK_SERVER})
        assert_equal(host.invocations(PLAIN), before, PLAIN)
        assert_equal(plainly(host, since), [], "plain starts")
        talk(host)
    with check("each process has the parent, control group, sandbox and limits of a plain start"):
        for unit in FORKED:
            # The fork server has forbidden itself, and them, what it needed for their namespaces.
            expected[unit]["Seccomp_filters"] = [str(int(number) + 1) for number in expected[unit]["Seccomp_filters"]]
            assert_equal(facts(host, unit), expected[unit], unit)
    with check("status names the mode, and counts the processes that are forked"):
        warm_start = host.json("status")["warm"]
        assert_equal(warm_start, {"mode": "fork", "reason": "warm.mode is fork", "forked": len(FORKED), "plain": []}, "warm")
        assert_contains(host.product("doctor").out, "warm start: fork (warm.mode is fork)")
    with check("a process without network access reaches its own fork server, and not the one with network access"):
        assert_equal(reached(host, MAIN), [True, False, True], "of main")
        assert_equal(reached(host, ONE), [False, False, True], f"of {ONE}")
        assert_equal(reached_by(host, isolated_server(host)), [False, False, True], "of the isolated fork server")
    with check("neither of two processes with different network access could read the memory of the other"):
        users = [host.run("readlink", f"/proc/{main_process(host, unit)}/ns/user").out for unit in (MAIN, OTHER, ONE, PLAIN)]
        assert users[0] == users[1] and len({*users}) == 3, f"user namespaces of {MAIN}, {OTHER}, {ONE}, {PLAIN}: {users}"
        for pid in (main_process(host), isolated_server(host)):
            assert_equal({*host.run("grep", "-h", "^Cap", f"/proc/{pid}/status").out.split()[1::2]}, {16 * "0"}, f"capabilities of {pid}")
    with check("a process without network access that has systemd move it into other units gains no network access"):
        units = (MAIN, FORK_SERVER, PLAIN, "synapse-nginx.service")
        # Only units of its own account with `Delegate=yes` take it.
        expected_answers = dict(zip(units, ((True, False), (False, False), (False, False), (False, False)), strict=True))
        assert_equal(attempt_moves(host, ONE, *units), expected_answers, "moved, and reached nginx")
    with check("forked processes draw different identifiers in the Rust part of Synapse, and different access tokens"):
        host.push(CLIENTS / "forked_ids.py", "/root/forked_ids.py")
        options = host.run("systemctl", "show", "--property=ExecStart", MAIN).out.partition("synapse.app.homeserver ")[2].partition(" ;")[0]
        drawn = host.run(PYTHON, "/root/forked_ids.py", *options.split()).out.split()
        assert_equal((len(drawn), len(set(drawn))), (8, 8), "identifiers and tokens, different ones")
    with check(f"all processes and their fork servers take at most {GOAL} of the memory") as note:
        restart(host, *FORKED)
        warm = memory(host)
        note(f"PSS {warm:.0f} MiB of {plain:.0f}: {warm / plain:.2f}; fork server {memory(host, FORK_SERVER):.0f}, "
             f"main {memory(host, MAIN):.0f}, a worker {memory(host, ONE):.0f}, {OTHER} {memory(host, OTHER):.0f}")
        note(f"CPU to start: main {host.cpu_seconds(MAIN):.2f} s, a worker {host.cpu_seconds(ONE):.2f} s")
        if warm > GOAL * plain:
            raise CheckFailed("more than the goal")
    with check("a mixed load succeeds") as note:
        client(host, "load.py", "http://127.0.0.1:8008", "--state", prepared_load(host), "--count", str(REQUESTS))
        note(f"PSS after {REQUESTS} requests {memory(host):.0f} MiB")
    host.product("verify")
    with check(f"warm.mode: immortal takes at most {IMMORTAL_GOAL} of the memory, and the load succeeds") as note:
        configure(host, "immortal")
        host.product("install", "--yes")
        restart(host, *FORKED)
        for text in ("code objects moved", "objects are immortal"):
            assert_contains(host.run("systemctl", "show", "--property=StatusText", FORK_SERVER).out, text)
        warm = memory(host)
        note(f"PSS {warm:.0f} MiB of {plain:.0f}: {warm / plain:.2f}")
        client(host, "load.py", "http://127.0.0.1:8008", "--state", prepared_load(host), "--count", str(REQUESTS))
        note(f"PSS after {REQUESTS} requests {memory(host):.0f} MiB")
        if warm > IMMORTAL_GOAL * plain:
            raise CheckFailed("more than the goal")
    crashes(host, check)
    plain_starts(host, check)
    under_load(host, check)
    with check("warm.mode: off restarts the forked processes, and removes the fork servers"):
        configure(host, "off")
        host.product("install", "--yes")
        all_active(host)
        talk(host)
        assert_equal(host.json("plan")["steps"], [], "plan")
    with check("--purge"):
        purge(host)


def crashes(host: Host, check: Checks) -> None:
    with check("a killed process is replaced"):
        before = host.invocations(ONE)
        host.run("systemctl", "kill", "--signal=KILL", ONE)
        wait_until("restarted", lambda: active(host, ONE) and host.invocations(ONE) != before)
        assert_contains(host.run("journalctl", "--quiet", f"--unit={ONE}", "--grep=Main process exited").out, "code=killed, status=9/KILL")
    for text, process in (("fork server", main_process), ("fork server without network access", isolated_server)):
        with check(f"the processes outlive a killed {text}, which returns and forks again"):
            before = host.invocations(*FORKED)
            server_is_replaced(host, process(host))
            assert_equal(host.invocations(*FORKED), before, "processes")
            since = time.time()
            restart(host, MAIN, ONE)
            assert_equal(plainly(host, since), [], "plain starts")
    with check("the exit status of a process arrives"):
        with options(host, "no_such_key: [\n"):
            since = time.time()
            host.run("systemctl", "restart", ONE, expect=(1,))
            wait_until("the status", lambda: "status=1/FAILURE" in host.run(
                "journalctl", "--quiet", f"--since=@{int(since)}", f"--unit={ONE}").out)
        wait_until("active", lambda: active(host, ONE), 60)


def server_is_replaced(host: Host, killed: int) -> None:
    before = host.invocations(FORK_SERVER)
    host.run("kill", "-KILL", str(killed))
    wait_until("restarted", lambda: active(host, FORK_SERVER) and host.invocations(FORK_SERVER) != before, 120)


def plain_starts(host: Host, check: Checks) -> None:
    """Each reason for a plain start, with the text in the journal."""
    def start(reason: str) -> str:
        since = time.time()
        seconds = restart(host, ONE)
        assert_contains("\n".join(plainly(host, since)), reason)
        talk(host)
        return f"{seconds:.1f} s"

    with check("without its fork server a process starts plainly") as note:
        host.run("systemctl", "mask", "--runtime", "--now", FORK_SERVER)
        try:
            note(start(f"{FORK_SERVER} is inactive"))
            # It exits with 1, because the fork server should run.
            (plain,) = host.json("status", expect=(1,))["warm"]["plain"]
            assert_equal(plain["unit"], ONE, "a process that started plainly")
            assert_contains(plain["reason"], "is inactive")
            assert_equal(reached(host, ONE)[:2], [False, False], f"of {ONE}, which started plainly")
        finally:
            host.run("systemctl", "unmask", "--runtime", FORK_SERVER)
            host.run("systemctl", "daemon-reload")
            host.run("systemctl", "start", FORK_SERVER)
    with check("with a frozen fork server a process starts plainly, within seconds") as note:
        host.run("systemctl", "kill", "--signal=STOP", FORK_SERVER)
        try:
            note(start("the fork server does not answer"))
        finally:
            host.run("systemctl", "kill", "--signal=CONT", FORK_SERVER)
    for content, reason in (("Nice=5", "Nice="), ("InaccessiblePaths=/srv", "InaccessiblePaths="), ("Environment=A=b", "the variable A"),
                            ("SystemCallFilter=~@keyring", "SystemCallFilter="), ("LimitNOFILE=600", "Max open files")):
        with check(f"with {content} in a drop-in of the administrator it starts plainly"), drop_in(host, content):
            start(reason)
    with check("with limits of the control group it is forked"), drop_in(host, "MemoryHigh=4G\nCPUWeight=50"):
        since = time.time()
        restart(host, ONE)
        assert_equal(plainly(host, since), [], "plain starts")
    with check("after a change of Synapse's files it starts plainly, and is forked after the fork server's restart"):
        host.run("touch", host.shell("echo /opt/venvs/matrix-synapse/lib/python3.*/site-packages/synapse/__init__.py").out.strip())
        start("has changed since the fork server started")
        host.run("systemctl", "restart", FORK_SERVER)
        since = time.time()
        restart(host, *FORKED)
        assert_equal(plainly(host, since), [], "plain starts")


def under_load(host: Host, check: Checks) -> None:
    with Crowd(host, LOAD.rate) as crowd:
        for unit in (ONE, worker("event_creator1"), worker("event_persister1"), MAIN, ONE, OTHER):
            with check(f"{unit} is restarted under load, and no request fails") as note:
                begun = crowd.ask(f"mark {unit}")
                restart(host, unit)
                figures = crowd.ask(f"mark after {unit}")
                note(summary(figures))
                assert_undisturbed(LOAD, begun)
                assert_undisturbed(LOAD, figures)
        with check("each message arrived, exactly once") as note:
            assert_undisturbed(LOAD, crowd.ask("end"))
            counted(note, crowd.heard())


def configure(host: Host, mode: str) -> None:
    host.write(SETTINGS, json.dumps({"server_name": SERVER, "workers": ["full"], "warm": {"mode": mode}}, indent=1))


def main_process(host: Host, unit: str = FORK_SERVER) -> int:
    return int(host.units(unit)[unit]["MainPID"])


def isolated_server(host: Host) -> int:
    """The process of the fork server that forks processes without network access."""
    return int(host.run("pgrep", "--parent", str(main_process(host))).out)


def inside(host: Host, pid: int, *arguments: str) -> str:
    """The output of a Python script in the namespaces of a process, as its user."""
    user, group = host.run("id", "-u", "synapse").out.strip(), host.run("id", "-g", "synapse").out.strip()
    return host.run("nsenter", f"--target={pid}", "--user", "--mount", "--net", f"--setuid={user}", f"--setgid={group}",
                    PYTHON, "-c", *arguments).out


def reached(host: Host, unit: str) -> list[bool]:
    return reached_by(host, main_process(host, unit))


def reached_by(host: Host, pid: int) -> list[bool]:
    """Whether a process can connect to the fork server with network access, to the same one by way of the file system of
    main, which has the same user, and to the isolated one."""
    through_main = f"/proc/{main_process(host, MAIN)}/root{OPEN_SOCKET}"
    found = inside(host, pid, CONNECT, OPEN_SOCKET, through_main, ISOLATED_SOCKET).split()
    return [str(number) in found for number in range(3)]


def attempt_moves(host: Host, unit: str, *others: str) -> dict[str, tuple[bool, bool]]:
    """Whether systemd moves the process of a unit into each of the others, and whether it reaches nginx from there."""
    answers = (line.split() for line in inside(host, main_process(host, unit), MOVE, *others).splitlines())
    return {other: (moved == "True", connected == "True") for other, moved, connected in answers}


def active(host: Host, unit: str) -> bool:
    return host.units(unit)[unit]["ActiveState"] == "active"


def restart(host: Host, *units: str) -> float:
    return host.run("systemctl", "restart", *units).seconds


@contextmanager
def options(host: Host, text: str) -> Iterator[None]:
    """Adds text to the options of one worker in the generation in use."""
    path = f"/var/lib/synapse-workers/current/synapse/workers/{ONE.partition('@')[2].removesuffix('.service')}.yaml"
    before = host.run("cat", path).out
    host.shell('cat >>"$1"', path, stdin=text)
    try:
        yield
    finally:
        host.shell('cat >"$1"', path, stdin=before)


@contextmanager
def drop_in(host: Host, lines: str) -> Iterator[None]:
    """A drop-in of the administrator for one worker."""
    host.write(DROP_IN, f"[Service]\n{lines}\n")
    host.run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        host.path(DROP_IN).unlink()
        host.run("systemctl", "daemon-reload")


def facts(host: Host, unit: str) -> dict[str, Any]:
    """What the process of a unit has inherited, from /proc."""
    pid = host.units(unit)[unit]["MainPID"]
    script = ('cd "/proc/$1"; cat status; echo "== limits"; cat limits; echo "== oom"; cat oom_score_adj; echo "== cgroup"; cat cgroup; '
              'echo "== interfaces"; tail -n +3 net/dev | cut -d: -f1 | sort; echo "== namespaces"; '
              f'for one in {" ".join(NAMESPACES)}; do [ "$(readlink "ns/$one")" = "$(readlink "/proc/1/ns/$one")" ] && echo "$one"; done; '
              'echo "== directory"; readlink cwd; echo "== streams"; readlink fd/0; echo "== line"; tr "\\0" " " <cmdline | cut -c -200')
    status, *rest = host.shell(script, pid).out.split("\n== ")
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    sections = {name: text.strip() for name, _, text in (part.partition("\n") for part in rest)}
    return {**{name: fields.get(name, "").split() for name in INHERITED}, "parent": fields["PPid"].strip(), **sections}
