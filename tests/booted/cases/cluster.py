"""Workers on three hosts: install, changes and a trial under load, a host that is killed or left out, a network that is cut,
and removal."""

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from cases.full import complete, routes
from harness import cluster
from harness.checks import Checks
from harness.cluster import address
from harness.crowd import Crowd
from harness.deployment import SERVER, SETTINGS, SHARED_SECRET, URL, add_test_options, client, state, talk, worker
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.host import Host, execute, unit_of
from harness.trial import NOTE, over

APP2, APP3 = "app2", "app3"
BEGIN = f"""\
server_name: {SERVER}
address: {address(0)}
workers: [synchrotron, event_persister, client_reader]
hosts:
  # A comment of the administrator.
  {APP2}: {{address: {address(1)}, workers: [synchrotron, federation_sender, typing]}}
  {APP3}: {{address: {address(2)}, workers: [client_reader, pusher, receipts]}}
database: {{host: {address(0)}, password_file: {cluster.PASSWORD_FILE}}}
"""
SECRETS = "/etc/synapse-workers/secrets"
# Requests a second beside long polls.
RATE = 20
CUT, GONE = 30, 20
# Seconds until workers end that have lost the first host, with some in reserve.
LONELY = 120
# Starts a change on trial with a key that only an ssh agent has.
WITH_AGENT = """
mv /root/.ssh/id_ed25519 /root/.ssh/aside
eval "$(ssh-agent -s)" >/dev/null
ssh-add -q /root/.ssh/aside
code=0
synapse-workers scale app2/synchrotron=2 --try 30s --yes || code=$?
ssh-agent -k >/dev/null
mv /root/.ssh/aside /root/.ssh/id_ed25519
exit $code
"""
MAIN = "synapse-main.service"
# Prints those of the listeners that accept a connection.
CONNECT = """
import socket, sys
for listener in sys.argv[1:]:
    address, port = listener.rsplit(":", 1)
    try:
        socket.create_connection((address, int(port)), 1)
        print(listener)
    except OSError:
        pass
"""


@pytest.mark.slow
def test_cluster(host: Host, check: Checks) -> None:
    """One server on three hosts: installed, changed without a failed request, and removed from all of them."""
    with cluster.hosts(host, (APP2, APP3, "stranger")) as (app2, app3, stranger):
        cluster.keys(host, (app2, app3))
        cluster.database(host)
        add_test_options(host)
        host.write(SETTINGS, BEGIN)
        installed(host, check, app2, app3)
        separated(host, check, app2, app3, stranger)
        changed(host, check, app2, app3)
        disturbed(host, check, app2, app3)
        tried(host, check, app2, app3)
        left_out(host, check, app2, app3)
        removed(host, check, app2, app3)


def installed(host: Host, check: Checks, app2: Host, app3: Host) -> None:
    with check("a host that does not answer is refused, and nothing is changed"):
        app3.run("systemctl", "stop", "ssh.service", "ssh.socket", expect=None)
        refused = host.product("install", "--yes", expect=(65,))
        assert_contains(refused.err, "app3 does not answer", "help: ssh ")
        assert_equal([one.units("synapse-*") for one in (host, app2, app3)], [{}, {}, {}], "units")
        app3.run("systemctl", "start", "ssh.service")
    with check("install starts workers on three hosts", vital=True) as note:
        result = host.product("install", "--yes")
        note(f"{result.seconds:.1f} s")
        for one, names in ((app2, ("synchrotron", "federation_sender", "typing")), (app3, ("client_reader", "pusher", "receipts"))):
            name = one.name.rsplit("-", 1)[1]
            running = {unit for unit, found in one.units("synapse-worker@*.service").items() if found["ActiveState"] == "active"}
            assert_equal(running, {worker(f"{name}_{role}1") for role in names}, f"workers of {name}")
    with check("running it again changes nothing") as note:
        result = host.product("install", "--yes")
        assert_contains(result.out, "0 changed")
        note(f"{result.seconds:.2f} s")
    record = state(host, "record")
    with check("the scenario of two users succeeds", vital=True) as note:
        note(client(host, "scenario.py", URL, "--shared-secret-file", str(host.path(SHARED_SECRET)),
                    "--record", str(record)).out.splitlines()[-1])
    with check("each request was answered by a process that `routes` names, on its host") as note:
        note(answered_as_routed(host, (app2, app3), json.loads(record.read_text(encoding="utf-8"))))


