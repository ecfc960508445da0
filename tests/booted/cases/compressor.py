"""The state compressor: less in the database, the same in the rooms, on Sundays."""

import json
from typing import Any

from harness import listing
from harness.checks import Checks
from harness.deployment import SERVER, SETTINGS, URL, add_test_options, client, jobs, purge, state
from harness.expect import assert_contains, assert_equal
from harness.host import Host, unit_of

TIMER, SERVICE = "synapse-compressor.timer", "synapse-compressor.service"
# Has characters that mean something in a connection string, in a URL and in libpq's own password file.
PASSWORD = "p@s's:w/o\\r%d="
# Runs the program as Synapse's user against the database over TCP, and counts processes that show the password meanwhile.
WITH_PASSWORD = """
umask 077
password=$(cat)
printf '%s' "$password" | sed 's/[\\\\:]/\\\\&/g; s/^/*:*:synapse:synapse:/' >/run/pgpass
arguments='{"host": "127.0.0.1", "user": "synapse", "dbname": "synapse", "passfile": "/run/pgpass"}'
printf '{"database": {"name": "psycopg2", "args": %s}}' "$arguments" >/run/other.yaml
chown synapse /run/pgpass /run/other.yaml
program=/var/lib/synapse-workers/current/compressor/run.py
runuser -u synapse -- /opt/synapse-workers/compressor/bin/python -I $program /run/other.yaml 2>&1 &
while kill -0 $! 2>/dev/null; do
    cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' >>/run/seen || true
done
wait $! && echo "ended well" || echo "ended badly"
echo "seen $(grep -acF -- "$password" /run/seen) times"
rm -f /run/pgpass /run/other.yaml /run/seen
"""


def test_compressor(host: Host, check: Checks) -> None:
    """The state compressor: less in the database, the same in the rooms."""
    add_test_options(host)
    with check("a small server", vital=True) as note:
        host.write(SETTINGS, f"server_name: {SERVER}\nworkers: [client_reader]\n")
        result = host.product("install", "--yes")
        note(f"{result.seconds:.1f} s")
    invocations = host.invocations()
    with check("enabling the compressor restarts nothing", vital=True) as note:
        host.write(SETTINGS, host.read(SETTINGS) + "compressor: {enabled: true}\n")
        result = host.product("install", "--yes")
        assert_equal(jobs(result.out), [("start", TIMER)], "jobs")
        assert_equal({unit: one for unit, one in host.invocations().items() if unit not in (TIMER, SERVICE)}, invocations, "units")
        note(f"{result.seconds:.1f} s")
    with check("its timer is set to Sunday 01:00"):
        next_time = host.run("systemctl", "show", "--property=NextElapseUSecRealtime", "--value", TIMER).out
        assert_contains(next_time, "Sun ", " 01:00:00")
    with check("a room with many state events exists", vital=True) as note:
        before = states(host)
        rows = count(host, "state_groups_state")
        note(f"{rows} rows for {count(host, 'state_groups')} state groups")
    with check("one run reduces the rows of the state tables", vital=True) as note:
        result = host.run("systemctl", "start", SERVICE)
        after = count(host, "state_groups_state")
        note(f"{after} rows, {result.seconds:.1f} s")
        assert after < rows, f"{after} rows, and {rows} before"
        assert count(host, "state_compressor_progress") > 0 and count(host, "state_compressor_state") > 0, "no progress is noted"
    with check("the room has the same state at every event, read again from the database"):
        process = host.json("routes", "GET", "/_matrix/client/v3/rooms/!a/state")["processes"][0]
        host.run("systemctl", "restart", unit_of(process))
        assert_equal(states(host), before, "states")
    with check("a second run changes nothing"):
        host.run("systemctl", "start", SERVICE)
        assert_equal(count(host, "state_groups_state"), after, "rows")
    with check("the database password is passed in a file and is visible to no other account"):
        sql(host, "alter role synapse password '" + PASSWORD.replace("'", "''") + "'")
        out = host.shell(WITH_PASSWORD, stdin=PASSWORD).out
        assert_contains(out, "ended well", "seen 0 times")
        out = host.shell(WITH_PASSWORD, stdin="wrong" + PASSWORD).out
        assert_contains(out, "ended badly", "seen 0 times", "(left out)")
        assert PASSWORD not in out, out
        sql(host, "alter role synapse password null")
    with check("uninstall --purge removes it"):
        purge(host)
        listing.assert_equal(host.before, listing.everything(host), "after --purge")


def states(host: Host) -> Any:
    return json.loads(client(host, "room_state.py", URL, str(state(host, "states"))).out)


def sql(host: Host, query: str) -> str:
    return host.run("runuser", "-u", "postgres", "--", "psql", "-XAt", "-d", "synapse", "-f", "-", stdin=query).out.strip()


def count(host: Host, table: str) -> int:
    return int(sql(host, f"select count(*) from {table}"))
