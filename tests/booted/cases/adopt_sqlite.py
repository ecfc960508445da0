"""A server with SQLite is adopted and moved to PostgreSQL by a run that is interrupted; then its old service must not serve again."""

import re

from harness import adopted, deployment, listing
from harness.adopted import DATA, FILE, SERVICE
from harness.checks import Checks
from harness.deployment import SERVER, all_active, psql, talk, worker
from harness.expect import assert_contains, assert_equal
from harness.host import FAULTY, KILLED, Host

SQLITE = f"{DATA}/homeserver.db"
HOMESERVER = re.sub(r"(?m)^  name: psycopg2\n  args: .*", f"  name: sqlite3\n  args: {{database: {SQLITE}}}", adopted.HOMESERVER)
ALONE = {"synapse-workers.target", "synapse-main.service", "synapse-nginx.service"}


def test_adopt_sqlite(host: Host, check: Checks) -> None:
    """A server with SQLite is adopted, and moved by a run that is interrupted."""
    with check("a server with SQLite serves users", vital=True):
        adopted.make(host, HOMESERVER + "background_updates: {sleep_enabled: false}\n")
        talk(host)
    try:
        moved(host, check)
    finally:
        adopted.unmake(host)
    with check("after the removal of the old server the host is as before"):
        listing.assert_equal(host.before, listing.everything(host), "afterwards")


def moved(host: Host, check: Checks) -> None:
    with check("install --adopt with workers names the steps out of SQLite; the old server runs on"):
        before = host.invocations(SERVICE)
        assert_contains(host.product("install", "--adopt", FILE, "--preset", "small", "--yes", expect=(65,)).err, SQLITE,
                        "synapse_port_db")
        assert_equal(host.invocations(SERVICE), before, "invocation of the old service")
    with check("install --adopt without workers succeeds", vital=True):
        host.product("install", "--adopt", FILE, "--workers", "", "--yes")
        all_active(host, ALONE)
        talk(host)
    with check("a move that is interrupted once every row has arrived: install completes it", vital=True) as note:
        deployment.bring_fail_points(host)
        cut = host.faulty("kill@start   synapse-main", "migrate-database", "--yes", expect=KILLED)
        assert_contains(cut.out, "! stop    synapse-main.service", "the same in both")
        result = host.product("install", "--yes")
        host.run("rm", FAULTY)
        assert_contains(result.out, "! start   synapse-main.service")
        all_active(host, ALONE)
        talk(host)
        note(f"{result.seconds:.1f} s")
    with check("workers can be added"):
        host.product("add", "synchrotron", "--yes")
        all_active(host, ALONE | {"synapse-redis.service", worker("synchrotron1")})
        talk(host)
    with check("uninstall reports that the old service is not started, with the reason"):
        assert_contains(host.product("uninstall", "--yes").out, "service was not started", "has moved from SQLite")
        assert_equal(host.run("systemctl", "is-active", SERVICE, expect=(3,)).out.strip(), "inactive", SERVICE)
        assert_equal(host.units(), {}, "units")
    with check("install brings the server back unchanged"):
        host.product("install", "--yes")
        talk(host)
    with check("uninstall --purge removes the database and leaves the adopted file"):
        refused = host.product("uninstall", "--purge", "--yes", expect=(64,)).err
        assert_contains(refused, f"--confirm {SERVER}")
        host.product("uninstall", "--purge", "--confirm", SERVER, "--yes")
        assert_equal(psql(host, "select datname from pg_database where datname = 'synapse'"), [], "our database")
        assert_equal(host.path(SQLITE).exists(), True, SQLITE)
        assert_equal(host.run("systemctl", "is-active", SERVICE, expect=(3,)).out.strip(), "inactive", SERVICE)
