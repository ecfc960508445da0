"""A small host without Synapse: pip brings it, into our venv."""

import pytest

from harness import deployment, listing
from harness.checks import Checks
from harness.deployment import URL, client, generation, jobs, purge, services_down, talk
from harness.expect import assert_contains, assert_equal
from harness.host import Host

VENV = "/opt/synapse-workers/venv"


@pytest.mark.bare
def test_bare(host: Host, check: Checks) -> None:
    """A small host without Synapse, which is installed into a venv."""
    with check("install --preset small exits 0", vital=True) as note:
        result = host.product("install", "--server-name", deployment.SERVER, "--preset", "small", "--yes")
        note(f"{result.seconds:.1f} s")
    with check("all processes run with the Synapse of the venv, which has byte code"):
        for unit in host.units("synapse-main.service", "synapse-worker@*.service").values():
            assert_contains(host.run("cat", f"/proc/{unit['MainPID']}/cmdline").out, f"{VENV}-1.163.2/bin/python\0", "\0synapse.app.")
        assert_contains(host.shell(f"ls {VENV}/lib/python3*/site-packages/synapse/__pycache__").out, ".pyc")
        assert_equal(services_down(host), "", "failed units of the host")
    with check("status --json: every process is active and healthy") as note:
        processes = host.json("status")["processes"]
        assert_equal([one for one in processes if one["state"] != "active" or one["health"] not in ("ok", "-")], [], "unhealthy")
        note(f"{len(processes)} processes, {sum(one['memory'] or 0 for one in processes) // 1_000_000} MB")
    with check("doctor reports no problem"):
        findings = host.json("doctor")
        assert_equal([one for one in findings if one["result"] != "ok"], [], "findings")
    with check("homeserver.d options: install restarts only main and workers") as note:
        deployment.add_test_options(host)
        result = host.product("install", "--yes")
        assert_equal({verb for verb, *_ in jobs(result.out)}, {"restart"}, "verbs of jobs")
        assert_equal({unit for _, *units in jobs(result.out) for unit in units}, {
            unit for unit in host.units() if unit.startswith(("synapse-main", "synapse-worker@"))}, "units of jobs")
        note(f"{result.seconds:.1f} s")
    with check("the scenario of two users succeeds") as note:
        note(client(host, "scenario.py", URL, "--shared-secret-file", str(host.path(deployment.SHARED_SECRET))).out.splitlines()[-1])
        talk(host)
    with check("a second install prints `0 changed`"):
        number = generation(host)
        assert_contains(host.product("install", "--preset", "small", "--yes").out, "0 changed")
        assert_equal(generation(host), number, "generation")
    with check("uninstall --purge removes everything, including the venv and later options") as note:
        note(f"{purge(host).seconds:.1f} s")
        listing.assert_equal(host.before, listing.everything(host), "after --purge")
