"""Backups with restic, by the very commands of docs/backup.md: their parts, their errors, and the way back."""

import json
from typing import Any

from harness import listing
from harness.checks import Checks
from harness.deployment import (
    SERVER,
    SETTINGS,
    add_test_options,
    psql,
    purge,
    remember,
    services_down,
    state,
    talk,
)
from harness.documents import commands
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Host

REPOSITORY = "/srv/backup"
RECORDS = "/var/lib/synapse-workers/backup"
PASSWORD = "/etc/synapse-workers/secrets/backup_password"
COPY = "/root/backup_password"
KEY = "/var/lib/synapse/signing.key"
SERVICE, CHECK = "synapse-backup.service", "synapse-backup-check.service"
PARTS = {"database", "media", "settings"}
# Runs a backup while it looks for the password in everything that other accounts can read of processes.
SPYING = """
password=$(cat /etc/synapse-workers/secrets/backup_password)
synapse-workers backup now >/run/out 2>&1 &
while kill -0 $! 2>/dev/null; do
    cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' >>/run/seen || true
done
wait $! && echo "ended well" || cat /run/out
grep -qE '(^|/)restic$' /run/seen && echo "restic was seen"
if grep -qF -- "$password" /run/seen /run/out; then echo "the password was shown"; else echo "the password was not shown"; fi
rm -f /run/seen /run/out
"""
# Holds a lock of the repository until the unit is stopped.
HOLDER = f"sleep 600 | restic -r {REPOSITORY} -p {PASSWORD} backup --stdin --tag other"


def test_backup(host: Host, check: Checks) -> None:
    """Backups with restic: their parts, their errors, and the way back to an empty host."""
    with check("a server has users, messages and media", vital=True) as note:
        remember(host)
        add_test_options(host)
        host.write(SETTINGS, f"server_name: {SERVER}\nworkers: [small]\n")
        result = host.product("install", "--yes")
        talk(host)
        note(f"{result.seconds:.1f} s")
    invocations = host.invocations()
    with check("the commands of `Set up` make the first backup, and restart nothing", vital=True) as note:
        configure(host, f"{{repository: {REPOSITORY}}}")
        result = commands(host, "backup.md", "## Set up")
        assert_contains(result.out, "create the repository /srv/backup", "keep a copy outside", "complete    database, media, settings")
        assert_equal({unit: one for unit, one in host.invocations().items() if unit in invocations}, invocations, "invocations")
        note(f"{result.seconds:.1f} s")
    with check("the timer's service makes another one in its sandbox", vital=True) as note:
        result = host.run("systemctl", "start", SERVICE)
        assert_equal([set(run["parts"]) for run in complete(host)], [PARTS, PARTS], "parts of complete backups")
        note(f"{result.seconds:.1f} s")
    with check("the timers are active: at 03:00, and on the first of the month"):
        times = host.run("systemctl", "show", "--property=NextElapseUSecRealtime", "synapse-backup.timer", "synapse-backup-check.timer")
        assert_contains(times.out, " 03:00:00", "-01 05:00:00")
    with check("the service of the check restores the database, and leaves none behind") as note:
        seconds, lines = host.run_unit(CHECK)
        assert_contains(lines, "as at the backup: users 2, rooms 1", "is intact")
        assert_equal(psql(host, "select datname from pg_database where datname like '%check%'"), [], "databases")
        note(f"{seconds:.1f} s")
    with check("no account but root sees the password, in files and in processes"):
        out = host.shell(SPYING).out
        assert_contains(out, "ended well", "restic was seen", "the password was not shown")
        assert_equal(host.run("stat", "--format=%U:%G %a", PASSWORD).out, "root:root 600\n", "the password file")
        assert_contains(host.product("backup", "password", expect=(64,)).err, "on a terminal only")
    with check("status and doctor report a backup that is overdue"):
        assert_contains(host.product("status").out, f"last backup in {REPOSITORY}: ")
        host.run("touch", "--date=3 days ago", f"{RECORDS}/last.json")
        assert_contains(host.product("status", expect=(1,)).out, "overdue: ")
        finding = next(one for one in host.json("doctor") if one["check"] == "the newest backup is recent")
        assert_equal(finding["result"], "warn", "result")
        host.product("backup", "now")
        host.product("status")
    failures(host, check)
    elsewhere(host, check)
    way_back(host, check)


