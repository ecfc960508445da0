"""`verify` names each thing that is missing or does not answer; `status` reports drift."""

import hashlib
import json

import pytest

from harness.checks import Checks
from harness.deployment import CURRENT, SETTINGS, all_active, generation, talk, worker
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Host

NGINX, TYPING, DEAF = "synapse-nginx.service", worker("typing1"), worker("receipts1")
CONF = f"{CURRENT}/nginx/nginx.conf"
UNIT_FILE = f"/etc/systemd/system/{NGINX}"
DROP_IN = f"/etc/systemd/system/{DEAF}.d/case.conf"
# Another Redis, and options that lead a process to it.
OTHER = "/run/synapse-workers/redis/case.sock"
OTHER_OPTIONS = "/etc/synapse-workers/case.yaml"
SOCKET = "/run/synapse-workers/public/nobody1.sock"
LINK = f"/etc/systemd/system/synapse-workers.target.wants/{worker('nobody1')}"
OLD = "/etc/systemd/system/synapse-old.service"


@pytest.mark.installed
def test_probes(host: Host, check: Checks) -> None:
    """`verify` names each thing that is missing, and `status` reports drift."""
    with check("verify succeeds", vital=True) as note:
        result = host.product("verify")
        note(f"{result.seconds:.2f} s with the way into the host")
    for case in (stopped, unanswered, left_over, deaf, unkept, crowded, behind, drifted):
        case(host, check)
    with check("the host is as before"):
        host.product("verify")
        all_active(host)
        assert_equal(host.json("status")["changes"], 0, "changes")
        talk(host)


def missed(host: Host, codes: tuple[int, ...] = (1,)) -> dict[str, str]:
    """The probes that fail, with the words of verify."""
    found = host.json("verify", expect=codes)
    return {probe["probe"]: probe["seen"] for probe in found["probes"] if not probe["ok"]}


def only(host: Host, probe: str, *words: str) -> None:
    found = missed(host)
    assert_equal(set(found), {probe}, f"probes that fail ({found})")
    assert_contains(found[probe], *words)


def stopped(host: Host, check: Checks) -> None:
    with check("verify and status report a unit that is stopped, masked or disabled"):
        units = [TYPING, TYPING.replace(".service", ".socket")]
        host.run("systemctl", "stop", TYPING)
        host.run("systemctl", "mask", "--runtime", TYPING)
        try:
            found = missed(host)
            assert_contains(found["units"], *units)
            assert_contains(found["replication"], "typing1 (caches)", "typing1 (typing)")
            assert_equal(states(host, 1), dict(zip(units, ("masked", "stopped"), strict=True)), "units in status")
            assert_contains(host.product("status", expect=(1,)).out, f"masked: {TYPING} (run `systemctl unmask")
        finally:
            host.run("systemctl", "unmask", "--runtime", TYPING)
        assert_equal(states(host, 1), dict(zip(units, ("stopped", "stopped"), strict=True)), "units in status")
        host.run("systemctl", "disable", TYPING)
        host.run("systemctl", "start", TYPING)
        assert_equal(states(host, 0), {TYPING: "disabled"}, "units in status")
        assert_contains(host.product("install", "--yes").out, f"enable  {TYPING}")


def states(host: Host, code: int) -> dict[str, str]:
    return {unit["unit"]: unit["state"] for unit in host.json("status", expect=(code,))["units"]}


