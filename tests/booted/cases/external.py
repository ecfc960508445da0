"""PostgreSQL over TCP and Redis over TLS of the administrator's own, with passwords from files that stay secret."""

from typing import Any

from cases import metrics
from harness import listing
from harness.checks import Checks
from harness.deployment import OTHERS, SERVER, all_active, jobs, purge, worker, write_settings
from harness.expect import assert_contains, assert_equal, wait_until
from harness.external import Passwords, absent, cluster, drop_cluster, hidden, literal, superuser
from harness.host import Host, Result

PLACE = "/srv/external"
# Characters that have a meaning in one of the languages between here and the server.
FIRST = {"database": "first:pg\\pass \"word\" #1", "redis": "first 'redis' pass$word"}
SECOND = {"database": "second-pg-pass", "redis": "second-redis-pass"}
FILES = {"database": f"{PLACE}/pg-password", "redis": f"{PLACE}/redis-password"}
WORKERS = ("background1", "clients1", "streams1")
EXPORTERS = ("synapse-postgres-exporter.service", "synapse-redis-exporter.service")
METRICS = {*EXPORTERS, "synapse-prometheus.service", "synapse-nginx-exporter.service", "synapse-nginx-log-exporter.service",
           "synapse-host-metrics.timer", "synapse-logrotate.timer"}
UNITS = {*(unit for unit in OTHERS if unit != "synapse-redis.service"), *map(worker, WORKERS), *METRICS}
SETTINGS: dict[str, Any] = {
    "server_name": SERVER,
    "workers": ["small"],
    "database": {"host": "127.0.0.1", "port": 5433, "name": "chat", "user": "matrix", "password_file": FILES["database"]},
    "redis": {"host": "localhost", "port": 6390, "tls": True, "ca_file": f"{PLACE}/ca.pem", "username": "synapse",
              "password_file": FILES["redis"]},
    "metrics": {"enabled": True, "redis": True, "postgres": True, "scrape_interval": "1s"},
}
OPENSSL = """
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=test CA" -keyout ca.key -out ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" -keyout redis.key -out redis.csr
    printf 'subjectAltName=DNS:localhost\\n' >names
    openssl x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out redis.pem"""


def test_external(host: Host, check: Checks) -> None:
    """PostgreSQL over TCP and Redis over TLS, with passwords from files."""
    with check("an external PostgreSQL and an external Redis run", vital=True):
        serve(host)
    refused(host, check)
    with check("three workers start with them, and synapse-redis does not exist", vital=True) as note:
        write_settings(host, SETTINGS)
        passwords(host, FIRST)
        result, seen = watched(host, FIRST)
        assert_equal(seen, "", "processes whose command line has a password")
        all_active(host, UNITS)
        note(f"{result.seconds:.1f} s")
    with check("verify probes both"):
        probes = {probe["probe"]: probe["seen"] for probe in host.json("verify")["probes"]}
        assert_equal((probes["database"], probes["redis"]), ("chat answers", "4 processes subscribe"), "seen by verify")
        assert_equal(sql(host, "chat", "select count(*) > 100 from information_schema.tables where table_schema = 'public'"), "t",
                     "whether Synapse made its tables there")
        assert_contains(host.product("install", "--yes").out, "0 changed")
    with check("the exporters reach both"):
        wait_until("metrics of both", lambda: metrics.value(host, "pg_up + on () redis_up") == 2.0)
    with check("no password is in the journal, a world-readable file or the output"):
        hidden(host, FIRST)
    with check("new passwords are used after a restart of the units that read them") as note:
        change(host)
        plan = host.product("plan").out
        assert_contains(plan, "secret postgres_password", "secret redis_password")
        result, seen = watched(host, SECOND)
        assert_equal(seen, "", "processes whose command line has a password")
        restarts = [("restart", "synapse-main.service"), ("restart", *map(worker, WORKERS)), ("restart", *EXPORTERS)]
        assert_equal(jobs(result.out), restarts, "jobs")
        all_active(host, UNITS)
        host.product("verify")
        wait_until("metrics of both", lambda: metrics.value(host, "pg_up + on () redis_up") == 2.0)
        hidden(host, SECOND)
        note(f"{result.seconds:.1f} s")
    with check("verify names a server that has stopped"):
        host.run("systemctl", "stop", "outside-redis")
        failed = host.json("verify", expect=(1,))
        assert_contains(str([probe for probe in failed["probes"] if not probe["ok"]]), "redis", "localhost port 6390")
        start_redis(host)
    with check("--purge removes everything except the external servers"):
        purge(host)
        assert_equal(sql(host, "chat", "select count(*) > 100 from information_schema.tables where table_schema = 'public'"), "t",
                     "whether the tables are still there")
        drop_cluster(host)
        host.shell('systemctl stop outside-redis; rm -rf "$1"', PLACE)
        listing.assert_equal(host.before, listing.everything(host), "after --purge")