def failures(host: Host, check: Checks) -> None:
    """Each failure has its reason and its remedy in the journal of the service, and loses no backup."""
    before = complete(host)

    def fails(unit: str, *words: str) -> None:
        assert_contains(host.run_unit(unit, fails=True)[1], *words)
        host.run("systemctl", "reset-failed", unit)

    with check("a dump that fails leaves no backup that looks complete"):
        psql(host, "create table unreadable (number int)", "synapse")
        try:
            fails(SERVICE, "error: pg_dump: error: ", "unreadable")
        finally:
            psql(host, "drop table unreadable", "synapse")
        assert_equal(complete(host), before, "complete backups")
    with check("a wrong password is named, with the remedy"):
        password = host.read(PASSWORD)
        host.shell(f"cp -p {PASSWORD} {COPY} && echo wrong >{PASSWORD}")
        fails(SERVICE, "wrong password", "help: restore the password")
        host.shell(f"cat {COPY} >{PASSWORD}")
        assert_equal(host.read(PASSWORD), password, "password")
    with check("a repository that is not mounted is missed, and not created again"):
        host.run("mv", REPOSITORY, "/srv/unmounted")
        host.run("mkdir", REPOSITORY)
        fails(SERVICE, f"there is no repository at {REPOSITORY}", "check that the disk is mounted")
        assert_equal(host.run("ls", REPOSITORY).out, "", "the empty directory")
        host.shell(f"rmdir {REPOSITORY} && mv /srv/unmounted {REPOSITORY}")
    with check("a repository that another program uses is left alone"):
        host.run("systemd-run", "--quiet", "--unit=holder", "sh", "-c", HOLDER)
        wait_until("a lock of the other program", lambda: host.run("ls", f"{REPOSITORY}/locks").out)
        fails(CHECK, "already locked", "help: wait until the other program has finished")
        host.run("systemctl", "stop", "holder")
        host.run("restic", "-r", REPOSITORY, "-p", PASSWORD, "unlock", "--remove-all")
    with check("a damaged repository is reported by the check"):
        pack = host.shell(f"ls -S {REPOSITORY}/data/*/* | head -n 1").out.strip()
        host.run("mv", pack, "/root/pack")
        fails(CHECK, "error: restic: ", "help: ")
        host.run("mv", "/root/pack", pack)
    with check("nothing was lost"):
        assert_equal(complete(host), before, "complete backups")
        host.product("backup", "check", "--restore")


def elsewhere(host: Host, check: Checks) -> None:
    """Repositories beside a directory with space."""
    with check("a full disk is named, and the backups on it stay"):
        host.run("mkdir", "/srv/small")
        host.run("mount", "-t", "tmpfs", "-o", "size=8M", "tmpfs", "/srv/small")
        configure(host, "{repository: /srv/small/backup}")
        host.product("install", "--yes")
        host.product("backup", "now")
        kept = complete(host)
        host.shell("fill() { head -c 8M /dev/urandom >/srv/small/fill; }; fill 2>/dev/null || true")
        assert_contains(host.run_unit(SERVICE, fails=True)[1], "no space left on device", "help: free space for /srv/small/backup")
        host.run("rm", "/srv/small/fill")
        assert_equal(complete(host), kept, "complete backups")
        host.run("systemctl", "start", SERVICE)
        assert complete(host)[-1] not in kept, "no new backup"
        host.run("umount", "/srv/small")
    with check("a server that does not answer is named, with the remedy"):
        configure(host, "{repository: 'sftp:root@127.0.0.1:/srv/sftp'}")
        host.product("install", "--yes")
        host.run("systemctl", "stop", "ssh.service", "ssh.socket", expect=None)
        assert_contains(host.run_unit(SERVICE, fails=True)[1], "sftp:root@127.0.0.1", "help: check that the server of the repository runs")
    with check("over SSH, the service uses the key and the known hosts of root") as note:
        host.shell("mkdir -p -m 700 /root/.ssh && ssh-keygen -q -N '' -t ed25519 -f /root/.ssh/id_ed25519 && "
                   "cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys && ssh-keygen -A && systemctl start ssh.service")
        host.run("ssh", "-o", "StrictHostKeyChecking=accept-new", "root@127.0.0.1", "true")
        result = host.run("systemctl", "start", SERVICE)
        assert_equal(len(complete(host)), 1, "complete backups")
        host.product("backup", "check", "--restore")
        host.run("systemctl", "stop", "ssh.service")
        note(f"{result.seconds:.1f} s")
    with check("a file with credentials that others can read is refused before a change"):
        host.shell("echo AWS_ACCESS_KEY_ID=me >/root/backup.env && chmod 0644 /root/backup.env")
        configure(host, "{repository: 's3:https://127.0.0.1:9/backup', environment_file: /root/backup.env}")
        assert_contains(host.product("install", "--yes", expect=(65,)).err, "can read or replace /root/backup.env", "chmod 0600")
        host.run("rm", "/root/backup.env")