def unanswered(host: Host, check: Checks) -> None:
    server = f"postgresql@{host.postgresql}-main.service"
    with check("status names a PostgreSQL that does not answer, without drift, and plan refuses"):
        host.run("systemctl", "stop", server)
        try:
            found = host.json("status", expect=(1,))
            assert_equal([one["name"] for one in found["servers"] if one["health"] != "ok"], ["PostgreSQL"], "silent servers")
            assert_equal(found["changes"], None, "changes")
            assert_contains(host.product("status", expect=(1,)).out, "PostgreSQL does not answer: ")
            host.product("plan", expect=(65,))
        finally:
            host.run("systemctl", "start", server)
    with check("verify succeeds right after a restart of PostgreSQL, with stale connections in the pools"):
        # The first one replaces the connections that the stop before has ended, and fills the pools.
        host.product("verify")
        host.run("systemctl", "restart", server)
        host.product("verify")
    with check("status names an nginx that does not answer"):
        host.run("systemctl", "kill", "--signal=STOP", "--kill-whom=all", NGINX)
        try:
            found = host.json("status", expect=(1,))
        finally:
            host.run("systemctl", "kill", "--signal=CONT", "--kill-whom=all", NGINX)
        assert_equal({one["unit"] for one in found["processes"] if one["health"] == "no answer"}, {NGINX}, "silent processes")
    # The other checks find pools as after an install.
    host.run("systemctl", "restart", "synapse-workers.target")
    wait_until("every process answers", lambda: host.product("verify", expect=(0, 1)).code == 0)


def left_over(host: Host, check: Checks) -> None:
    with check("verify reports an obsolete unit, link, socket and file"):
        earlier = generation(host)[0]
        host.product("scale", "synchrotron=2", "--yes")
        host.product("scale", "synchrotron=1", "--yes")
        manifest = host.path("/var/lib/synapse-workers") / earlier / "manifest.json"
        text = manifest.read_text(encoding="utf-8")
        known = json.loads(text)
        known["state"]["files"][f"host{OLD}"] = {"digest": hashlib.sha256(b"[Unit]\n").hexdigest(), "affects": []}
        try:
            # As the earlier generation would have put it there.
            host.write(OLD, "[Unit]\n")
            manifest.write_text(json.dumps(known), encoding="utf-8")
            only(host, "leftovers", OLD)
        finally:
            manifest.write_text(text, encoding="utf-8")
            host.path(OLD).unlink()
        host.run("systemd-run", "--quiet", "--unit=synapse-coturn.service", "sleep", "infinity")
        host.run("python3", "-c", f"import socket; socket.socket(socket.AF_UNIX).bind({SOCKET!r})")
        host.run("ln", "-s", "/etc/systemd/system/synapse-worker@.service", LINK)
        try:
            only(host, "leftovers", "synapse-coturn.service", worker("nobody1"), SOCKET)
        finally:
            host.run("systemctl", "stop", "synapse-coturn.service")
        assert_contains(host.product("install", "--yes").out, "nobody1")
        assert_equal(host.shell('ls "$1" "$2" 2>/dev/null || true', SOCKET, LINK).out, "", "left by install")
        host.product("verify")


def deaf(host: Host, check: Checks) -> None:
    with check("verify reports a healthy process that receives no replication"):
        host.run("systemd-run", "--quiet", "--unit=case-redis", "redis-server", "--port", "0", "--save", "", "--dir", "/tmp",
                 "--unixsocket", OTHER, "--unixsocketperm", "777")
        host.write(OTHER_OPTIONS, f"redis: {{enabled: true, path: {OTHER}}}\n")
        unit = host.read("/etc/systemd/system/synapse-worker@.service")
        start = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
        host.write(DROP_IN, f"[Service]\nExecStart=\n{start} -c {OTHER_OPTIONS}\n")
        host.run("systemctl", "daemon-reload")
        try:
            host.run("systemctl", "restart", DEAF)
            found = missed(host)
            assert_equal(set(found), {"leftovers", "redis", "replication"}, f"probes that fail ({found})")
            assert_contains(found["leftovers"], OTHER)
            assert_contains(found["redis"], "20 of 21")
            assert_contains(found["replication"], "receipts1 (caches), receipts1 (receipts)", f"journalctl -u {DEAF}")
            assert "typing1" not in found["replication"], found
        finally:
            host.shell('rm "$1" "$2"; systemctl daemon-reload; systemctl restart "$3"; '
                       'systemctl stop case-redis; rm -f "$4"', DROP_IN, OTHER_OPTIONS, DEAF, OTHER)
        host.product("verify")