def answered_as_routed(host: Host, others: Sequence[Host], record: dict[str, Any]) -> str:
    requests = record["requests"]
    marker, wanted = f"probe-{record['run']}-[0-9]+", {one["marker"] for one in requests}

    def processed() -> dict[str, set[str]] | None:
        found: dict[str, set[str]] = {}
        for one in (host, *others):
            for name, units in one.processed(marker).items():
                found.setdefault(name, set()).update(units)
        return complete(found, wanted)

    units = wait_until("every request in a journal", processed)
    wrong = [f"{one['method']} {one['path']}: {units[one['marker']]}, routes names {processes}"
             for one, processes in zip(requests, routes(host, requests), strict=True)
             if not units[one["marker"]] <= {unit_of(process) for process in processes}]
    if wrong:
        raise CheckFailed("\n".join(wrong))
    return f"{len(requests)} requests by {len(set().union(*units.values()))} processes"


def listening(host: Host, at: str) -> list[str]:
    """The listeners of a host at its address that are between the hosts, each as address and port."""
    lines = host.run("ss", "-Hltn", "sport >= :20000 and sport < :30000").out.splitlines()
    return sorted(one for one in (line.split()[3] for line in lines) if one.startswith(f"{at}:"))


def separated(host: Host, check: Checks, app2: Host, app3: Host, stranger: Host) -> None:
    with check("each host has only the secrets that its processes need"):
        names = set(app2.run("ls", SECRETS).out.split())
        assert_equal(names & {"registration_shared_secret", "redis.acl"}, set(), "secrets of the first host alone")
        assert names >= {"worker_replication_secret", "own_redis_password"}, names
        for name in ("worker_replication_secret", "own_redis_password"):
            assert_equal(app2.read(f"{SECRETS}/{name}"), host.read(f"{SECRETS}/{name}"), name)
    with check("the listeners between hosts answer the hosts, and no other host of their network") as note:
        listeners = [one for number, on in enumerate((host, app2, app3)) for one in listening(on, address(number))]
        assert_equal(sorted({one.split(":")[0] for one in listeners}), [address(number) for number in range(3)], "hosts with listeners")
        assert_contains("\n".join(listeners), f"{address(0)}:20008")
        for one, expected in ((host, listeners), (app2, listeners), (stranger, [])):
            assert_equal(one.run("python3", "-c", CONNECT, *listeners).out.split(), expected, f"listeners that answer {one.name}")
        note(f"{len(listeners)} listeners")
    with check("Redis answers nothing without its password"):
        question = f"import socket; s = socket.create_connection(('{address(0)}', 20008), 2); s.sendall(b'PING\\r\\n'); print(s.recv(99))"
        assert_contains(app2.run("python3", "-c", question).out, "NOAUTH")
    with check("another host refuses commands that belong to the first one"):
        assert_contains(app2.product("install", "--yes", expect=(65,)).err, "this host is app2", "on the first host")


CHANGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a worker is added on another host", ("scale", "app2/synchrotron=2")),
    ("a worker is removed from another host", ("scale", "app2/synchrotron=1")),
    ("a stream writer is added on another host", ("add", "app2/event_persister")),
    ("a stream writer moves to another host", ("move", "app2/event_persister", "app3")),
    ("a stream writer is removed from another host", ("remove", "app3/event_persister")),
    ("the removal is rolled back", ("rollback",)),
    ("the stream writer is removed again", ("rollback",)),
)


def changed(host: Host, check: Checks, app2: Host, app3: Host) -> None:
    with Crowd(host, RATE) as crowd:
        for text, command in CHANGES:
            crowd.ask(f"mark {text}")
            with check(f"{text}: no request fails") as note:
                result = host.product(*command, "--yes")
                assert_contains(result.out, " changed (")
                figures = crowd.ask(f"mark after {text}")
                note(f"{figures['sent']} requests, {result.seconds:.1f} s, {figures['silence']:.1f} s without an answer")
                assert_equal(figures["failed"], 0, f"failed requests of {figures}")
            if text.startswith("a stream writer is added"):
                order(host, check, (app2, app3))
        crowd.ask("end")
        whole = crowd.heard()
    with check("all messages arrived, and none twice"):
        assert_equal(whole["failed"], 0, "failed requests")
    with check("the settings file keeps its comment"):
        assert_contains(host.read(SETTINGS), "# A comment of the administrator.")


def order(host: Host, check: Checks, others: Sequence[Host]) -> None:
    with check("all workers had stopped on all hosts before main started, and started after it"):
        # All hosts have the monotonic clock of this machine.
        main = int(host.units(MAIN)[MAIN]["InactiveExitTimestampMonotonic"])
        ready = int(host.units(MAIN)[MAIN]["ActiveEnterTimestampMonotonic"])
        for one in (host, *others):
            for name, unit in one.units("synapse-worker@*.service").items():
                left, began = (int(unit[key]) for key in ("ActiveExitTimestampMonotonic", "InactiveExitTimestampMonotonic"))
                assert left <= main <= ready <= began, f"{name}: left {left}, main {main} to {ready}, began {began}"