def way_back(host: Host, check: Checks) -> None:
    """The server returns on a host that has nothing of it."""
    with check("the newest backup has the newest message", vital=True):
        configure(host, f"{{repository: {REPOSITORY}}}")
        host.product("install", "--yes")
        talk(host)
        host.product("backup", "now")
        remembered = state(host, "talk").read_text(encoding="utf-8")
        key, password = host.read(KEY), host.read(PASSWORD)
    with check("restore refuses a host with a server"):
        refused = host.product("restore", "--from", REPOSITORY, "--password-file", COPY, expect=(65,))
        assert_contains(refused.err, "already has a server", "help: ")
    with check("uninstall --purge says that the password goes, and leaves the host as it was, with the repository"):
        assert_contains(purge(host).err, f"the backups in {REPOSITORY} stay", "without a copy of it, they cannot be read")
        apart = (REPOSITORY, "/srv", "/root", "/etc/ssh", "/var/cache")
        found = [line for line in listing.differences(host.before, listing.everything(host)) if not line[2:].startswith(apart)]
        assert_equal(found, [], "differences to the host before")
        assert_equal(services_down(host), "", "failed units of the host")
    empty = listing.everything(host)
    with check("a wrong password, an unknown ID and a missing repository change nothing"):
        for arguments, code, words in (
            (("--from", REPOSITORY, "--password-file", "/etc/hostname"), 65, "wrong password"),
            (("00000000", "--from", REPOSITORY, "--password-file", COPY), 64, "no complete backup `00000000`"),
            (("--from", "/srv/nothing", "--password-file", COPY), 65, "there is no repository at /srv/nothing"),
        ):
            assert_contains(host.product("restore", *arguments, expect=(code,)).err, words, "help: ")
        assert_equal(list(listing.differences(empty, listing.everything(host))), [], "differences")
    with check("a restore that fails on its way says how to continue"):
        host.run("mv", "/usr/bin/pg_restore", "/root/pg_restore")
        failed = host.product("restore", "--from", REPOSITORY, "--password-file", COPY, expect=(1,))
        assert_contains(failed.err, "pg_restore", "To continue, run the same command again.")
        host.run("mv", "/root/pg_restore", "/usr/bin/pg_restore")
    with check("the commands of `Restore on another host` continue, and end with a server", vital=True) as note:
        result = commands(host, "backup.md", "## Restore on another host")
        assert_contains(result.out, "never start the old server again", "ok")
        note(f"{result.seconds:.1f} s")
    with check("tokens, messages, media, secrets and the signing key are those of before"):
        state(host, "talk").write_text(remembered, encoding="utf-8")
        talk(host)
        assert_equal((host.read(KEY), host.read(PASSWORD)), (key, password), "signing key and password")
        assert_contains(host.product("install", "--yes").out, "0 changed")
        assert_equal(host.run("find", "/var/lib/synapse/media_store", "!", "-user", "synapse").out, "", "files of others")
    with check("backups go on in the same repository"):
        kept = complete(host)
        host.run("systemctl", "start", SERVICE)
        assert complete(host)[-1] not in kept, "no new backup"
    with check("without workers, SQLite is backed up and restored") as note:
        purge(host)
        host.run("rm", "--recursive", REPOSITORY)
        add_test_options(host)
        host.write(SETTINGS, f"server_name: {SERVER}\nbackup: {{repository: {REPOSITORY}}}\n")
        host.product("install", "--yes")
        talk(host)
        remembered = state(host, "talk").read_text(encoding="utf-8")
        assert_contains(host.run_unit(SERVICE, fails=True)[1], "can be made by: synapse-workers backup now")
        host.product("backup", "now")
        host.run("systemctl", "start", SERVICE)
        host.run("systemctl", "start", CHECK)
        host.shell(f"cp {PASSWORD} {COPY}")
        purge(host)
        result = host.product("restore", "--from", REPOSITORY, "--password-file", COPY)
        state(host, "talk").write_text(remembered, encoding="utf-8")
        talk(host)
        note(f"{result.seconds:.1f} s")
    with check("--purge"):
        purge(host)
        host.run("rm", "--recursive", REPOSITORY, COPY)


def configure(host: Host, section: str) -> None:
    """Sets the section `backup` of the settings file."""
    lines = [line for line in host.read(SETTINGS).splitlines() if not line.startswith("backup:")]
    host.write(SETTINGS, "\n".join([*lines, f"backup: {section}"]) + "\n")


def complete(host: Host) -> list[dict[str, Any]]:
    """The complete backups, the oldest first."""
    return [run for run in json.loads(host.product("backup", "list", "--json").out) if run["complete"]]
