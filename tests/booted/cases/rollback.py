"""Rollback: by command, after a refusal before the switch, and after a failure on the running host."""

import pytest

from harness.checks import Checks
from harness.deployment import CURRENT, FULL_UNITS, SETTINGS, SHARED_SECRET, all_active, assert_equal_except, generation, talk, worker
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.failures import FAILS_AT_START, OWN, REFUSED, Before
from harness.host import Host

# A secret that is provided to a run.
GIVEN, GIVEN_FILE = "SYNAPSE_REGISTRATION_SHARED_SECRET=of-a-run-that-fails\n", "/root/given.env"
# A worker that says it is up and never answers.
MUTE = "[Service]\nType=exec\nExecStart=\nExecStart=/bin/sleep infinity\n"
MUTE_FILE = "/etc/systemd/system/synapse-worker@synchrotron2.service.d/case.conf"


@pytest.mark.installed
def test_rollback(host: Host, check: Checks) -> None:
    """Rollback, by command and after failures."""
    talk(host)
    asked_for(host, check)
    refused(host, check)
    failed(host, check)


def asked_for(host: Host, check: Checks) -> None:
    before = Before(host)
    # A rollback restores the text that the generation was rendered from; the file may since have been written differently.
    settings = host.read(f"{CURRENT}/settings.yaml")
    with check("generations lists the states before and after a change", vital=True):
        host.product("scale", "synchrotron=2", "--yes")
        newer_settings = host.read(SETTINGS)
        numbers = [one["number"] for one in host.json("generations") if one["current"]]
        assert_equal([f"generations/{number}" for number in numbers], [generation(host)[0]], "current")
        assert_contains(host.product("generations").out, "scale synchrotron=2")
    newer = generation(host)[0].split("/")[1]
    with check("rollback restores settings, units and routes of the previous generation") as note:
        note(f"{host.product('rollback', '--yes').seconds:.1f} s")
        all_active(host)
        assert_equal(host.read(SETTINGS), settings, "settings file")
        assert_equal(generation(host)[0], before.generation[0], "current")
        assert_equal(host.json("routes"), before.routes, "routes")
        assert_equal_except(before.invocations, host.invocations())
        host.product("verify")
        talk(host)
    with check("a later install changes nothing"):
        assert_contains(host.product("install", "--yes").out, "0 changed")
    with check("rollback N switches to the newer generation and back"):
        host.product("rollback", newer, "--yes")
        all_active(host, FULL_UNITS | {worker("synchrotron2")})
        assert_equal(host.read(SETTINGS), newer_settings, "settings file")
        host.product("rollback", before.generation[0].split("/")[1], "--yes")
        all_active(host)
        assert_equal(host.read(SETTINGS), settings, "settings file")
    with check("a missing generation is refused"):
        assert_contains(host.product("rollback", "9999", "--yes", expect=(64,)).err, "error: ", "9999")


def refused(host: Host, check: Checks) -> None:
    before = Before(host)
    for what, (text, codes) in REFUSED.items():
        with check(f"homeserver.d with {what} is refused before the switch, and nothing restarts"):
            host.write(OWN, text)
            try:
                result = host.product("install", "--yes", expect=codes)
            finally:
                host.path(OWN).unlink()
            assert_contains(result.err, "error: ")
            if "! " in result.out or "~ switch  to" in result.out:
                raise CheckFailed(f"it went on after the check:\n{result}")
            before.compare()


def failed(host: Host, check: Checks) -> None:
    before = Before(host)
    with check("a worker that does not answer: exit 75, the earlier generation stays in use") as note:
        host.write(MUTE_FILE, MUTE)
        host.run("systemctl", "daemon-reload")
        try:
            result = host.product("scale", "synchrotron=2", "--yes", expect=(75,))
        finally:
            host.shell("rm -r \"$(dirname \"$1\")\" && systemctl daemon-reload", MUTE_FILE)
        assert_contains(result.err, "synchrotron2", "as it was before")
        before.compare()
        note(f"{result.seconds:.1f} s")
    with check("a port that another program holds: exit 65 or 75, nothing restarted") as note:
        text = host.read(SETTINGS)
        host.write(SETTINGS, text.replace("http_port: 8008", "http_port: 5432"))
        try:
            result = host.product("install", "--yes", expect=(65, 75))
            assert_contains(result.err, "error: ", "5432")
        finally:
            host.write(SETTINGS, text)
        before.compare()
        note(f"exit code {result.code}, {result.seconds:.1f} s")
    with check("processes that fail to start: exit 1, the earlier generation runs again") as note:
        host.write(OWN, FAILS_AT_START)
        try:
            result = host.product("install", "--yes", expect=(1, 75))
        finally:
            host.path(OWN).unlink()
        assert_contains(result.err, "as it was before")
        before.compare(restarted=True)
        note(f"exit code {result.code}, {result.seconds:.1f} s")
    with check("a failed run restores a replaced secret, before the switch and after it"):
        secret = host.read(SHARED_SECRET)
        host.write(GIVEN_FILE, GIVEN)
        for options, restarted in ((REFUSED["a wrong type"][0], False), (FAILS_AT_START, True)):
            found = Before(host)
            host.write(OWN, options)
            try:
                result = host.product("install", "--env-file", GIVEN_FILE, "--yes", expect=(1, 75))
            finally:
                host.path(OWN).unlink()
            assert_contains(result.out, "+ create  secret registration_shared_secret")
            assert_contains(result.err, "as it was before")
            assert_equal(host.read(SHARED_SECRET), secret, "the secret")
            found.compare(restarted)
            assert_contains(host.product("install", "--yes").out, "0 changed")
        host.run("rm", GIVEN_FILE)
    with check("verify succeeds, and install changes nothing"):
        host.product("verify")
        talk(host)
        assert_contains(host.product("install", "--yes").out, "0 changed")
