"""Processes on Unix sockets and on TCP ports: from each kind to the others and back, with users who stay."""

import json
import re

from harness.checks import Checks
from harness.deployment import SETTINGS, add_test_options, behind_nginx, jobs, purge, talk, worker
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.host import Host

MAIN = "synapse-main.service"
WORKERS = tuple(worker(name) for name in ("background1", "clients1", "streams1"))
PUBLIC = ("main", "background1", "clients1", "streams1")
RUN = "/run/synapse-workers"
# Public, replication. A unit gives up its sockets only while it is stopped.
STEPS = behind_nginx(WORKERS, WORKERS)
WAYS = ((False, True), (False, False), (True, False), (True, True))


def test_sockets(host: Host, check: Checks) -> None:
    """Processes on Unix sockets, on TCP ports, and back."""
    add_test_options(host)
    with check("install with Unix sockets succeeds", vital=True) as note:
        configure(host, True, True)
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        talk(host)
    with check("no Synapse process listens on a TCP port"):
        assert_equal(ports(host), {}, "ports")
        assert_equal(sockets(host), wanted(True, True), "sockets")
    for public, replication in WAYS:
        way = f"public {'socket' if public else 'TCP'}, replication {'socket' if replication else 'TCP'}"
        with check(f"{way}: the affected units restart, in order", vital=True) as note:
            configure(host, public, replication)
            result = host.product("install", "--yes")
            assert_equal(jobs(result.out), STEPS, "jobs")
            note(f"{result.seconds:.1f} s")
        with check(f"{way}: only the expected sockets exist, and ports listen on 127.0.0.1 only"):
            assert_equal(sockets(host), wanted(public, replication), "sockets")
            found = ports(host)
            outside = {port: address for port, address in found.items() if address != "127.0.0.1"}
            assert_equal((len(found), outside), (4 * (not public) + replicating(host) * (not replication), {}), "ports, outside 127.0.0.1")
        with check(f"{way}: users exchange messages, and verify, routes and status agree"):
            talk(host)
            host.product("verify")
            ill = [one for one in host.json("status")["processes"] if one["health"] not in ("ok", "-")]
            assert_equal((ill, host.json("plan")["steps"]), ([], []), "unhealthy, plan")
            assert_contains(host.json("routes", "GET", "/_matrix/client/v3/sync")["processes"], "clients1")
        if not public and not replication:
            killed(host, check)
    plain(host, check)
    with check("--purge removes every socket"):
        purge(host)
        assert_equal(host.shell(f"ls -d {RUN} 2>/dev/null || true").out, "", "left")


def plain(host: Host, check: Checks) -> None:
    with check("sockets.held: false: each process opens its own sockets, and no socket unit remains", vital=True) as note:
        configure(host, True, True, held=False)
        result = host.product("install", "--yes")
        assert_equal(jobs(result.out), STEPS, "jobs")
        assert_equal(host.held(), set(), "socket units")
        replicating = [f"replication/{name}.sock" for name in ("main", "background1", "streams1")]
        assert_equal(sockets(host), sorted([f"public/{name}.sock" for name in PUBLIC] + replicating), "sockets")
        talk(host)
        note(f"{result.seconds:.1f} s")
    with check("sockets.held: true restores the socket units"):
        configure(host, True, True)
        assert_equal(jobs(host.product("install", "--yes").out), STEPS, "jobs")
        assert_equal(sockets(host), wanted(True, True), "sockets")
        talk(host)


def killed(host: Host, check: Checks) -> None:
    with check("killed processes on TCP ports restart"):
        before = host.invocations(MAIN, *WORKERS)
        host.run("systemctl", "kill", "--signal=KILL", MAIN, *WORKERS)
        wait_until("all restarted and active", lambda: all(
            unit["ActiveState"] == "active" and unit["InvocationID"] != before[name]
            for name, unit in host.units(MAIN, *WORKERS).items()), seconds=60)
        talk(host)


def configure(host: Host, public: bool, replication: bool, held: bool = True) -> None:
    settings = {"server_name": "example.test", "workers": ["small"],
                "sockets": {"public": public, "replication": replication, "held": held}}
    host.write(SETTINGS, json.dumps(settings, indent=1))


def wanted(public: bool, replication: bool) -> list[str]:
    """Every process has both where systemd holds them."""
    kinds = [kind for kind, there in (("public", public), ("replication", replication)) if there]
    return sorted(f"{kind}/{name}.sock" for kind in kinds for name in PUBLIC)


def sockets(host: Host) -> list[str]:
    found = host.shell(f"cd {RUN} && find public replication -name '*.sock*' ! -name '*.lock'").out
    return sorted(found.split())


def replicating(host: Host) -> int:
    """How many processes have a replication listener: those of the instance map."""
    text = host.read("/var/lib/synapse-workers/current/synapse/shared.d/instance_map.yaml")
    return len(json.loads(re.search("instance_map: (.*)", text)[1]))


def ports(host: Host) -> dict[int, str]:
    """Ports with their addresses, of Python, which here is Synapse."""
    lines = host.run("ss", "-Hltnp").out.splitlines()
    found = [line.split()[3].rsplit(":", 1) for line in lines if "python" in line]
    ports = {int(port): address for address, port in found}
    if len(ports) != len(found):
        raise CheckFailed("\n".join(lines))
    return ports
