"""Workers on two hosts that use the PostgreSQL of the first one."""

import pytest

from harness import cluster
from harness.checks import Checks
from harness.cluster import address
from harness.deployment import SERVER, SETTINGS, add_test_options, psql, talk
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Host

APP2 = "app2"
ALONE = f"server_name: {SERVER}\naddress: {address(0)}\nworkers: [synchrotron, event_persister]\n"
HOSTS = f"hosts:\n  {APP2}: {{address: {address(1)}, workers: [client_reader, typing]}}\n"
PASSWORD = "/etc/synapse-workers/secrets/own_postgres_password"
# PostgreSQL of the first host, asked from another one as any client would.
CONNECT = f"host={address(0)} dbname=%s user=%s connect_timeout=5"


@pytest.mark.slow
def test_cluster_database(host: Host, check: Checks) -> None:
    """PostgreSQL is opened with consent, to the hosts and to our role only, and closed again."""
    with cluster.hosts(host, (APP2, "stranger")) as (app2, stranger):
        cluster.keys(host, (app2,))
        add_test_options(host)
        host.write(SETTINGS, ALONE)
        host.product("install", "--yes")
        unit, place = f"postgresql@{host.postgresql}-main.service", f"/etc/postgresql/{host.postgresql}/main"
        own = host.read(f"{place}/pg_hba.conf")
        opened(host, check, unit, place)
        admitted(host, check, app2, stranger)
        repaired(host, check, unit, place)
        closed(host, check, app2, unit, place, own)


def opened(host: Host, check: Checks, unit: str, place: str) -> None:
    host.write(SETTINGS, host.read(SETTINGS) + HOSTS)
    with check("without consent, install is refused with the cure, and PostgreSQL stays as it is"):
        before = host.units(unit)[unit]["MainPID"]
        refused = host.product("install", "--yes", expect=(64,))
        assert_contains(refused.err, "not open to other hosts", "synapse-workers install --open-database")
        assert_equal((host.units(unit)[unit]["MainPID"], host.run("test", "-e", f"{place}/synapse-workers.hba", expect=None).code),
                     (before, 1), "process and file of PostgreSQL")
    with check("with a line that rejects the host, it is refused with the lines to add"):
        host.shell(f"cp -p {place}/pg_hba.conf /root/pg_hba.conf && echo 'host all all 10.77.0.0/16 reject' >>{place}/pg_hba.conf")
        refused = host.product("install", "--open-database", "--yes", expect=(65,))
        assert_contains(refused.err, "method reject", f'hostssl "synapse" "synapse" {address(1)}/32 scram-sha-256')
        host.shell(f"cp -p /root/pg_hba.conf {place}/pg_hba.conf")
    with check("install --open-database restarts PostgreSQL as a step of the plan", vital=True) as note:
        result = host.product("install", "--open-database", "--yes")
        assert_contains(result.out, f"restart {unit}", f"listens on {address(0)} only after a restart")
        note(f"{result.seconds:.1f} s")
        assert_equal(host.run("stat", "--format=%U %a", f"{place}/pg_hba.conf").out.strip(), "postgres 640", "pg_hba.conf")
        host.product("verify")
    with check("running it again changes nothing"):
        assert_contains(host.product("install", "--yes").out, "0 changed")
    talk(host)


def admitted(host: Host, check: Checks, app2: Host, stranger: Host) -> None:
    def said(one: Host, database: str = "synapse", role: str = "synapse", more: str = "", password: str = "") -> str:
        query = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
        result = one.run("env", f"PGPASSWORD={password}", "psql", "-XwAtc", query, f"{CONNECT % (database, role)} {more}", expect=None)
        return result.out or result.err

    secret = host.read(PASSWORD).strip()
    with check("another host logs in over TLS and with the password only"):
        assert_equal(said(app2, password=secret).strip(), "t", "an encrypted connection")
        assert_contains(said(app2, password="another"), "password authentication failed")
        assert_contains(said(app2, password=secret, more="sslmode=disable"), "no pg_hba.conf entry")
    with check("no other role, database or host is admitted"):
        assert_contains(said(app2, role="postgres", password=secret), "no pg_hba.conf entry")
        assert_contains(said(app2, database="postgres", password=secret), "no pg_hba.conf entry")
        assert_contains(said(stranger, password=secret), "no pg_hba.conf entry")
    with check("processes of both hosts use it, and the password is in no log and no generation"):
        clients = psql(host, "select distinct coalesce(host(client_addr), 'socket') from pg_stat_activity where usename = 'synapse'")
        assert_equal(set(clients), {"socket", address(1)}, "clients")
        found = host.shell(f"grep -rl --fixed-strings {secret} /var/log /var/lib/synapse-workers || true").out
        assert_equal(found, "", "files with the password")


def repaired(host: Host, check: Checks, unit: str, place: str) -> None:
    with check("an edited file, a removed line and another password are repaired without a restart"):
        before = host.units(unit)[unit]["MainPID"]
        host.shell(f"echo 'host all all 0.0.0.0/0 trust' >>{place}/synapse-workers.hba && cp -p /root/pg_hba.conf {place}/pg_hba.conf")
        psql(host, "alter role synapse password 'another'")
        result = host.product("install", "--yes")
        assert_contains(result.out, "synapse-workers.hba (modified outside synapse-workers)", f"reload  {unit}",
                        "password of the PostgreSQL role synapse", "includes synapse-workers.hba")
        assert_equal(host.units(unit)[unit]["MainPID"], before, "the process of PostgreSQL")
        assert_equal(host.shell(f"grep -c trust {place}/synapse-workers.hba || true").out.strip(), "0", "lines")
        host.product("verify")
        assert_contains(host.product("install", "--yes").out, "0 changed")


def closed(host: Host, check: Checks, app2: Host, unit: str, place: str, own: str) -> None:
    with check("without other hosts, PostgreSQL rejects them at once, and the plan names the restart"):
        host.write(SETTINGS, host.read(SETTINGS).replace(HOSTS, ""))
        result = host.product("install", "--yes")
        assert_contains(result.out, f"systemctl restart {unit}")
        assert_equal(f"! restart {unit}" in result.out, False, "a restart of PostgreSQL")
        refused = app2.run("psql", "-XwAtc", "select 1", CONNECT % ("synapse", "synapse"), expect=(2,)).err
        assert_contains(refused, "no pg_hba.conf entry")
        assert_equal(host.read(f"{place}/pg_hba.conf"), own, "pg_hba.conf")
        assert_equal(psql(host, "select rolpassword is null from pg_authid where rolname = 'synapse'"), ["t"], "no password")
        # Each connection of Synapse to PostgreSQL fails once after its restart, so Synapse restarts too.
        host.run("systemctl", "restart", unit, "synapse-workers.target")
        assert_equal(psql(host, "show listen_addresses"), ["localhost"], "listen_addresses")
        wait_until("verify", lambda: host.product("verify", expect=None).code == 0, 120)
        talk(host)
