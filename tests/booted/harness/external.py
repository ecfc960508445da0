"""An external PostgreSQL, and a search for its passwords in public places."""

from harness.expect import CheckFailed
from harness.host import Host

# By the program that they are for.
Passwords = dict[str, str]


def cluster(host: Host, password: str) -> None:
    """Starts an external PostgreSQL on port 5433 with the database `chat` of the role `matrix`."""
    host.shell("""
        version=$(pg_lsclusters --no-header | awk '$2 == "main" { print $1 }')
        pg_createcluster --port 5433 --locale C.UTF-8 --start "$version" external -- --auth-host=scram-sha-256 2>&1 """)
    superuser(host, f"create role matrix login password {literal(password)}")
    superuser(host, "create database chat owner matrix encoding 'UTF8' lc_collate 'C' lc_ctype 'C' template template0")


def drop_cluster(host: Host) -> None:
    host.shell("""
        version=$(pg_lsclusters --no-header | awk '$2 == "main" { print $1 }')
        pg_dropcluster --stop "$version" external; systemctl daemon-reload""")


def hidden(host: Host, words: Passwords) -> None:
    for command in ("plan", "status", "doctor"):
        absent(str(host.product(command)), words, command)
    # The journal is searched in the host, and outside of its own directory in files.
    found = host.shell("""
        cat >/tmp/words
        journalctl --sync
        if journalctl --quiet --no-pager --output=cat | grep -qF -f /tmp/words; then echo "the journal"; fi
        grep -rlsF -f /tmp/words --exclude-dir=journal /etc /run /srv /var/lib/synapse /var/lib/synapse-workers /var/log || true
        rm /tmp/words""", stdin="".join(f"{word}\n" for word in words.values())).out.splitlines()
    # The processes that use the passwords must have them; otherwise the search proves nothing.
    assert len(found) >= len(words), f"not even where they have to be: {found}"
    for file in found:
        if file == "the journal":
            raise CheckFailed("the journal has a password")
        mode = host.run("stat", "-c", "%a %U:%G", file).out.strip()
        if not mode.split()[0].endswith("0"):
            raise CheckFailed(f"{file} has a password and is {mode}")


def absent(text: str, words: Passwords, where: str) -> None:
    for word in words.values():
        if word in text:
            raise CheckFailed(f"{where} has a password")


def superuser(host: Host, statement: str) -> None:
    host.run("runuser", "-u", "postgres", "--", "psql", "-p", "5433", "-Xq", "-v", "ON_ERROR_STOP=1", stdin=statement)


def literal(text: str) -> str:
    """A string of SQL (standard_conforming_strings)."""
    quoted = text.replace("'", "''")
    return f"'{quoted}'"
