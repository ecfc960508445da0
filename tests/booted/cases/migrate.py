"""A server without workers: SQLite, then PostgreSQL with every row, then workers, and none again."""

import re
import sqlite3

from harness import deployment, listing
from harness.checks import Checks
from harness.deployment import SERVER, URL, all_active, client, psql, purge, talk, worker
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import FAULTY, KILLED, Host

FILE = "/var/lib/synapse/homeserver.db"
NOTES = "/var/lib/synapse-workers/migration"
# Where earlier releases had them.
OLD_NOTES = "/var/lib/synapse/migration"
ALONE = {"synapse-workers.target", "synapse-main.service", "synapse-nginx.service"}
COUNTED = ("users", "access_tokens", "events", "event_json", "local_media_repository", "room_memberships")


def test_migrate(host: Host, check: Checks) -> None:
    """Without workers: SQLite, then PostgreSQL with every row, then workers, and none again."""
    deployment.add_test_options(host)
    # Those of a new database take a minute else, and the move waits for none.
    host.write("/etc/synapse-workers/homeserver.d/updates.yaml", "background_updates: {sleep_enabled: false}\n")
    with check("install --workers '' runs main and nginx, on SQLite", vital=True) as note:
        result = host.product("install", "--server-name", SERVER, "--workers", "", "--yes")
        all_active(host, ALONE)
        talk(host)
        note(f"{result.seconds:.1f} s")
    with check("workers are refused with the steps out of SQLite, and nothing changes"):
        before = host.invocations()
        refused = host.product("install", "--preset", "small", "--yes", expect=(65,)).err
        assert_contains(refused, FILE, "synapse-workers migrate-database",
                        f"synapse_port_db --sqlite-database {FILE}.snapshot --postgres-config homeserver-postgres.yaml",
                        "systemctl stop synapse-main.service")
        assert_equal(host.invocations(), before, "invocations")
    with check("Synapse has finished the background updates of its new database"):
        def updates() -> int:
            with sqlite3.connect(f"file:{host.path(FILE)}?mode=ro", uri=True) as file:
                return file.execute("select count(*) from background_updates").fetchone()[0]
        wait_until("no background update is left", lambda: updates() == 0)
    with check("a database with other tables is refused unchanged, and the server keeps running") as note:
        psql(host, "create role synapse login")
        psql(host, "create database synapse owner synapse encoding 'UTF8' lc_collate 'C' lc_ctype 'C' template template0")
        theirs = ("runuser", "-u", "postgres", "--", "psql", "-XAtd", "synapse", "-c")
        host.run(*theirs, "create table theirs (a int); grant select on theirs to synapse")
        failed = host.product("migrate-database", "--yes", expect=(1,))
        assert_contains(failed.err, "has tables already", "the host is as it was before")
        assert_equal(host.run(*theirs, "select count(*) from theirs").out.strip(), "0", "their table")
        assert_equal(host.invocations(), before, "invocations")
        assert_equal(host.shell('ls -d "$1" 2>/dev/null || true', NOTES).out, "", "copies")
        talk(host)
        psql(host, "drop database synapse")
        psql(host, "drop role synapse")
        note(f"{failed.seconds:.1f} s")
    deployment.bring_fail_points(host)
    for what, fault in (("after the first copy", "kill@switch  to"), ("with the server stopped", "kill@check   that both databases")):
        with check(f"a move that is interrupted {what}: install changes nothing and prints the command that continues it"):
            host.faulty(fault, "migrate-database", "--yes", expect=KILLED)
            assert_contains(host.product("install", "--yes", expect=(65,)).err, "was interrupted", "help: synapse-workers migrate-database")
    with check("a move that an earlier release began, with a note in Synapse's directory: install changes nothing and prints the command"):
        host.shell('install -d -o synapse -g synapse "$2" && mv "$1/begun" "$1"/copies/* "$2" && rm -r "$1"', NOTES, OLD_NOTES)
        assert_contains(host.product("install", "--yes", expect=(65,)).err, "was interrupted", "help: synapse-workers migrate-database")
    with check("migrate-database moves all data", vital=True) as note:
        result = host.product("migrate-database", "--yes")
        found = re.search(r"(\d+) tables, (\d+) rows, the same in both", result.out)
        assert found, str(result)
        assert_contains(result.out, f"+ copy    {FILE} into PostgreSQL", f"Retained: {FILE}")
        note(f"{found[0]}, {result.seconds:.1f} s")
    with check("independent row counts are equal"):
        with sqlite3.connect(f"file:{host.path(FILE)}?mode=ro", uri=True) as old:
            counts = {table: str(old.execute(f"select count(*) from {table}").fetchone()[0]) for table in COUNTED}
        query = " union all ".join(f"select '{table}', count(*) from {table}" for table in COUNTED)
        lines = host.run("runuser", "-u", "postgres", "--", "psql", "-XAtd", "synapse", "-c", query).out.split()
        assert_equal(dict(line.split("|") for line in lines), counts, "rows")
        assert int(counts["events"]) > 5, counts
    with check("old tokens, messages, media and the user directory work"):
        all_active(host, ALONE)
        talk(host)
        wait_until("the directory of users to be rebuilt", lambda: host.run(
            "runuser", "-u", "postgres", "--", "psql", "-XAtd", "synapse", "-c",
            "select count(*) from user_directory").out.strip() != "0")
        assert_equal(host.shell('ls -d "$@" 2>/dev/null || true', NOTES, OLD_NOTES).out, "", "copies")
    with check("a return to SQLite and a second move are refused"):
        assert_contains(host.product("rollback", "--yes", expect=(65,)).err, "would be lost")
        assert_contains(host.product("migrate-database", "--yes", expect=(65,)).err, "nothing to migrate")
        assert_contains(host.product("install", "--yes").out, "0 changed")
    with check("the first workers start Redis", vital=True) as note:
        result = host.product("add", "synchrotron", "event_persister", "--yes")
        all_active(host, ALONE | {"synapse-redis.service", worker("synchrotron1"), worker("event_persister1")})
        talk(host)
        note(f"{result.seconds:.1f} s")
    with check("removing the last worker removes Redis") as note:
        result = host.product("remove", "synchrotron", "event_persister", "--yes")
        all_active(host, ALONE)
        talk(host)
        assert_equal(host.shell("ls /run/synapse-workers/public").out.split(), ["main.sock"], "sockets")
        assert_equal(host.run("systemctl", "is-system-running").out.strip(), "running", "the host")
        note(f"{result.seconds:.1f} s")
    with check("the scenario of two users succeeds without workers") as note:
        note(client(host, "scenario.py", URL, "--shared-secret-file", str(host.path(deployment.SHARED_SECRET))).out.splitlines()[-1])
    with check("uninstall --purge removes everything") as note:
        host.run("rm", FAULTY)
        note(f"{purge(host).seconds:.1f} s")
        listing.assert_equal(host.before, listing.everything(host), "after --purge")