def unkept(host: Host, check: Checks) -> None:
    with check("verify reports a process that has less of a sandbox than its unit promises"):
        host.write(DROP_IN, "[Service]\nPrivateUsers=no\nUMask=0022\n")
        host.run("systemctl", "daemon-reload")
        host.run("systemctl", "restart", DEAF)
        # The administrator's drop-in is a promise as well.
        host.product("verify")
        host.shell('rm "$1"; systemctl daemon-reload', DROP_IN)
        only(host, "promises", f"{DEAF}: umask: 0077 expected, 0022 seen",
             f"{DEAF}: user namespace: its own expected, that of the host seen", f"help: systemctl restart {DEAF}")
        host.run("systemctl", "restart", DEAF)
        host.product("verify")


def crowded(host: Host, check: Checks) -> None:
    with check("verify reports a database with too few connections for the pools") as note:
        seen = {probe["probe"]: probe["seen"] for probe in host.json("verify")["probes"]}
        note(seen["connections"])
        count = int(seen["connections"].split()[0])
        host.run("systemd-run", "--quiet", "--unit=case-crowd", "--uid=postgres", "sh", "-c",
                 f"for one in $(seq {count - 2}); do psql -Xqc 'select pg_sleep(60)' & done; wait")
        try:
            wait_until("their connections", lambda: "connections" in missed(host, (0, 1)))
            only(host, "connections", "21 processes", "in use", "help:")
        finally:
            host.run("systemctl", "stop", "case-crowd")
            host.run("runuser", "-u", "postgres", "--", "psql", "-Xqc",
                     "select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(60)'")
        host.product("verify")


def behind(host: Host, check: Checks) -> None:
    with check("verify reports an edited nginx configuration and one that nginx did not load"):
        text = host.read(CONF)
        try:
            host.write(CONF, text.replace("server_tokens off;", "server_tokens on;"))
            only(host, "nginx-files", NGINX)
            assert_contains(host.product("status").out, "modified outside synapse-workers: /var/lib/synapse-workers/generations/",
                            "nginx.conf", "drift: ")
            host.write(CONF, text.replace("server_tokens off;", "no_such_directive on;"))
            host.run("systemctl", "reload", NGINX)
            only(host, "nginx-files", NGINX)
        finally:
            host.write(CONF, text)
        host.product("verify")
    with check("an nginx that does not load its new configuration: exit code 75 and a rollback") as note:
        before = generation(host)
        host.run("systemctl", "kill", "--signal=STOP", "--kill-whom=main", NGINX)
        try:
            result = host.product("scale", "synchrotron=2", "--yes", expect=(75,))
        finally:
            host.run("systemctl", "kill", "--signal=CONT", "--kill-whom=main", NGINX)
        assert_contains(result.err, "nginx-files: nginx runs another configuration than", "as it was before")
        assert_equal(generation(host), before, "generations")
        note(f"{result.seconds:.1f} s")
        wait_until("nginx as before", lambda: host.product("verify", expect=(0, 1)).code == 0)


def drifted(host: Host, check: Checks) -> None:
    with check("status reports changed settings, options and unit files"):
        settings, unit = host.read(SETTINGS), host.read(UNIT_FILE)
        host.write(SETTINGS, settings.replace("http_port: 8008", "http_port: 8009"))
        assert_contains(host.product("status").out, "drift: ", "see: synapse-workers plan")
        assert_equal(host.json("status")["changes"], host.json("plan")["changes"], "changes")
        host.product("verify")
        host.write(SETTINGS, settings + "no_such_key: 1\n")
        assert_contains(host.product("status").out, "`synapse-workers install` would be refused", "no_such_key")
        host.write(SETTINGS, settings)
        host.write(UNIT_FILE, unit + "# edited\n")
        status = host.json("status")
        assert_equal((status["drift"], status["changes"] > 0), ([UNIT_FILE], True), "drift, changes")
        host.write(UNIT_FILE, unit)
        host.run("systemctl", "daemon-reload")
        assert_equal((host.json("status")["drift"], host.json("status")["changes"]), ([], 0), "drift, changes")
