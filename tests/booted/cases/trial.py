"""A change on trial: kept if it is confirmed, and otherwise rolled back, even if the administrator has lost access."""

import time

import pytest

from harness import deployment
from harness.checks import Checks
from harness.deployment import CURRENT, SETTINGS, SHARED_SECRET, all_active, generation, talk
from harness.expect import assert_contains, assert_equal, wait_until
from harness.failures import OWN, REFUSED
from harness.host import FAULTY, KILLED, Host
from harness.trial import CHANGE, NOTE, UNIT_FILES, UNITS, over

LOCK = "/run/synapse-workers.lock"
# Another run has the lock as long as this file exists.
HELD = "/var/lib/case-held"


@pytest.mark.installed
def test_trial(host: Host, check: Checks) -> None:
    """A change that is confirmed stays, and one that is not is rolled back."""
    # A rollback restores the text that the generation was rendered from; the file may since have been written differently.
    settings, before = host.read(f"{CURRENT}/settings.yaml"), generation(host)[0]
    with check("confirm without a trial is refused, exit code 64"):
        assert_contains(host.product("confirm", expect=(64,)).err, "no change is on trial")
    with check("a run without changes starts no trial"):
        assert_contains(host.product("install", "--try", "5m", "--yes").out, "No trial started", "0 changed")
        over(host)
    with check("a new secret with --try is refused, because the old value would be lost"):
        host.run("mv", SHARED_SECRET, f"{SHARED_SECRET}.aside")
        try:
            assert_contains(host.product("install", "--try", "5m", "--yes", expect=(64,)).err, SHARED_SECRET, "help: ")
        finally:
            host.run("mv", f"{SHARED_SECRET}.aside", SHARED_SECRET)
        over(host)
    with check("a failed change is rolled back and leaves no trial"):
        host.write(OWN, REFUSED["a wrong type"][0])
        assert_contains(host.product("install", "--try", "1h", "--yes", expect=(1,)).err, "the host is as it was before")
        host.path(OWN).unlink()
        over(host)
    with check("status shows the change on trial and the time left", vital=True):
        assert_contains(host.product("scale", "synchrotron=2", "--try", "1h", "--yes").out, "On trial", before.split("/")[1], "3600 s")
        trial = host.json("status")["trial"]
        assert_equal((trial["generation"], trial["back"], trial["seconds_left"] in range(3500, 3601)),
                     (int(generation(host)[0].split("/")[1]), int(before.split("/")[1]), True), "trial")
        assert_contains(host.product("status").out, "is on trial", "synapse-workers confirm")
    with check("another change is refused with both remedies, exit code 65"):
        for words in (("install",), ("scale", "synchrotron=3"), ("rollback", "--try", "5m")):
            refused = host.product(*words, "--yes", expect=(65,))
            assert_contains(refused.err, "is on trial", "synapse-workers confirm", "synapse-workers rollback")
    with check("rollback ends a trial immediately and restores the state before it"):
        host.product("rollback", "--yes")
        over(host)
        assert_equal((generation(host)[0], host.read(SETTINGS)), (before, settings), "current and settings")
        all_active(host)
    with check("confirm keeps the change and removes the trial"):
        host.write(SETTINGS, CHANGE.sub(r"\g<1>7", settings))
        assert_contains(host.product("install", "--try", "1h", "--yes").out, "On trial", "reload  synapse-nginx.service")
        assert_contains(host.product("confirm").out, "is confirmed")
        over(host)
        assert generation(host)[0] != before, "the generation from before is in use"
        host.product("verify")
        host.product("confirm", expect=(64,))
    not_confirmed(host, check, settings, before)


