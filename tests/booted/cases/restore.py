"""Backup and restore by hand, by the very commands of docs/backup.md."""

from harness.checks import Checks
from harness.deployment import SERVER, add_test_options, psql, purge, state, talk
from harness.documents import commands
from harness.expect import assert_contains, assert_equal
from harness.host import Host


def test_restore(host: Host, check: Checks) -> None:
    """Backup, loss and restore by the commands of the documentation."""
    with check("a server has users, messages and media", vital=True) as note:
        add_test_options(host)
        result = host.product("install", "--server-name", SERVER, "--preset", "small", "--yes")
        talk(host)
        note(f"{result.seconds:.1f} s")
    with check("the commands of `Backup by hand` succeed while the server runs", vital=True) as note:
        result = commands(host, "backup.md", "## Backup by hand")
        note(f"{result.seconds:.1f} s")
        remembered = state(host, "talk").read_text(encoding="utf-8")
        key = host.read("/var/lib/synapse/signing.key")
    with check("the host loses everything"):
        purge(host)
        assert_equal(psql(host, "select datname from pg_database where datname = 'synapse'"), [], "database")
        assert_equal(host.shell("ls -d /etc/synapse-workers /var/lib/synapse 2>/dev/null || true").out, "", "directories")
    with check("the commands of `Restore by hand` succeed", vital=True) as note:
        result = commands(host, "backup.md", "## Restore by hand")
        assert_contains(result.out, "ok")
        note(f"{result.seconds:.1f} s")
    with check("old tokens, messages, media and the signing key are restored"):
        state(host, "talk").write_text(remembered, encoding="utf-8")
        talk(host)
        assert_equal(host.read("/var/lib/synapse/signing.key"), key, "signing key")
        assert_contains(host.product("install", "--yes").out, "0 changed")
    with check("--purge"):
        purge(host)
        host.run("rm", "-r", "/srv/backup")
