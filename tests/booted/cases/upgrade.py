"""Synapse goes to another release and back: each in a directory of its own, and no further than the database allows."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from harness import listing
from harness.checks import Checks
from harness.deployment import (
    NEW_RELEASE,
    OLD_RELEASE,
    SERVER,
    SETTINGS,
    add_test_options,
    behind_nginx,
    generation,
    jobs,
    psql,
    purge,
    talk,
)
from harness.documents import commands
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import Host
from harness.terminal import at_a_terminal
from harness.wheels import cut_wheel, make_wheel, remove_wheel

OPT, REPOSITORY = "/opt/synapse-workers", "/srv/backup"
# Both releases are code for this schema.
SCHEMA = 94
# A release that upgrades the database so that no older one can use it, and whose configuration cannot be parsed.
BROKEN = "1.163.9"
NO_WAY_BACK = {
    "synapse/storage/schema/__init__.py": f"SCHEMA_VERSION = SCHEMA_COMPAT_VERSION = {SCHEMA + 1}\n",
    "synapse/config/homeserver.py": "raise ImportError('this release is broken')\n",
}


@pytest.mark.bare
@pytest.mark.lane(1)
def test_upgrade(host: Host, check: Checks) -> None:
    """Another release of Synapse and back, as far as the database allows."""
    begin(host, check)
    nothing_yet(host, check)
    forward(host, check)
    refused(host, check)
    back(host, check)
    tidy(host, check)
    with check("uninstall --purge removes everything") as note:
        note(f"{purge(host).seconds:.1f} s")
        host.shell(f"rm -r {REPOSITORY}")
        listing.assert_equal(host.before, listing.everything(host), "after --purge")


def begin(host: Host, check: Checks) -> None:
    with check(f"install with {OLD_RELEASE}, and users exchange messages", vital=True) as note:
        add_test_options(host)
        host.write(SETTINGS, f"server_name: {SERVER}\nsynapse:\n  version: {OLD_RELEASE}\n")
        result = host.product("install", "--preset", "small", "--yes")
        note(f"{result.seconds:.1f} s")
        runs(host, OLD_RELEASE)
        talk(host)
    with check("a directory in place of the link, as earlier releases of this program made it, gets its name from the version"):
        host.shell(f"cd {OPT} && rm venv && mv venv-{OLD_RELEASE} venv")
        result = host.product("install", "--yes")
        assert_contains(result.out, f"+ create  Synapse {OLD_RELEASE} in {OPT}/venv-{OLD_RELEASE}", "1 changed")
        runs(host, OLD_RELEASE)


def forward(host: Host, check: Checks) -> None:
    with check("the plan of an upgrade: schema checked, workers stop, main migrates, workers start", vital=True):
        version(host, OLD_RELEASE, NEW_RELEASE)
        text = host.product("plan").out
        ordered(text, f"+ create  Synapse {NEW_RELEASE}", "against the database schema", "~ switch", "! stop", "! start")
        workers = sorted(unit for unit in host.units() if unit.startswith("synapse-worker@"))
        assert_equal(jobs(text), behind_nginx(workers, workers), "jobs")
        assert_contains(text, "because synapse/version changed: processes of two releases may be incompatible")
    with check("`install` cannot try an upgrade: the database may forbid the rollback"):
        with unchanged(host):
            assert_contains(host.product("install", "--try", "5m", "--yes", expect=(64,)).err, "another version of Synapse", "help: ")
        version(host, NEW_RELEASE, OLD_RELEASE)
    with check("`upgrade` finds the newest release, shows what changes, and tries it, as the rollback is possible", vital=True) as note:
        result = commands(host, "upgrades.md", "## Try an upgrade")
        ordered(result.out, f"Upgrade of Synapse {OLD_RELEASE} to {NEW_RELEASE}",
                f"schema {SCHEMA} stays; `synapse-workers rollback` can return to Synapse {OLD_RELEASE}", "no request moves",
                "the newest backup is", f"+ create  Synapse {NEW_RELEASE}", "On trial")
        assert_equal(result.err, "", "stderr")
        note(f"{result.seconds:.1f} s")
    with check("old tokens, messages and media work, the settings name the release, and the old one is on disk", vital=True):
        runs(host, NEW_RELEASE)
        talk(host)
        assert_contains(host.read(SETTINGS), NEW_RELEASE)
        assert_contains(host.product("generations").out, f"upgrade {NEW_RELEASE}")
        host.run("test", "-x", f"{OPT}/venv-{OLD_RELEASE}/bin/python")
    with check("a second install prints `0 changed`") as note:
        result = host.product("install", "--yes")
        assert_contains(result.out, "0 changed")
        note(f"{result.seconds:.2f} s")


    with check("another upgrade finds nothing newer, and `upgrade --check` exits with 0"):
        with unchanged(host):
            result = commands(host, "upgrades.md", "## Synapse in synapse-workers' own venv")
            assert_contains(result.out, f"Synapse {NEW_RELEASE} is the newest release, and runs.")
            assert_equal(host.product("upgrade", "--check").out, f"Synapse {NEW_RELEASE} runs, and no newer release is available\n", "line")
            assert_equal(host.json("upgrade", "--check"), {"running": NEW_RELEASE, "newest": NEW_RELEASE, "newer": False}, "JSON")


def nothing_yet(host: Host, check: Checks) -> None:
    """Questions and upgrades that change nothing."""
    with check("`upgrade --check` prints one line, and exits with 2 if there is a newer release and with 1 if pip fails") as note:
        with unchanged(host):
            result = host.product("upgrade", "--check", expect=(2,))
            line = f"Synapse {OLD_RELEASE} runs, and {NEW_RELEASE} is available: synapse-workers upgrade\n"
            assert_equal(result.out + result.err, line, "line")
            answer = host.json("upgrade", "--check", expect=(2,))
            assert_equal(answer, {"running": OLD_RELEASE, "newest": NEW_RELEASE, "newer": True}, "JSON")
            nowhere = host.run("env", "PIP_FIND_LINKS=/nonexistent", "synapse-workers", "upgrade", "--check", expect=(1,))
            assert_contains(nowhere.err, "pip cannot find Synapse", "help: ")
        note(f"{result.seconds:.1f} s")
    with check("a release that does not exist, an older one and a backup without a repository are refused"):
        with unchanged(host):
            missing = host.product("upgrade", "1.163.7", "--yes", expect=(1,))
            assert_contains(missing.err, "pip finds no Synapse 1.163.7", "help: ")
            older = host.product("upgrade", "1.153.0", "--yes", expect=(64,))
            assert_contains(older.err, f"Synapse 1.153.0 is older than {OLD_RELEASE}", "synapse-workers rollback")
            assert_contains(host.product("upgrade", "--backup", "--yes", expect=(64,)).err, "backup.repository is empty", "help: ")
    with check("a missing way back is announced, a backup is offered, and a release that Synapse's parser refuses changes nothing") as note:
        host.write(SETTINGS, host.read(SETTINGS) + f"backup: {{repository: {REPOSITORY}}}\n")
        host.product("install", "--yes")
        make_wheel(host, BROKEN, NO_WAY_BACK)
        with unchanged(host):
            result = at_a_terminal(host, "yy", "upgrade", BROKEN, expect=(1,))
            ordered(result.out, f"schema {SCHEMA} becomes {SCHEMA + 1}; Synapse {OLD_RELEASE} cannot use it afterwards",
                    "warning: there is no way back", "there is no complete backup yet", "Make a backup first? [y/N]",
                    "is complete in", "Apply this plan? [y/N]", "FAILED", "this release is broken", f"- remove  Synapse {BROKEN}",
                    "as it was before")
            assert_equal(len(host.json("backup", "list")), 1, "backups")
            assert_equal(re.findall(r"(?m)^! .*\d s\r?$", result.out), [], "jobs that ran")
            tried = host.product("upgrade", BROKEN, "--try", "5m", "--yes", expect=(64,))
            assert_contains(tried.err, "warning: there is no way back", "another version of Synapse")
        note(f"{result.seconds:.1f} s")
    with check("a release that was downloaded in part changes nothing"):
        cut_wheel(host, BROKEN)
        with unchanged(host):
            assert_contains(host.product("upgrade", BROKEN, "--yes", expect=(1,)).err, "pip cannot find", "wheel")
        remove_wheel(host, BROKEN)


def refused(host: Host, check: Checks) -> None:
    with check("with a database that needs newer code, rollback, plan and install of the older release are refused") as note:
        with unchanged(host), compat(host, SCHEMA + 1):
            for command in (("rollback", "--yes"), ("plan",), ("install", "--yes")):
                with downgraded(host, command[0] != "rollback"):
                    result = host.product(*command, expect=(65,))
                assert_contains(result.err, OLD_RELEASE, f"schema_compat_version {SCHEMA + 1}", f"for schema {SCHEMA}", "help: ")
                assert_equal(result.out, "", "stdout")
                note(f"{result.seconds:.2f} s")


def back(host: Host, check: Checks) -> None:
    newer = generation(host)[0].rpartition("/")[2]
    with check("with a database that allows it, rollback returns to the older release, which is still installed") as note:
        result = commands(host, "upgrades.md", "## Going back to an older Synapse")
        assert_equal("+ create" in result.out, False, "something is made again")
        note(f"{result.seconds:.1f} s")
        runs(host, OLD_RELEASE)
        assert_contains(host.read(SETTINGS), OLD_RELEASE)
        assert_contains(host.product("install", "--yes").out, "0 changed")
        talk(host)
    with check("rollback returns to the newer release") as note:
        result = host.product("rollback", newer, "--yes")
        note(f"{result.seconds:.1f} s")
        runs(host, NEW_RELEASE)
        talk(host)


def tidy(host: Host, check: Checks) -> None:
    with check("the next change removes the older release; nothing runs from it"):
        host.write(SETTINGS, host.read(SETTINGS) + "log_level: WARNING\n")
        result = host.product("install", "--yes")
        assert_contains(result.out, f"- remove  Synapse {OLD_RELEASE} in {OPT}/venv-{OLD_RELEASE}")
        assert_equal(host.shell(f"cd {OPT} && echo *").out, f"venv venv-{NEW_RELEASE}\n", OPT)
        runs(host, NEW_RELEASE)
    with check("a release that is not installed is checked against the database after its installation, before any unit stops") as note:
        with unchanged(host), compat(host, SCHEMA + 1), downgraded(host):
            result = host.product("install", "--yes", expect=(65,))
        ordered(result.out, f"+ create  Synapse {OLD_RELEASE}", "against the database schema", "FAILED",
                f"- remove  Synapse {OLD_RELEASE}")
        assert_contains(result.err, f"schema_compat_version {SCHEMA + 1}", "as it was before")
        assert_equal("! " in result.out, False, "jobs")
        note(f"{result.seconds:.1f} s")
        assert_equal(host.shell(f"cd {OPT} && echo *").out, f"venv venv-{NEW_RELEASE}\n", OPT)


def runs(host: Host, release: str) -> None:
    """Every process of Synapse runs with this release, by its directory, and so do people."""
    for unit in host.units("synapse-main.service", "synapse-worker@*.service").values():
        assert_contains(host.run("cat", f"/proc/{unit['MainPID']}/cmdline").out, f"{OPT}/venv-{release}/bin/python\0")
    assert_equal(host.run("readlink", "-f", f"{OPT}/venv").out.strip(), f"{OPT}/venv-{release}", "the link")
    assert_contains(host.net("curl", "-sS", "http://127.0.0.1:8008/_matrix/federation/v1/version").out, f'"{release}"')


def version(host: Host, before: str, after: str) -> None:
    """The release in the settings."""
    host.write(SETTINGS, host.read(SETTINGS).replace(before, after))


@contextmanager
def downgraded(host: Host, really: bool = True) -> Iterator[None]:
    """The settings name the older release for a while."""
    if really:
        version(host, NEW_RELEASE, OLD_RELEASE)
    try:
        yield
    finally:
        if really:
            version(host, OLD_RELEASE, NEW_RELEASE)


@contextmanager
def compat(host: Host, number: int) -> Iterator[None]:
    """A newer Synapse would have left this in the database."""
    [before] = psql(host, "select compat_version from schema_compat_version", "synapse")
    psql(host, f"update schema_compat_version set compat_version = {number}", "synapse")
    try:
        yield
    finally:
        psql(host, f"update schema_compat_version set compat_version = {before}", "synapse")


@contextmanager
def unchanged(host: Host) -> Iterator[None]:
    """No process, generation, setting or file of Synapse is another one afterwards."""
    def state() -> tuple[Any, ...]:
        return host.invocations(), generation(host), host.read(SETTINGS), host.shell(f"ls -l {OPT}").out
    before = state()
    yield
    assert_equal(state(), before, "processes, generations, settings, files")


def ordered(text: str, *parts: str) -> None:
    """All of these, one after another."""
    places = [text.find(part) for part in parts]
    if -1 in places or places != sorted(places):
        raise CheckFailed(f"{parts} at {places} of:\n{text}")
