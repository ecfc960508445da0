"""More workers of a role, and back: what starts, what reloads, what is left alone, what is left over."""

import json

from cases.deployment import FULL_UNITS, SETTINGS, URL, all_active, client, generation, jobs, same_but, talk, worker
from cases.load import prepared
from hosts import Unmet, await_, contains, same

NEW = ("synchrotron2", "synchrotron3")
NGINX = "synapse-nginx.service"
# Where a worker leaves files: its unit's links, its sockets.
TRACES = "ls -A /etc/systemd/system /etc/systemd/system/*.wants /run/synapse-workers/* /run/systemd/transient /run/systemd/generator"


def run(host, check):
    host.write(SETTINGS, "# A remark of the administrator.\n" + host.read(SETTINGS).replace("\nworkers:", "\n# Ours.\nworkers:"))
    remarks = comments(host)
    before, traces, number = host.units(), host.shell(TRACES, expect=None).out, generation(host)[0]
    invocations = host.invocations()

    with check("scale synchrotron=3 starts two workers and reloads nginx", vital=True) as note:
        result = host.product("scale", "synchrotron=3", "--yes")
        same(jobs(result.out), [("start", *map(worker, NEW)), ("reload", NGINX)], "jobs")
        note(f"{result.seconds:.1f} s")
    with check("exactly these are new, nothing else was restarted"):
        units = all_active(host, FULL_UNITS | {worker(name) for name in NEW})
        same_but(invocations, host.invocations(), *map(worker, NEW))
        same(units[NGINX]["MainPID"], before[NGINX]["MainPID"], "nginx' main process")
        assert generation(host)[0] != number, "no new generation"
    with check("routes names three processes for a sync"):
        found = host.json("routes", "GET", "/_matrix/client/v3/sync")["processes"]
        same(found, ["synchrotron1", *NEW], "processes")
    with check("syncs of twenty users reach all three") as note:
        users = prepared(host)
        result = json.loads(client(host, "load.py", URL, "--state", users, "--count", "400").out)
        run_label = json.loads(open(users, encoding="utf-8").read())["run"]
        wanted = {worker(name) for name in ("synchrotron1", *NEW)}
        await_("requests in all three journals", lambda: wanted <= set().union(
            *host.processed(f"load-{run_label}-[0-9a-f]+-[0-9]+").values()))
        note(f"{result['total']} requests, {result['failed']} failed")
    with check("scale synchrotron=1 stops the two again", vital=True) as note:
        result = host.product("scale", "synchrotron=1", "--yes")
        same(jobs(result.out), [("reload", NGINX), ("stop", *map(worker, NEW))], "jobs")
        note(f"{result.seconds:.1f} s")
    with check("no unit, socket, link or failed state is left, nothing else was restarted"):
        same(host.shell(TRACES, expect=None).out, traces, "files")
        all_active(host)
        listed = host.run("systemctl", "list-units", "--all", "--no-legend", "--plain", "synapse-worker@synchrotron*").out
        same({line.split()[0] for line in listed.splitlines()}, {worker("synchrotron1"), "synapse-worker@synchrotron1.socket"}, "loaded units")
        same_but(invocations, host.invocations())
        same(host.units(NGINX)[NGINX]["MainPID"], before[NGINX]["MainPID"], "nginx' main process")
        same(host.run("systemctl", "is-system-running").out.strip(), "running", "the host")
    with check("every comment of the settings file is still there"):
        same(comments(host), remarks, "comments")
    with check("bad counts are refused and change nothing"):
        for count in ("synchrotron=-1", "synchrotron=x", "typing=2", "nobody=1", "synchrotron"):
            refused = host.product("scale", count, "--yes", expect=(64,))
            contains(refused.err, "error: ", count.split("=")[0])
        same_but(invocations, host.invocations())
    with check("messages arrive"):
        talk(host)


def comments(host):
    return [line for line in host.read(SETTINGS).splitlines() if line.lstrip().startswith("#")]
