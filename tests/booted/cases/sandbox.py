"""The sandbox of the units: systemd's exposure of each, and attempts to leave it."""

import re
from collections.abc import Callable

import pytest

from cases import metrics, senders
from harness.checks import Checks
from harness.deployment import SERVER, SETTINGS, URL, client, state, worker
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.host import Expected, Host, Result

# Of 10, where 10 is a service without any limits. A process that must do more is more exposed: one that sends to other servers has the
# network (2500 of some 56000), may open internet sockets (1500) and has no list of addresses (1000), which is 0.9.
WORST = 1.2
# Twelve of the processes must reach other servers, and Prometheus and its exporters listen on TCP ports.
MEAN = 0.75
# Five of them when federation senders send for the others: main and pusher1, event_creator1, media_repository1 and the
# sender itself. The figures of coturn, Prometheus and the exporters, 0.9 to 1.1, and of two services that are root's stay.
MEAN_SENDERS = 0.55
# A unit without network.
CLOSED = 0.3
# The hosts of tests have no route.
ADDRESS = "10.77.0.1"
EVERYTHING = f"""\
server_name: {SERVER}
workers: full
metrics: {{enabled: true, redis: true, postgres: true}}
coturn: {{enabled: true, metrics: true, internal_ip: {ADDRESS}}}
compressor: {{enabled: true}}
tls: {{certificate: /etc/ssl/test.pem, key: /etc/ssl/test.key}}
"""
SENDERS = "sandbox: {network: senders}\n"
# Workers of `full` that send nothing: by their role, and without an application service that one.
SILENT = {worker(f"{role}1") for role in (
    "account_data", "appservice", "presence", "push_rules", "receipts", "sliding_sync", "synchrotron", "to_device", "typing")}
NGINX, REDIS = "synapse-nginx.service", "synapse-redis.service"
# In the place of a process: its network, its mounts and its user; its filter of system calls is not tried here.
INSIDE = """
process=$1; shift
uid=$(awk '$1 == "Uid:" { print $2 }' /proc/$process/status) gid=$(awk '$1 == "Gid:" { print $2 }' /proc/$process/status)
exec nsenter --target $process --mount --net setpriv --reuid "$uid" --regid "$gid" --clear-groups --no-new-privs "$@"
"""
# In its control group as well, which has the filter of what may be bound.
GROUPED = "echo $$ >/sys/fs/cgroup$(sed -n s/^0:://p /proc/$1/cgroup)/cgroup.procs" + INSIDE
BIND = """
import socket
for name, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
    try:
        socket.socket(socket.AF_INET, kind).bind(("127.0.0.1", 18000))
        print(name, "bound")
    except OSError as error:
        print(name, error.strerror)
"""
REACH = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()
    print("reached")
except OSError as error:
    print(error.strerror or error)