def not_confirmed(host: Host, check: Checks, settings: str, before: str) -> None:
    """Back to the first generation by `rollback N --try`, so that a rollback is on trial as well."""
    newer, newer_settings = generation(host)[0], host.read(SETTINGS)
    with check("after a lost terminal and without confirmation, the timer rolls the host back", vital=True) as note:
        host.shell('synapse-workers rollback "$1" --try 5s --yes >/tmp/case & child=$!; '
                   "until grep -q switch /tmp/case; do sleep 0.01; done; kill -HUP $child; wait $child", before.split("/")[1])
        begun = time.monotonic()
        assert_equal((generation(host)[0], host.read(SETTINGS)), (before, settings), "current and settings")
        wait_until("the generation from before", lambda: generation(host)[0] == newer)
        wait_until("the end of the trial", lambda: not host.path(NOTE).exists())
        note(f"{time.monotonic() - begun:.1f} s after a time of 5 s")
        assert_equal(host.read(SETTINGS), newer_settings, "settings")
        all_active(host)
        over(host)
    with check("after a killed run, the timer rolls the host back and saves the edited settings", vital=True) as note:
        deployment.bring_fail_points(host)
        host.faulty("kill@verify  units", "rollback", before.split("/")[1], "--try", "10s", "--yes", expect=KILLED)
        assert_contains(host.product("confirm", expect=(65,)).err, "was only partly applied", "synapse-workers rollback")
        edited = host.read(SETTINGS) + "# for the time after\n"
        host.write(SETTINGS, edited)
        begun = time.monotonic()
        wait_until("the generation from before", lambda: generation(host)[0] == newer)
        wait_until("the end of the trial", lambda: not host.path(NOTE).exists())
        note(f"{time.monotonic() - begun:.1f} s after the kill")
        assert_equal((host.read(SETTINGS), host.read(f"{SETTINGS}.unconfirmed.1")), (newer_settings, edited), "settings")
        host.run("rm", f"{SETTINGS}.unconfirmed.1", FAULTY)
        over(host)
    with check("the journal of synapse-trial.service has the steps"):
        journal = host.run("journalctl", "--unit", "synapse-trial.service", "--output=cat").out
        assert_contains(journal, "was not confirmed within 5 s", "verify", "changed (")
    with check("the rollback waits for a run in progress"):
        host.product("rollback", before.split("/")[1], "--try", "2s", "--yes")
        host.write(HELD, "")
        host.run("systemd-run", "--quiet", "flock", LOCK, "sh", "-c", f"while [ -e {HELD} ]; do sleep 0.1; done")
        try:
            wait_until("the time is over", lambda: host.json("status", expect=(0, 1))["trial"]["seconds_left"] is None)
            assert_contains(host.product("status", expect=(1,)).out, "has expired")
            assert_equal(generation(host)[0], before, "current while another run has the lock")
        finally:
            host.path(HELD).unlink()
        wait_until("the generation from before", lambda: generation(host)[0] == newer)
        wait_until("the end of the trial", lambda: not host.path(NOTE).exists())
        over(host)
    with check("a change that is confirmed during this wait stays"):
        host.product("rollback", before.split("/")[1], "--try", "2s", "--yes")
        # As if confirmed by the run that has the lock: the note of the trial goes last.
        host.run("systemd-run", "--quiet", "flock", LOCK, "sh", "-c", f"sleep 4; rm {NOTE}")
        wait_until("the service's end", lambda: "No change is on trial any more" in host.run(
            "journalctl", "--unit", "synapse-trial.service", "--output=cat", "--lines=4").out)
        assert_equal(generation(host)[0], before, "current")
        host.shell('systemctl disable --now --quiet "$1" && rm "$2" "$3" && systemctl daemon-reload', UNITS[0], *UNIT_FILES)
        over(host)
    with check("the host is as before, and users exchange messages"):
        assert_equal(host.read(SETTINGS), settings, "settings")
        all_active(host)
        assert_equal(host.run("systemctl", "is-system-running").out.strip(), "running", "the host")
        assert_contains(host.product("install", "--yes").out, "0 changed")
        talk(host)
