"""Locks: a local user takes the locks that root's commands and nginx's start wait for."""

from cases.attacks.common import LOCAL, PLAIN, as_account, attacker, bounded, undone
from harness.checks import Checks
from harness.deployment import SETTINGS, URL
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.host import Host

LOCK, HOLD = "/run/synapse-workers.lock", "/run/synapse-workers.hold"
NGINX, HOLDER = "synapse-nginx.service", "synapse-hold.service"
# Another worker, for which main and workers are exchanged while connections wait at nginx's sockets.
MORE = PLAIN.replace("workers: [", "workers: [typing, ")
TAKE = 'until flock --exclusive "$1" sleep 600; do sleep 0.02; done'
DROP_IN = f"/run/systemd/system/{HOLDER}.d/case.conf"
MODE = 'stat --format=%a "$1"'


def run(host: Host, check: Checks) -> None:
    with check(f"A6: {LOCAL} has the lock of changes: install does its work, and the lock is closed"):
        changes(host)
    with check(f"A6: {LOCAL} waits for the lock of requests that wait: a change comes to its end, and nginx serves") as note:
        note(f"{holds(host):.1f} s")
    with check("A6: a lock of requests that wait which never ends: nginx starts all the same"):
        limited(host)


def changes(host: Host) -> None:
    with undone(host, "true"):
        # As an earlier release has left it; the first command closes it.
        host.run("chmod", "0644", LOCK)
        assert_contains(bounded(host, 60, "install", "--yes").out, "0 changed")
        with attacker(host, LOCAL, "lock", "flock", "--exclusive", LOCK, "sleep", "600"):
            wait_until("the attacker to have it, or to be refused", lambda: host.run(
                "flock", "--nonblock", LOCK, "true", expect=(0, 1)).code == 1 or not host.units("case-lock.service"))
            assert_contains(bounded(host, 60, "install", "--yes").out, "0 changed")
        refused = as_account(host, LOCAL, 'flock --nonblock "$1" true', LOCK, expect=None)
        assert_contains(refused.err, "Permission denied")
        assert_equal(host.shell(MODE, LOCK).out.strip(), "600", "mode of the lock")


def holds(host: Host) -> float:
    """Where the lock is open to others, both the exchange and nginx wait until the attacker is gone."""
    with undone(host, f"rm -f {HOLD}"):
        host.write(SETTINGS, MORE)
        with attacker(host, LOCAL, "hold", "sh", "-c", TAKE, "sh", HOLD):
            done = bounded(host, 60, "install", "--yes")
            assert_contains(done.out, "! hold", "typing1")
            host.net("curl", "--silent", "--fail", "--max-time", "10", f"{URL}/_matrix/client/versions")
        assert_equal(host.shell(MODE, HOLD).out.strip(), "600", "mode of the lock")
    return done.seconds


def limited(host: Host) -> None:
    """The limit is shortened here, and has to be there without that."""
    shown = host.run("systemctl", "show", "--property=TimeoutStartUSec", "--property=ExecStart", HOLDER).out
    with undone(host, f"rm -rf {DROP_IN.rpartition('/')[0]}; systemctl daemon-reload; systemctl reset-failed {HOLDER} || true"):
        host.shell('mkdir -p "$(dirname "$1")"; printf "[Service]\\nTimeoutStartSec=2s\\n" >"$1"; systemctl daemon-reload', DROP_IN)
        with attacker(host, "root", "held", "flock", "--exclusive", HOLD, "sleep", "600"):
            wait_until("it to have the lock", lambda: host.run("flock", "--nonblock", HOLD, "true", expect=(0, 1)).code == 1)
            host.run("systemctl", "stop", NGINX)
            host.run("systemctl", "start", "--no-block", HOLDER, NGINX)
            wait_until("nginx to serve", lambda: host.net(
                "curl", "--silent", "--fail", "--max-time", "1", f"{URL}/_matrix/client/versions", expect=None).code == 0, seconds=40)
    if "TimeoutStartUSec=infinity" in shown and "--timeout" not in shown and "--wait" not in shown:
        raise CheckFailed(f"nothing ends it\n{shown}")
