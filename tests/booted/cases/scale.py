"""More workers of a role, and back: only these start or stop, nginx reloads, and nothing is left over."""

import json

import pytest

from harness.checks import Checks
from harness.deployment import (
    FULL_UNITS,
    SETTINGS,
    URL,
    all_active,
    assert_equal_except,
    client,
    generation,
    jobs,
    prepared_load,
    talk,
    worker,
)
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Host

NEW = ("synchrotron2", "synchrotron3")
NGINX = "synapse-nginx.service"
# Where a worker leaves files: its unit's links, its sockets.
TRACES = "ls -A /etc/systemd/system /etc/systemd/system/*.wants /run/synapse-workers/* /run/systemd/transient /run/systemd/generator"


@pytest.mark.installed
def test_scale(host: Host, check: Checks) -> None:
    """Two more workers of a role, and back."""
    host.write(SETTINGS, "# A remark of the administrator.\n" + host.read(SETTINGS).replace("\nworkers:", "\n# Ours.\nworkers:"))
    remarks = comments(host)
    before, traces, number = host.units(), host.shell(TRACES, expect=None).out, generation(host)[0]
    invocations = host.invocations()

    with check("scale synchrotron=3 starts two workers and reloads nginx", vital=True) as note:
        result = host.product("scale", "synchrotron=3", "--yes")
        assert_equal(jobs(result.out), [("start", *map(worker, NEW)), ("reload", NGINX)], "jobs")
        note(f"{result.seconds:.1f} s")
    with check("exactly these units are new, and no other unit restarted"):
        units = all_active(host, FULL_UNITS | {worker(name) for name in NEW})
        assert_equal_except(invocations, host.invocations(), *map(worker, NEW))
        assert_equal(units[NGINX]["MainPID"], before[NGINX]["MainPID"], "nginx' main process")
        assert generation(host)[0] != number, "no new generation"
    with check("routes lists three processes for a sync"):
        found = host.json("routes", "GET", "/_matrix/client/v3/sync")["processes"]
        assert_equal(found, ["synchrotron1", *NEW], "processes")
    with check("syncs of twenty users reach all three") as note:
        users = prepared_load(host)
        result = json.loads(client(host, "load.py", URL, "--state", users, "--count", "400").out)
        run_label = json.loads(open(users, encoding="utf-8").read())["run"]
        wanted = {worker(name) for name in ("synchrotron1", *NEW)}
        wait_until("requests in all three journals", lambda: wanted <= set().union(
            *host.processed(f"load-{run_label}-[0-9a-f]+-[0-9]+").values()))
        note(f"{result['total']} requests, {result['failed']} failed")
    with check("scale synchrotron=1 stops the two again", vital=True) as note:
        result = host.product("scale", "synchrotron=1", "--yes")
        assert_equal(jobs(result.out), [("reload", NGINX), ("stop", *map(worker, NEW))], "jobs")
        note(f"{result.seconds:.1f} s")
    with check("no unit, socket, link or failed state is left, and no other unit restarted"):
        assert_equal(host.shell(TRACES, expect=None).out, traces, "files")
        all_active(host)
        listed = host.run("systemctl", "list-units", "--all", "--no-legend", "--plain", "synapse-worker@synchrotron*").out
        loaded = {line.split()[0] for line in listed.splitlines()}
        assert_equal(loaded, {worker("synchrotron1"), "synapse-worker@synchrotron1.socket"}, "loaded units")
        assert_equal_except(invocations, host.invocations())
        assert_equal(host.units(NGINX)[NGINX]["MainPID"], before[NGINX]["MainPID"], "nginx' main process")
        assert_equal(host.run("systemctl", "is-system-running").out.strip(), "running", "the host")
    with check("every comment of the settings file is still there"):
        assert_equal(comments(host), remarks, "comments")
    with check("invalid counts are refused and change nothing"):
        for count in ("synchrotron=-1", "synchrotron=x", "typing=2", "nobody=1", "synchrotron"):
            refused = host.product("scale", count, "--yes", expect=(64,))
            assert_contains(refused.err, "error: ", count.split("=")[0])
        assert_equal_except(invocations, host.invocations())
    with check("users exchange messages"):
        talk(host)


def comments(host: Host) -> list[str]:
    return [line for line in host.read(SETTINGS).splitlines() if line.lstrip().startswith("#")]
