"""`uninstall` keeps the data, a later install serves it again, and `--purge` leaves nothing."""

import pytest

from harness import listing
from harness.checks import Checks
from harness.deployment import SERVER, SETTINGS, all_active, psql, purge, talk
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import Host

# Data that cannot be created again, and the account files with its owners.
KEPT = ("/etc/synapse-workers", "/var/lib/synapse", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")
GONE = ("/var/lib/synapse-workers", "/run/synapse-workers", "/opt/synapse-workers", "/etc/sysusers.d/synapse-workers.conf",
        "/etc/tmpfiles.d/synapse-workers.conf")
VALUABLES = "cd / && find etc/synapse-workers var/lib/synapse -type f ! -name made.json -exec sha256sum {} + | sort -k 2"


@pytest.mark.installed
def test_uninstall(host: Host, check: Checks) -> None:
    """Uninstall keeps the data of the server, and --purge removes it."""
    with check("users exchange messages before", vital=True):
        talk(host)
        valuables = host.shell(VALUABLES).out
        assert_contains(valuables, "settings.yaml", "signing.key", "secrets/form_secret", "media_store/local_content")
    with check("uninstall lists the data that it retains", vital=True) as note:
        result = host.product("uninstall", "--yes")
        assert_contains(result.out, "Retained", "database synapse", "signing key", "secret", "media_store")
        note(f"{result.seconds:.1f} s")
    with check("no unit, no unit file, no directory is left"):
        assert_equal(host.units(), {}, "units")
        assert_equal(host.run("systemctl", "list-unit-files", "--no-legend", "synapse*", expect=(0, 1)).out, "", "unit files")
        assert_equal(host.run("systemctl", "is-system-running").out.strip(), "running", "the host")
        assert_equal(host.shell('for path; do [ ! -e "$path" ] || echo "$path"; done', *GONE).out, "", "left")
    with check("database, media, key, secrets and settings are unchanged, and nothing else differs"):
        assert_equal(host.shell(VALUABLES).out, valuables, "kept data")
        assert_equal(psql(host, "select datname from pg_database where datname = 'synapse'"), ["synapse"], "database")
        found = [line for line in listing.differences(host.before, listing.everything(host)) if not kept(line)]
        assert_equal(found, [], "differences to the host before the first install")
    with check("a second uninstall changes nothing"):
        assert_contains(host.product("uninstall", "--yes").out, "0 changed")
    with check("a plain install brings the same server back", vital=True) as note:
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        all_active(host)
        assert_equal(host.read(SETTINGS).count(SERVER), 1, "server names in the settings")
    with check("old tokens, messages and media work"):
        talk(host)
    with check("--purge without the right name changes nothing"):
        for arguments in ((), ("--confirm", "other.test")):
            assert_contains(host.product("uninstall", "--purge", "--yes", *arguments, expect=(64,)).err, SERVER)
        all_active(host)
    with check("uninstall --purge succeeds", vital=True) as note:
        note(f"{purge(host).seconds:.1f} s")
    with check("files, units, accounts, roles and databases are as before the first install"):
        listing.assert_equal(host.before, listing.everything(host), "after --purge")
        assert_equal(host.units(), {}, "units")
        if host.shell("ls -d /run/synapse* 2>&1 || true").out.count("synapse") > 1:
            raise CheckFailed(host.shell("ls -lad /run/synapse*").out)


def kept(line: str) -> bool:
    """Whether a difference is data that uninstall keeps."""
    name = line[2:].split(": ")[0]
    return name in ("postgresql role synapse", "postgresql database synapse") or any(
        name == path or name.startswith(f"{path}/") for path in KEPT)
