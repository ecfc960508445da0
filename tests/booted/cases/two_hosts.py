"""Two hosts with Synapse in the program's own venv, the second one reached as a user with sudo: an upgrade and a crash under load."""

import pytest

from harness import cluster
from harness.checks import Checks
from harness.cluster import address
from harness.crowd import Crowd
from harness.deployment import NEW_RELEASE, OLD_RELEASE, SERVER, SETTINGS, add_test_options, talk
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Host

APP2, ADMINISTRATOR = "app2", "ada"
BEGIN = f"""\
server_name: {SERVER}
address: {address(0)}
workers: [synchrotron, client_reader, event_persister]
hosts:
  {APP2}: {{address: {address(1)}, ssh: {ADMINISTRATOR}@{address(1)}, workers: [synchrotron, client_reader, receipts]}}
synapse: {{version: {OLD_RELEASE}}}
database: {{host: {address(0)}, password_file: {cluster.PASSWORD_FILE}}}
"""
RATE = 15
# The wheels of the tree of the tests, which its pip uses in place of an index.
WHEELS = "/var/cache/wheels"


@pytest.mark.slow
@pytest.mark.bare
def test_two_hosts(host: Host, check: Checks) -> None:
    """An upgrade and its rollback on two hosts, and a host that loses its power."""
    with cluster.hosts(host, (APP2,), "--bare") as (app2,):
        cluster.keys(host, (app2,))
        cluster.administrator(host, app2, ADMINISTRATOR)
        cluster.database(host)
        # The host of the workers needs none of these.
        app2.run("apt-get", "purge", "--quiet=2", "--yes", "nginx", "redis-server", f"postgresql-{app2.postgresql}")
        add_test_options(host)
        host.write(SETTINGS, BEGIN)
        host.run("ssh", "-o", "StrictHostKeyChecking=accept-new", f"{ADMINISTRATOR}@{address(1)}", "true")
        with check("a host of another kind downloads Synapse itself, and the plan says so"):
            app2.shell("cd /etc; mv os-release os-release.aside; sed s/^VERSION_ID=.*/VERSION_ID=12/ os-release.aside >os-release")
            assert_contains(str(host.product("plan")), f"{APP2}: pip downloads Synapse there", "debian 12 on ")
            app2.run("mv", "/etc/os-release.aside", "/etc/os-release")
            assert "pip downloads" not in str(host.product("plan"))
        # From here on it has no package index.
        app2.run("rm", "-r", WHEELS)
        with check("install over ssh as a user with sudo, with a venv on each host", vital=True) as note:
            note(f"{host.product('install', '--yes').seconds:.1f} s")
            runs(OLD_RELEASE, host, app2)
            talk(host)
        with check("the host without a package index got a copy of the venv, and nothing else"):
            ours, copy = (one.run(f"/opt/synapse-workers/venv-{OLD_RELEASE}/bin/python", "-m", "pip", "freeze").out for one in (host, app2))
            assert_contains(ours, f"matrix-synapse=={OLD_RELEASE}")
            assert_equal(copy, ours, "packages")
            assert_equal(app2.run("ls", "/opt/synapse-workers").out.split(), ["venv", f"venv-{OLD_RELEASE}"], "venvs")
            assert app2.shell("find /opt/synapse-workers -name '*.pyc' | grep -c /synapse/").out.strip() != "0", "no byte code"
        upgraded(host, app2, check)
        crashed(host, app2, check)
        with check("uninstall --purge removes the server from both"):
            host.product("uninstall", "--purge", "--confirm", SERVER, "--yes")
            for one in (host, app2):
                assert_equal(one.units("synapse-*"), {}, f"units of {one.name}")
                assert_equal(one.shell("ls -d /opt/synapse-workers 2>/dev/null || true").out, "", f"venvs of {one.name}")


def upgraded(host: Host, app2: Host, check: Checks) -> None:
    with Crowd(host, RATE) as crowd:
        for text, command, release in (("upgrade", ("upgrade", NEW_RELEASE), NEW_RELEASE), ("rollback", ("rollback",), OLD_RELEASE),
                                       ("another rollback", ("rollback",), NEW_RELEASE)):
            with check(f"{text} replaces Synapse on both hosts, and no request fails", vital=True) as note:
                crowd.ask(f"mark {text}")
                result = host.product(*command, "--yes")
                figures = crowd.ask(f"mark after {text}")
                note(f"{figures['sent']} requests, {result.seconds:.1f} s, {figures['silence']:.1f} s without an answer")
                runs(release, host, app2)
                assert_equal(figures["failed"], 0, f"failed requests of {figures}")
        crowd.ask("end")
        assert_equal(crowd.heard()["failed"], 0, "failed requests")


def crashed(host: Host, app2: Host, check: Checks) -> None:
    with Crowd(host, RATE) as crowd:
        with check("a host that crashes loses the requests that it has, and those that it alone serves", vital=True) as note:
            crowd.ask("mark with both hosts")
            cluster.crash(host, app2, 1)
            gone = crowd.ask("mark app2 has booted")
            note(f"{gone['failed']} of {gone['sent']} failed: {gone['errors']}")
            # The first host has the roles of the others, so these lose the requests in flight, long polls among them.
            others = sum(count for kind, count in gone["errors"].items() if not kind.startswith("receipt"))
            assert others <= RATE, gone["errors"]
        with check("its processes run again by themselves", vital=True):
            wait_until("verify", lambda: host.product("verify", expect=None).code == 0, 120)
        with check("no request fails from then on, and every message has arrived once"):
            crowd.ask("mark with both hosts again")
            talk(host)
            again = crowd.ask("mark the end")
            crowd.ask("end")
            whole = crowd.heard()
            assert_equal(again["failed"], 0, "failed requests with both hosts again")
            assert_equal([whole[kind][what] for kind in ("sync", "messages") for what in ("lost", "duplicated")], [0] * 4, "messages")
    with check("install finds nothing to do"):
        assert_contains(host.product("install", "--yes").out, "0 changed")


def runs(release: str, *hosts: Host) -> None:
    """Asserts that all processes of Synapse run from the venv of a release."""
    for host in hosts:
        for unit in host.units("synapse-main.service", "synapse-worker@*.service").values():
            line = host.run("cat", f"/proc/{unit['MainPID']}/cmdline").out
            assert_contains(line, f"/opt/synapse-workers/venv-{release}/bin/python\0")
