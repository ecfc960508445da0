"""Several hosts beside one: adding a worker on another host, and an install that finds nothing to do."""

from benchmarks.figures import Goal, Line, compared
from benchmarks.timing import seconds
from harness import cluster
from harness.cluster import address
from harness.deployment import SERVER, SETTINGS, add_test_options
from harness.host import Host

APP2, APP3 = "app2", "app3"
BEGIN = f"""\
server_name: {SERVER}
address: {address(0)}
workers: [synchrotron, event_persister]
hosts:
  {APP2}: {{address: {address(1)}, workers: [synchrotron, federation_sender]}}
  {APP3}: {{address: {address(2)}, workers: [synchrotron, receipts]}}
database: {{host: {address(0)}, password_file: {cluster.PASSWORD_FILE}}}
"""
ADDED = Line("a worker is added on another host", "s", Goal(1.5))
NOTHING = Line("install finds nothing to do on three hosts", "s", Goal(1.0), of_value=True)


def measure(host: Host, pairs: int) -> None:
    """Installs a server on three hosts, and removes it when everything is measured."""
    with cluster.hosts(host, (APP2, APP3)) as others:
        cluster.keys(host, others)
        cluster.database(host)
        add_test_options(host)
        host.write(SETTINGS, BEGIN)
        host.product("install", "--yes")
        compared(ADDED, [(added(host, f"{APP2}/synchrotron"), added(host, "synchrotron")) for _ in range(pairs)], "on the first host")
        nothing = [(seconds(host, "synapse-workers", "install", "--yes"), seconds(host, "ssh", f"root@{address(1)}", "true"))
                   for _ in range(pairs)]
        compared(NOTHING, nothing, "a bare login with ssh")
        host.product("uninstall", "--purge", "--confirm", SERVER, "--yes")


def added(host: Host, role: str) -> float:
    """The time in which another worker of a role serves; it is removed again."""
    spent = seconds(host, "synapse-workers", "scale", f"{role}=2", "--yes")
    host.product("scale", f"{role}=1", "--yes")
    return spent