def refused(host: Host, check: Checks) -> None:
    """Each is refused before anything is changed, with its remedy."""
    for what, wrong, names in (
        ("a wrong password for PostgreSQL", {"database": "wrong"}, ("127.0.0.1 port 5433", "password", "createuser --pwprompt matrix")),
        ("a wrong password for Redis", {"redis": "wrong"}, ("localhost port 6390", "WRONGPASS", "redis.password_file")),
        ("a password file of two lines", {"redis": "a\nb"}, (FILES["redis"], "one line")),
    ):
        with check(f"{what} is refused with its remedy"):
            passwords(host, {**FIRST, **wrong})
            refusal(host, SETTINGS, *names)
    passwords(host, FIRST)
    for what, section, more, names in (
        ("a database that is not there", "database", {"name": "other"}, (
            "createdb --encoding=UTF8 --locale=C --template=template0 --owner=matrix other",)),
        ("a database of another locale", "database", {"name": "abroad"}, ("collation", "C.UTF-8")),
        ("a port without a listener", "database", {"port": 5999}, ("127.0.0.1 port 5999", "database.port")),
        ("a Redis whose certificate no authority has signed", "redis", {"ca_file": f"{PLACE}/redis.key"}, ("localhost port 6390",)),
    ):
        with check(f"{what} is refused with its remedy"):
            refusal(host, {**SETTINGS, section: {**SETTINGS[section], **more}}, *names)


def refusal(host: Host, settings: dict[str, Any], *names: str) -> None:
    write_settings(host, settings)
    result = host.product("install", "--yes", expect=(65,))
    assert_contains(result.err, "help: ", *names)
    assert_equal(host.units(), {}, "our units")
    absent(result.err, FIRST, "a refusal")
    host.shell('rm "$1"', "/etc/synapse-workers/settings.yaml")


def serve(host: Host) -> None:
    host.shell(f"""
        mkdir -m 755 "$1"; cd "$1"; {OPENSSL}
        chown redis: redis.key """, PLACE)
    cluster(host, FIRST["database"])
    superuser(host, "create database abroad owner matrix encoding 'UTF8' template template0")
    acl(host, FIRST)
    start_redis(host)


def start_redis(host: Host) -> None:
    host.shell("""
        printf '%s\\n' "port 0" "tls-port 6390" "bind 127.0.0.1" "tls-cert-file $1/redis.pem" "tls-key-file $1/redis.key" \
            "tls-ca-cert-file $1/ca.pem" "tls-auth-clients no" 'save ""' "aclfile $1/acl" >"$1/redis.conf"
        systemd-run --quiet --unit=outside-redis --property=User=redis --property=Type=notify --property=NotifyAccess=all \
            redis-server "$1/redis.conf" --supervised systemd""", PLACE)


def acl(host: Host, words: Passwords) -> None:
    """A user with all rights, and no other. Redis takes a digest, so that any character may be in the password."""
    host.shell("""
        digest=$(printf %s "$2" | sha256sum | cut -d" " -f1)
        printf 'user default off\\nuser synapse on ~* &* +@all #%s\\n' "$digest" >"$1/acl" """, PLACE, words["redis"])


def change(host: Host) -> None:
    superuser(host, f"alter role matrix password {literal(SECOND['database'])}")
    acl(host, SECOND)
    host.run("systemctl", "stop", "outside-redis")
    start_redis(host)
    passwords(host, SECOND)


def passwords(host: Host, words: Passwords) -> None:
    for name, file in FILES.items():
        host.shell('umask 077; cat >"$1"', file, stdin=f"{words[name]}\n")


def watched(host: Host, words: Passwords) -> tuple[Result, str]:
    """Installs, and looks at the command lines of all processes all the while."""
    host.shell('umask 077; printf "%s\\n" "$@" >/tmp/words', *words.values())
    result = host.shell("""
        synapse-workers install --yes & job=$!
        # No `ps`: its own command line, and that of grep, would be in its output.
        while kill -0 "$job" 2>/dev/null; do
            for process in /proc/[0-9]*; do
                line=$(tr '\\0' ' ' <"$process/cmdline") 2>/dev/null || continue
                while read -r word; do case $line in *"$word"*) echo "$line" >>/tmp/seen ;; esac; done </tmp/words
            done
        done
        wait "$job" """)
    return result, host.shell("cat /tmp/seen 2>/dev/null || true; rm -f /tmp/seen /tmp/words").out


def sql(host: Host, database: str, query: str) -> str:
    return host.run("runuser", "-u", "postgres", "--", "psql", "-p", "5433", "-XAtq", "-d", database, "-c", query).out.strip()
