"""The connection to another host is lost in each stage of a change that stops all workers on all hosts."""

import pytest

from cases.cluster import active, cut, join
from harness import cluster
from harness.checks import Checks
from harness.cluster import address
from harness.deployment import SERVER, SETTINGS, add_test_options, bring_fail_points, talk
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.host import Host
from harness.paused import Paused

APP2 = "app2"
BEGIN = f"""\
server_name: {SERVER}
address: {address(0)}
workers: [synchrotron, event_persister]
hosts:
  {APP2}: {{address: {address(1)}, workers: [synchrotron, typing]}}
database: {{host: {address(0)}, password_file: {cluster.PASSWORD_FILE}}}
"""
CHANGE = ("add", "app2/event_persister", "--yes")
AGENT = ("pgrep", "-f", "synapse-workers agent")
LOGIN = ("ssh", "-o", "ConnectTimeout=2", f"root@{address(1)}", "true")
# Parts of the lines of the first host's steps, in the order of a run.
STAGES = ("write   generation", "check   generation", "switch", "stop    synapse-nginx", "stop    synapse-main",
          "start   synapse-main", "start   synapse-worker", "start   synapse-nginx", "verify  units")


@pytest.mark.slow
def test_cluster_cuts(host: Host, check: Checks) -> None:
    """A connection that is lost: rolled back, or a message with the command that repairs it."""
    with cluster.hosts(host, (APP2,)) as (app2,):
        with check("install on two hosts", vital=True):
            cluster.keys(host, (app2,))
            cluster.database(host)
            add_test_options(host)
            host.write(SETTINGS, BEGIN)
            host.product("install", "--yes")
            bring_fail_points(host)
            talk(host)
        before = active(app2)
        for stage in STAGES:
            with check(f"the connection is lost before `{stage.strip()}`", vital=True) as note:
                running = Paused(host, stage, *CHANGE)
                cut(host, app2)
                note(outcome(*running.go_on()))
                wait_until("the end of the agent on app2", lambda: app2.run(*AGENT, expect=(0, 1)).code == 1, 120)
                join(host, app2)
                wait_until("app2 in the network", lambda: host.run(*LOGIN, expect=None).code == 0, 30)
                assert_equal(host.read(SETTINGS), BEGIN, "settings")
                note(f"install {host.product('install', '--yes').seconds:.1f} s")
                assert_equal(active(app2), before, "workers of app2")
                assert_contains(host.product("install", "--yes").out, "0 changed")
                host.product("verify")
                talk(host)
        host.product("uninstall", "--purge", "--confirm", SERVER, "--yes")


def outcome(code: int, text: str) -> str:
    """One of those that a lost connection may have."""
    if "app2" in text and code == 1 and "the hosts are as they were before" in text:
        return "as before"
    if "app2" in text and code == 70 and "The rollback is incomplete" in text and "synapse-workers install" in text:
        return "a message with the command to run"
    raise CheckFailed(f"exit code {code}\n{text}")
