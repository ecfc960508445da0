"""The effects of installing, upgrading and removing the package, and of a package of Synapse that changes its code."""

from harness import deployment, listing
from harness.checks import Checks
from harness.deployment import SERVER, SETTINGS, add_test_options, behind_nginx, generation, jobs, purge, services_down, talk
from harness.expect import assert_contains, assert_equal
from harness.host import Host
from harness.trial import CHANGE
from harness.trial import FILES as TRIAL_FILES

# Where Element's package has Synapse; the made-up package adds a file there.
VENV = "/opt/venvs/matrix-synapse"
METADATA = f"{VENV}/lib/python3*/site-packages/matrix_synapse-*.dist-info/METADATA"
MAKE_A_PACKAGE = f"""
mkdir -p /tmp/new/DEBIAN /tmp/new{VENV}
cd /tmp/new/DEBIAN
printf 'Package: new-code\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: new\n' >control
echo new >/tmp/new{VENV}/new-code
dpkg-deb --build /tmp/new /root/new-code.deb
"""
# Signing key, media, settings and secrets; users who go on talking prove the database.
VALUABLES = "cd / && find etc/synapse-workers var/lib/synapse -type f -exec sha256sum {} + | sort -k 2"
# Files of the package itself, and the records of dpkg and apt.
OF_PACKAGE = ("/usr/", "/var/lib/dpkg", "/var/lib/apt", "/var/log/dpkg.log", "/var/log/alternatives.log", "/var/log/apt", "/var/cache/")


def test_package(host: Host, check: Checks) -> None:
    """The package is installed, upgraded and removed; one of Synapse brings new code."""
    install(host, check)
    upgrade(host, check)
    new_code(host, check)
    remove(host, check)


def install(host: Host, check: Checks) -> None:
    with check("installing the package starts and enables nothing and writes only its own files", vital=True):
        host.push(deployment.package(), "/root/package.deb")
        host.run("dpkg", "--purge", "synapse-workers")
        before = listing.everything(host)
        host.run("apt-get", "install", "--quiet=2", "--yes", "--no-install-recommends", "/root/package.deb")
        found = [line for line in listing.differences(before, listing.everything(host)) if not line[2:].startswith(OF_PACKAGE)]
        assert_equal(found, [], "differences")
    with check("install --preset small, with timers and services beside Synapse", vital=True) as note:
        add_test_options(host)
        host.write("/root/synapse.env", "SYNAPSE_METRICS=yes\n")
        result = host.product("install", "--server-name", SERVER, "--preset", "small", "--env-file", "/root/synapse.env", "--yes")
        note(f"{result.seconds:.1f} s")
        assert_contains(" ".join(host.units()), "synapse-prometheus.service", "synapse-logrotate.timer")
        host.product("verify")
        talk(host)


def upgrade(host: Host, check: Checks) -> None:
    with check("upgrading the package restarts nothing and renders nothing"):
        number, before = generation(host), host.invocations()
        assert_equal(host.run("dpkg", "--install", "/root/package.deb").err, "", "stderr")
        assert_equal(host.invocations(), before, "InvocationIDs")
        assert_contains(host.product("install", "--yes").out, "0 changed")
        assert_equal((generation(host), host.invocations()), (number, before), "generation, InvocationIDs")


def new_code(host: Host, check: Checks) -> None:
    synapse = {unit for unit in host.units() if unit.startswith(("synapse-main", "synapse-worker@"))}
    workers = sorted(synapse - {"synapse-main.service"})
    with check("a package changes Synapse's code: dpkg's trigger reports it, status names the units that run older code"):
        assert_equal(outdated(host), set(), "outdated before")
        host.shell(MAKE_A_PACKAGE)
        assert_contains(host.run("dpkg", "--install", "/root/new-code.deb").out, "Processing triggers for synapse-workers")
        assert_equal(outdated(host), synapse, "outdated")
        assert_contains(host.product("status").out, "outdated: synapse-main.service", "older code than is installed")
    with check("install restarts them in order, and nothing else") as note:
        before = host.invocations()
        result = host.product("install", "--yes")
        assert_equal(jobs(result.out), behind_nginx(workers, workers), "jobs")
        after = host.invocations()
        assert_equal({unit for unit in after if after[unit] != before[unit]}, synapse | {"synapse-nginx.service"}, "restarted")
        assert_equal(outdated(host), set(), "outdated after")
        assert_contains(host.product("install", "--yes").out, "0 changed")
        note(f"{result.seconds:.1f} s")
    with check("files that are replaced without dpkg are detected too"):
        host.shell(f'for file in {METADATA}; do cp -a "$file" "$file.new"; mv "$file.new" "$file"; done')
        assert_equal(outdated(host), synapse, "outdated")


def remove(host: Host, check: Checks) -> None:
    with check("a change goes on trial"):
        host.write(SETTINGS, CHANGE.sub(r"\g<1>7", host.read(SETTINGS)))
        assert_contains(host.product("install", "--try", "1h", "--yes").out, "On trial")
    valuables = host.shell(VALUABLES).out
    with check("removing the package stops all units and retains the data", vital=True) as note:
        result = host.run("dpkg", "--purge", "synapse-workers")
        assert_contains(result.out, "data and settings are kept", "synapse-workers install")
        down(host)
        assert_equal(host.shell(VALUABLES).out, valuables, "kept files")
        assert_equal([path for path in TRIAL_FILES if host.path(path).exists()], [], "files of the trial")
        note(f"{result.seconds:.1f} s")
    with check("nothing starts at the next boot"):
        host.reboot()
        down(host)
    with check("reinstalling the package and a plain install bring the same server back", vital=True) as note:
        host.run("dpkg", "--install", "/root/package.deb")
        down(host)
        result = host.product("install", "--yes")
        note(f"{result.seconds:.1f} s")
        host.product("verify")
        assert_equal(outdated(host), set(), "outdated")
        talk(host)
    with check("uninstall --purge succeeds while the package is installed"):
        purge(host)
        assert_equal(host.units(), {}, "units")
        host.run("dpkg", "--purge", "new-code")


def outdated(host: Host) -> set[str]:
    """Units that `status` names as running older code."""
    return {one["unit"] for one in host.json("status")["outdated"]}


def down(host: Host) -> None:
    """None of our units runs, waits or failed, and the target is not wanted at boot."""
    found = {name: unit["ActiveState"] for name, unit in host.units().items() if unit["ActiveState"] != "inactive"}
    assert_equal((found, services_down(host)), ({}, ""), "units that are not inactive, failed units")
    assert_equal(host.run("systemctl", "is-enabled", "synapse-workers.target", expect=(1,)).out.strip(), "disabled", "the target")
