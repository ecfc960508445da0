"""Backups of a server that is in use: each of them is consistent in itself."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.checks import Checks
from harness.deployment import SERVER, SETTINGS, URL, add_test_options, client, prepared_load, psql, purge
from harness.expect import CheckFailed, assert_equal
from harness.host import Host

REPOSITORY = "/srv/backup"
PASSWORD = "/etc/synapse-workers/secrets/backup_password"
BACKUPS = 10
RATE = 20
SCRATCH = "restored"
# Uploads a file and names it, until the file /run/enough exists.
UPLOADS = """
import pathlib, sys, urllib.request
url, token = sys.argv[1:]
number = 0
while not pathlib.Path(sys.argv[0]).with_name("enough").exists():
    number += 1
    request = urllib.request.Request(f"{url}/_matrix/media/v3/upload?filename=f{number}", data=b"x" * 4096 + str(number).encode(),
                                     headers={"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"})
    urllib.request.urlopen(request).read()
print(number)
"""
# Conditions of which a torn copy would violate one, as the number of violations.
TORN = {
    "events without contents": "select count(*) from events where event_id not in (select event_id from event_json)",
    "contents without event": "select count(*) from event_json where event_id not in (select event_id from events)",
    "latest events without event": "select count(*) from event_forward_extremities where event_id not in (select event_id from events)",
    "memberships without event": "select count(*) from room_memberships where event_id not in (select event_id from events)",
}


@pytest.mark.slow
def test_backup_load(host: Host, check: Checks) -> None:
    """Ten backups of a server that is in use: each of them is consistent in itself."""
    with check("a server with users and rooms", vital=True):
        add_test_options(host)
        keep = "keep_daily: 0, keep_weekly: 0, keep_monthly: 0"
        host.write(SETTINGS, f"server_name: {SERVER}\nworkers: [small]\nbackup: {{repository: {REPOSITORY}, {keep}}}\n")
        host.product("install", "--yes")
        users = prepared_load(host)
    with check(f"{BACKUPS} backups during a load of {RATE} requests per second and uploads; no request fails", vital=True) as note:
        seconds = under_load(host, users)
        note(f"{min(seconds):.1f} to {max(seconds):.1f} s")
    runs = [run for run in host.json("backup", "list") if run["complete"]]
    with check("all of them are complete"):
        assert_equal(len(runs), BACKUPS, "complete backups")
    grown = []
    for number, run in enumerate(runs, 1):
        with check(f"backup {number} restores, is not torn, and has every file that its database names") as note:
            events, media = examine(host, run)
            grown.append(events)
            note(f"{events} events, {media} files")
    with check("each has more than the one before"):
        assert_equal(grown, sorted(set(grown)), "numbers of events")
    with check("the newest restores as the check does it, and --purge"):
        host.product("backup", "check", "--restore")
        purge(host)
        host.run("rm", "--recursive", REPOSITORY)


def under_load(host: Host, users: str) -> list[float]:
    """Makes the backups while clients use the server; returns their times."""
    token = json.loads(host.root.parent.joinpath("load.json").read_text(encoding="utf-8"))["users"][0]["token"]
    script, enough = host.root.parent / "uploads.py", host.root.parent / "enough"
    script.write_text(UPLOADS, encoding="utf-8")
    stop = threading.Event()

    def use() -> int:
        rounds = 0
        while not stop.is_set():
            client(host, "load.py", URL, "--state", users, "--rate", str(RATE), "--seconds", "10")
            rounds += 1
        return rounds

    with ThreadPoolExecutor() as threads:
        load = threads.submit(use)
        uploads = threads.submit(host.net, "python3", str(script), URL, token)
        try:
            seconds = [host.product("backup", "now").seconds for _ in range(BACKUPS)]
        finally:
            stop.set()
            enough.touch()
    script.unlink()
    enough.unlink()
    if not load.result() or int(uploads.result().out) < BACKUPS:
        raise CheckFailed("the server was not in use")
    return seconds


def examine(host: Host, run: dict) -> tuple[int, int]:
    """Restores the database of a backup beside the one in use; returns its numbers of events and of media files."""
    psql(host, f"drop database if exists {SCRATCH}")
    psql(host, f"create database {SCRATCH} owner synapse template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'")
    database, media = (run["parts"][part] for part in ("database", "media"))
    restic = f"restic -r {REPOSITORY} -p {PASSWORD}"
    host.shell(f"{restic} dump {database} /synapse.dump | runuser -u postgres -- pg_restore --role=synapse --no-owner --dbname={SCRATCH}")
    for what, query in TORN.items():
        assert_equal(psql(host, query, SCRATCH), ["0"], what)
    saved = set(host.shell(f"{restic} ls {media} /local_content --recursive").out.split())
    named = psql(host, "select media_id from local_media_repository", SCRATCH)
    missing = [one for one in named if f"/local_content/{one[:2]}/{one[2:4]}/{one[4:]}" not in saved]
    assert_equal(missing, [], "files that the database names and the backup lacks")
    (events,) = psql(host, "select count(*) from events", SCRATCH)
    psql(host, f"drop database {SCRATCH}")
    return int(events), len(named)