"""


@pytest.mark.installed
def test_sandbox(host: Host, check: Checks) -> None:
    """The exposure of the units by systemd, and attempts to leave their sandbox."""
    before = host.read(SETTINGS)
    host.run(*metrics.CERTIFICATE)
    # Not in a home directory, which its unit would have to see.
    host.run("mv", "/root/test.pem", "/root/test.key", "/etc/ssl")
    host.run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    senders.begin(host)
    host.write(SETTINGS, EVERYTHING)
    with check("install with metrics, calls, HTTPS and the compressor succeeds", vital=True) as note:
        note(f"{host.product('install', '--yes').seconds:.1f} s")
    with check("systemd-analyze security rates each unit, with the worst and the mean, within the limits") as note:
        figures = exposures(host)
        for unit, figure in sorted(figures.items()):
            note(f"{unit.removeprefix('synapse-').removesuffix('.service')} {figure}")
        weighed(figures, MEAN, note)
    with check("systemd reports no network for every unit that sends nothing"):
        closed = {unit for unit in figures if properties(host, unit)["PrivateNetwork"] == "yes"}
        workers = {unit for unit in figures if unit.startswith("synapse-worker@")}
        assert_equal(closed & workers, SILENT, "workers without network")
        assert {NGINX, REDIS} <= closed, closed
        # Two of these are root's, with the right to read files that others may not.
        assert_equal({unit: figures[unit] for unit in closed & (workers | {NGINX, REDIS}) if figures[unit] > CLOSED}, {}, "too open")
    with check("every process has no new privileges, no capabilities and a filter of system calls"):
        for unit in sorted(SILENT | {"synapse-main.service", worker("federation_sender1"), NGINX, REDIS, "synapse-coturn.service"}):
            status = host.run("cat", f"/proc/{pid(host, unit)}/status").out
            for line in (r"^CapEff:\s+0+$", r"^CapBnd:\s+0+$", r"^NoNewPrivs:\s+1$", r"^Seccomp:\s+2$"):
                if not re.search(line, status, re.M):
                    raise CheckFailed(f"{unit}: no {line}\n{status}")
    with check("nothing answers a worker, nginx or Redis without network, not even this host"):
        for unit in (worker("typing1"), NGINX, REDIS):
            for address in ("127.0.0.1", "192.0.2.1"):
                found = reach(host, unit, address)
                assert "refused" in found or "unreachable" in found, f"{unit}: {address}: {found}"
    with check("this host answers a federation sender"):
        assert_equal(reach(host, worker("federation_sender1"), "127.0.0.1"), "reached", "this host")
    with check("neither can read the secrets of others or write outside its own directories"):
        replication = "worker_replication_secret"
        for unit, secret in ((NGINX, replication), (REDIS, replication), (worker("typing1"), "turnserver.conf")):
            result = inside(host, unit, "cat", f"/etc/synapse-workers/secrets/{secret}", expect=(1,))
            assert_contains(result.err, "denied")
            for path in ("/etc/file", "/usr/file", "/var/lib/synapse-workers/file"):
                result = inside(host, unit, "touch", path, expect=(1,))
                assert "Read-only" in result.err or "denied" in result.err, str(result)
        read = inside(host, worker("typing1"), "cat", "/etc/synapse-workers/secrets/worker_replication_secret")
        assert read.out.strip(), "a process of Synapse has the secret of replication"
    with check("a worker without network serves clients, and its socket serves its metrics"):
        found = host.run("curl", "--silent", "--fail", "http://127.0.0.1:20001/process/typing1").out
        assert_contains(found, "synapse_", "process_start_time_seconds")
        wait_until("every target up", lambda: down(host) == [])
        assert_contains(host.product("verify").out, "metrics")
        client(host, "load.py", URL, "--state", str(state(host, "sandbox")), "--count", "100")
    with check("a process with network sends requests to another homeserver itself"):
        senders.sent_by(host, worker("client_reader1"), worker("federation_reader1"))
    with check("no Synapse process may bind a TCP port"):
        for unit in ("synapse-main.service", worker("client_reader1"), worker("typing1")):
            # So systemd writes that it may bind any port over UDP.
            assert_equal(rules(host, unit), [{"any"}, set() if "typing" in unit else {"udpany"}], unit)
        assert_equal(bound(host, "synapse-main.service"), {"tcp": "Operation not permitted", "udp": "bound"}, "main")
    with check("sandbox.network: senders without a federation sender is refused"):
        senders.refused(host, EVERYTHING + SENDERS)
    with check("install with sandbox.network: senders succeeds; the ratings", vital=True) as note:
        host.write(SETTINGS, EVERYTHING + SENDERS)
        host.product("install", "--yes")
        weighed(exposures(host), MEAN_SENDERS, note)
    with check("workers that only contact other homeservers have no network, and the federation sender sends their requests"):
        closed = {unit for unit in figures if unit.startswith("synapse-worker@") and properties(host, unit)["PrivateNetwork"] == "yes"}
        assert_equal(closed, SILENT | senders.ASKING, "workers without network")
        senders.sent_by(host, senders.SENDER, senders.SENDER)
        wait_until("every target up", lambda: down(host) == [])
        assert_contains(host.product("verify").out, "health")
        client(host, "load.py", URL, "--state", str(state(host, "senders")), "--count", "100")
    with check("with sandbox.network: all, every worker has network and may bind ports", vital=True):
        host.write(SETTINGS, EVERYTHING + "sandbox: {network: all}\n")
        host.product("install", "--yes")
        for unit in SILENT | senders.ASKING:
            assert_equal(properties(host, unit)["PrivateNetwork"], "no", unit)
        assert_equal(rules(host, worker("typing1")), [set(), set()], "typing1")
        assert_equal(host.shell("ls -d /etc/systemd/system/synapse-worker@?*.service.d 2>/dev/null || true").out, "", "drop-ins")
        wait_until("every target up", lambda: down(host) == [])
    with check("the original settings restore the sandbox", vital=True):
        senders.end(host)
        host.write(SETTINGS, before)
        host.product("install", "--yes")
        host.run("rm", "/etc/ssl/test.pem", "/etc/ssl/test.key")
        host.run("ip", "address", "del", f"{ADDRESS}/32", "dev", "lo")
        assert_contains(host.product("verify").out, "metrics")


def weighed(figures: dict[str, float], most: float, note: Callable[[str], None]) -> None:
    """Notes the worst figure and the mean, neither of which may be above its limit."""
    worst, mean = max(figures.values()), sum(figures.values()) / len(figures)
    note(f"worst {worst}, mean {mean:.2f} of {len(figures)}")
    if worst > WORST or mean > most:
        raise CheckFailed(f"worst {worst} (at most {WORST}), mean {mean:.2f} (at most {most})")


def exposures(host: Host) -> dict[str, float]:
    """What systemd gives each service of ours, by name."""
    files = host.shell("cd /etc/systemd/system; ls synapse-*.service").out.split()
    units = [*(name for name in files if "@" not in name), *(name for name in host.units() if name.startswith("synapse-worker@"))]
    text = host.run("systemd-analyze", "security", "--no-pager", *units).out
    found = {unit: float(figure) for unit, figure in re.findall(r"Overall exposure level for (\S+): ([0-9.]+)", text)}
    assert_equal(set(found), set(units), "units with a figure")
    return found


def exposure(host: Host, unit: str, limit: float) -> str:
    """The exposure of a unit by systemd, which must not be above the limit."""
    text = host.run("systemd-analyze", "security", "--no-pager", unit).out
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", text)
    if not found or float(found[1]) > limit:
        raise CheckFailed(text)
    return found[1]


def properties(host: Host, unit: str) -> dict[str, str]:
    text = host.run("systemctl", "show", "--property=PrivateNetwork,MainPID", unit).out
    return dict(line.split("=", 1) for line in text.splitlines())


def pid(host: Host, unit: str) -> str:
    return properties(host, unit)["MainPID"]


def inside(host: Host, unit: str, *command: str, expect: Expected = (0,)) -> Result:
    """Runs a command where the process of a unit is, as its user."""
    return host.shell(INSIDE, pid(host, unit), *command, expect=expect)


def reach(host: Host, unit: str, address: str) -> str:
    """The result of a connection to nginx's port at an address, from the sandbox of a unit."""
    return inside(host, unit, "python3", "-c", REACH, address, "8008").out.strip()


def rules(host: Host, unit: str) -> list[set[str]]:
    """What a unit must not bind, and what it may all the same."""
    shown = (host.run("systemctl", "show", "--value", f"--property={key}", unit).out for key in ("SocketBindDeny", "SocketBindAllow"))
    return [set(text.split()) for text in shown]


def bound(host: Host, unit: str) -> dict[str, str]:
    """What comes of binding a TCP port and a UDP port from the place of a unit."""
    output = host.shell(GROUPED, pid(host, unit), "python3", "-c", BIND).out
    return dict(line.split(" ", 1) for line in output.splitlines())


def down(host: Host) -> list[str]:
    """Targets that Prometheus cannot ask, by their job; all that there are to come while it has none."""
    targets = metrics.api(host, "targets?state=active")["activeTargets"]
    return [target["labels"]["job"] for target in targets if target["health"] != "up"] if targets else ["none"]