def disturbed(host: Host, check: Checks, app2: Host, app3: Host) -> None:
    with check("while a host is gone, others take over the roles that they have too", vital=True) as note, Crowd(host, RATE) as crowd:
        crowd.ask("mark with all hosts")
        cut(host, app3)
        time.sleep(GONE)
        gone = crowd.ask("mark without app3")
        assert_contains(host.product("status", expect=(1,)).out, "app3: 3 of 3 processes do not answer",
                        "app3_receipts1, which writes receipts")
        note(f"{gone['failed']} of {gone['sent']} failed: {gone['errors']}, {gone['silence']:.1f} s without an answer")
        join(host, app3)
        wait_until("verify", lambda: host.product("verify", expect=None).code == 0, 120)
        crowd.ask("mark with all hosts again")
        time.sleep(10)
        again = crowd.ask("mark the end")
        crowd.ask("end")
        whole = crowd.heard()
        # Only app3 writes receipts. It has one of two client_readers: requests on their way to it fail, later ones do not.
        others = sum(count for kind, count in gone["errors"].items() if not kind.startswith("receipt"))
        assert others <= RATE // 4, gone["errors"]
        assert_equal(again["failed"], 0, "failed requests with all hosts again")
        assert_equal([whole[kind][what] for kind in ("sync", "messages") for what in ("lost", "duplicated")], [0] * 4, "messages")
    with check("a network that is cut for 30 s loses no event, and service resumes by itself", vital=True) as note:
        talk(host)
        cut(host, app2)
        time.sleep(CUT)
        join(host, app2)
        begun = time.monotonic()
        wait_until("verify", lambda: host.product("verify", expect=None).code == 0, 120)
        talk(host)
        note(f"verify succeeds {time.monotonic() - begun:.1f} s after")
        assert_contains(host.product("install", "--yes").out, "0 changed")
    with check("a connection that is lost while all workers stop: rolled back, except that the lost host waits for the next install",
               vital=True) as note:
        # No agent can be reached any more, so the one of app3 has to notice it.
        begin_change(host)
        cut(host, app3)
        wait_until("the end of the change", lambda: not is_active(host, "change.service"), 240)
        said = host.run("journalctl", "--quiet", "--output=cat", "--unit=change.service").out
        assert_contains(said, "app3", "The rollback is incomplete", "synapse-workers install")
        agent = ("pgrep", "-f", "synapse-workers agent")
        wait_until("the end of the agent on app3", lambda: app3.run(*agent, expect=(0, 1)).code == 1, 60)
        running = [name for name, unit in app3.units("synapse-worker@*").items() if unit["ActiveState"] == "active"]
        assert_equal(running, [], "workers on app3 that run without knowing the others")
        join(host, app3)
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        host.product("verify")
        talk(host)


def active(one: Host) -> set[str]:
    """The workers that run on a host."""
    return {unit for unit, found in one.units("synapse-worker@*.service").items() if found["ActiveState"] == "active"}


def tried(host: Host, check: Checks, app2: Host, app3: Host) -> None:
    settings, before = host.read(SETTINGS), [active(one) for one in (host, app2, app3)]
    with check("--try is refused if the timer could not log in on the other hosts, and nothing is changed"):
        refused = host.shell(WITH_AGENT, expect=(65,))
        assert_contains(refused.err, "--try: the timer that rolls back has no ssh agent", "app2 does not answer", "help: ")
        over(host)
        assert_equal((host.read(SETTINGS), active(app2)), (settings, before[1]), "settings and workers of app2")
    with check("a change on trial is rolled back on all hosts by the timer, and no request fails", vital=True) as note, \
            Crowd(host, RATE) as crowd:
        crowd.ask("mark the change on trial")
        assert_contains(host.product("add", "app3/event_persister", "--try", "30s", "--yes").out, "On trial")
        begun = time.monotonic()
        assert worker("app3_event_persister1") in active(app3), active(app3)
        assert_contains(host.product("scale", "app2/synchrotron=2", "--yes", expect=(65,)).err, "is on trial")
        wait_until("the end of the trial", lambda: not host.path(NOTE).exists(), 240)
        figures = crowd.ask("mark after the trial")
        crowd.ask("end")
        whole = crowd.heard()
        note(f"{figures['sent']} requests, {time.monotonic() - begun:.1f} s after a time of 30 s")
        assert_equal(figures["failed"], 0, f"failed requests of {figures}")
        assert_equal([whole[kind][what] for kind in ("sync", "messages") for what in ("lost", "duplicated")], [0] * 4, "messages")
        assert_equal(host.read(SETTINGS), settings, "settings")
        assert_equal([active(one) for one in (host, app2, app3)], before, "workers")
        over(host)
        host.product("verify")
        assert_contains(host.product("install", "--yes").out, "0 changed")
    with check("a trial on all hosts is confirmed, and another is rolled back by hand"):
        host.product("scale", "app2/synchrotron=2", "--try", "1h", "--yes")
        host.product("confirm")
        over(host)
        host.product("scale", "app2/synchrotron=1", "--try", "1h", "--yes")
        host.product("rollback", "--yes")
        over(host)
        assert worker("app2_synchrotron2") in active(app2), active(app2)
        host.product("scale", "app2/synchrotron=1", "--yes")


