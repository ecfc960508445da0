"""A small host without Synapse: pip brings it, into our venv."""

from cases.deployment import URL, client, generation, jobs, purge, services_down, talk
from cases import deployment, listing
from hosts import contains, same

VENV = "/opt/synapse-workers/venv"


def run(host, check):
    with check("install --preset small exits 0", vital=True) as note:
        result = host.product("install", "--server-name", deployment.SERVER, "--preset", "small", "--yes")
        host.installed = True
        note(f"{result.seconds:.1f} s")
    with check("Synapse is in the venv, compiled, and everything runs with it"):
        for unit in host.units("synapse-main.service", "synapse-worker@*.service").values():
            contains(host.run("cat", f"/proc/{unit['MainPID']}/cmdline").out, f"{VENV}-1.163.2/bin/python\0", "\0synapse.app.")
        contains(host.shell(f"ls {VENV}/lib/python3*/site-packages/synapse/__pycache__").out, ".pyc")
        same(services_down(host), "", "failed units of the host")
    with check("status --json: every process is active and healthy") as note:
        processes = host.json("status")["processes"]
        same([one for one in processes if one["state"] != "active" or one["health"] not in ("ok", "-")], [], "unhealthy")
        note(f"{len(processes)} processes, {sum(one['memory'] or 0 for one in processes) // 1_000_000} MB")
    with check("doctor is content with all"):
        findings = host.json("doctor")
        same([one for one in findings if one["result"] != "ok"], [], "findings")
    with check("options of the administrator's own: install restarts main and workers, nothing else") as note:
        deployment.own_options(host)
        result = host.product("install", "--yes")
        same({verb for verb, *_ in jobs(result.out)}, {"restart"}, "verbs of jobs")
        same({unit for _, *units in jobs(result.out) for unit in units}, {
            unit for unit in host.units() if unit.startswith(("synapse-main", "synapse-worker@"))}, "units of jobs")
        note(f"{result.seconds:.1f} s")
    with check("two users do all that users do") as note:
        note(client(host, "scenario.py", URL, "--shared-secret-file", str(host.path(deployment.SHARED_SECRET))).out.splitlines()[-1])
        talk(host)
    with check("the same install again: 0 changed"):
        number = generation(host)
        contains(host.product("install", "--preset", "small", "--yes").out, "0 changed")
        same(generation(host), number, "generation")
    with check("uninstall --purge leaves nothing, venv and later options included") as note:
        note(f"{purge(host).seconds:.1f} s")
        listing.equal(host.before, listing.everything(host), "after --purge")