def left_out(host: Host, check: Checks, app2: Host, app3: Host) -> None:
    settings, before = host.read(SETTINGS), active(app3)
    with check("workers that have lost the first host end") as note:
        begun = time.monotonic()
        cut(host, app3)
        wait_until("the end of the workers of app3", lambda: not active(app3), LONELY)
        note(f"{time.monotonic() - begun:.1f} s after the loss")
    with check("install is refused without the host, and names the cure"):
        refused = host.product("install", "--yes", expect=(65,))
        assert_contains(refused.err, "app3 does not answer", "synapse-workers install --without app3")
        assert_contains(host.product("plan", "--without", "app4", expect=(64,)).err, "there is no host", "app2, app3")
    with check("a host that is left out has no part in the routes and duties of the server", vital=True) as note:
        result = host.product("install", "--without", "app3", "--yes")
        note(f"{result.seconds:.1f} s")
        assert_equal(host.read(SETTINGS), settings, "settings")
        host.product("verify")
        assert_contains(host.product("status").out, "app3 is left out")
        for one in (host, app2):
            for socket in (name for name in one.units("synapse-worker@*.socket")):
                shown = one.run("systemctl", "show", "--property=IPAddressAllow", "--value", socket).out
                assert address(2) not in shown, f"{socket}: {shown}"
        talk(host)
        assert_contains(host.product("install", "--without", "app3", "--yes").out, "0 changed")
    with check("back in the network, its workers do not start, and no listener of the other hosts answers it", vital=True):
        join(host, app3)
        login = ("ssh", "-o", "ConnectTimeout=2", f"root@{address(2)}", "true")
        wait_until("app3 in the network", lambda: host.run(*login, expect=None).code == 0, 30)
        listeners = [one for number, on in enumerate((host, app2)) for one in listening(on, address(number))]
        assert len(listeners) > 2, listeners
        assert_equal(app3.run("python3", "-c", CONNECT, *listeners).out, "", "listeners that answer app3")
        assert_equal(active(app3), set(), "workers of app3")
    with check("the next install brings the host back before it serves", vital=True) as note:
        result = host.product("install", "--yes")
        note(f"{result.seconds:.1f} s")
        assert_equal(active(app3), before, "workers of app3")
        assert "is left out" not in host.product("status").out
        host.product("verify")
        talk(host)
        assert_contains(host.product("install", "--yes").out, "0 changed")
    order(host, check, (app2, app3))


def begin_change(host: Host) -> None:
    """Starts a change that stops all workers, and returns when they have stopped."""
    host.run("systemd-run", "--quiet", "--unit=change", "synapse-workers", "add", "app3/to_device", "--yes")
    wait_until("the stop of main", lambda: not is_active(host, MAIN), 60)


def is_active(host: Host, unit: str) -> bool:
    return host.run("systemctl", "is-active", unit, expect=None).out.strip() in ("active", "activating")


def cut(host: Host, other: Host) -> None:
    """Takes the cable of a host out."""
    cable(host, other, "down")


def join(host: Host, other: Host) -> None:
    """Puts the cable back."""
    cable(host, other, "up")


def cable(host: Host, other: Host, state: str) -> None:
    number = 1 if other.name.endswith(APP2) else 2
    execute(["nsenter", "--target", host.leader(), "--net", "ip", "link", "set", f"to-{number}", state])


def removed(host: Host, check: Checks, app2: Host, app3: Host) -> None:
    with check("a host without its entry in `hosts` loses its workers, and the server goes on") as note:
        text = host.read(SETTINGS)
        host.write(SETTINGS, "".join(line for line in text.splitlines(keepends=True) if not line.startswith(f"  {APP3}:")))
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        assert_equal(app3.units("synapse-*"), {}, "units of app3")
        host.product("verify")
        talk(host)
    with check("uninstall --purge removes the server from all hosts"):
        host.product("uninstall", "--purge", "--confirm", SERVER, "--yes")
        for one in (host, app2, app3):
            assert_equal(one.units("synapse-*"), {}, f"units of {one.name}")
            assert_equal([path for path in (SECRETS, "/var/lib/synapse-workers", "/var/lib/synapse/signing.key")
                          if one.run("test", "-e", path, expect=None).code == 0 and one is host], [], "files")
