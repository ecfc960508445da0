"""A server that Debian's package of Synapse runs, with users in PostgreSQL, is adopted and restored."""

import re

from harness import listing
from harness.adopted import DATA, ETC, FILE, HOMESERVER, PASSWORD, PYTHON, SERVICE, SERVICE_FILE, UNIT, VENV, make, unmake
from harness.checks import Checks
from harness.deployment import SERVER, SETTINGS, all_active, jobs, psql, talk
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import Host, Result

# Contents, ownership and permissions of the old server's files.
THEIRS = f"find {ETC} {UNIT} -exec stat --format '%n %U:%G %a' {{}} + | sort; find {ETC} -type f -exec sha256sum {{}} + | sort"


def test_adopt(host: Host, check: Checks) -> None:
    """A server of Debian's package, with its users, is adopted and restored."""
    with check("a server of Debian's package serves users", vital=True):
        make(host)
        talk(host)
        theirs = host.shell(THEIRS).out
    try:
        adopted(host, check, theirs)
    finally:
        unmake(host)
    with check("after the removal of the old server the host is as before"):
        listing.assert_equal(host.before, listing.everything(host), "afterwards")


def adopted(host: Host, check: Checks, theirs: str) -> None:
    begun = host.invocations(SERVICE)
    with check("plan --adopt lists the steps for the old server and changes nothing"):
        result = host.product("plan", "--adopt", FILE, "--preset", "small")
        assert_contains(result.out, f"! stop    {SERVICE}", f"- disable {SERVICE}", "synapse/adopted/00-homeserver.yaml")
        without_password(result.out + result.err)
        assert_equal(host.invocations(SERVICE), begun, "invocation of the old service")
        assert_equal(host.path(SETTINGS).exists(), False, "settings file")
    with check("a Python without the packages of workers is refused with the command that installs them, and nothing is written"):
        site = host.shell('dirname "$1"/lib/python3*/site-packages/txredisapi-*.dist-info', VENV).out.strip()
        host.shell('mkdir /root/aside; mv "$1"/txredisapi-*.dist-info /root/aside', site)
        try:
            before = listing.untouched(host)
            for command in (("plan",), ("install", "--yes")):
                result = host.product(command[0], "--adopt", FILE, "--preset", "small", *command[1:], expect=(65,))
                assert_contains(result.err, f"{PYTHON} -m pip install 'txredisapi>=1.4.12,<1.6.0'")
            # Without workers it does not matter.
            host.product("plan", "--adopt", FILE, "--workers", "")
            listing.assert_equal(before, listing.untouched(host), "after the refusals")
        finally:
            host.shell('mv /root/aside/* "$1"; rmdir /root/aside', site)
        assert_equal(host.invocations(SERVICE), begun, "invocation of the old service")
        assert_equal(host.path(SETTINGS).exists(), False, "settings file")
    with check("a server whose account is root, or administers the host through a group, is refused with the remedy"):
        host.write(UNIT, SERVICE_FILE.replace("User=matrix-synapse\n", ""))
        host.run("systemctl", "daemon-reload")
        result = host.product("install", "--adopt", FILE, "--preset", "small", "--yes", expect=(65,))
        assert_contains(result.err, f"{SERVICE} runs Synapse as root", "User=matrix-synapse")
        host.write(UNIT, SERVICE_FILE)
        host.run("systemctl", "daemon-reload")
        for group in ("shadow", "disk"):
            host.run("gpasswd", "--add", "matrix-synapse", group)
            result = host.product("install", "--adopt", FILE, "--preset", "small", "--yes", expect=(65,))
            assert_contains(result.err, f"matrix-synapse is in the group {group}", f"gpasswd --delete matrix-synapse {group}")
            host.run("gpasswd", "--delete", "matrix-synapse", group)
        host.shell("echo toor:x:0:0::/:/usr/sbin/nologin >>/etc/passwd")
        host.write(UNIT, SERVICE_FILE.replace("User=matrix-synapse", "User=toor"))
        host.run("systemctl", "daemon-reload")
        result = host.product("install", "--adopt", FILE, "--preset", "small", "--yes", expect=(65,))
        assert_contains(result.err, "toor has the user ID of the administrator of this host")
        host.write(UNIT, SERVICE_FILE)
        host.shell("sed -i /^toor:/d /etc/passwd; systemctl daemon-reload")
        assert_equal(host.path(SETTINGS).exists(), False, "settings file")
    with check("options that Synapse's parser refuses leave the old server unchanged"):
        host.write(f"{ETC}/conf.d/zz.yaml", "turn_user_lifetime: never\n")
        result = host.product("install", "--adopt", FILE, "--preset", "small", "--yes", expect=(1,))
        assert_contains(result.err, "Synapse refuses the configuration", "the host is as it was before",
                        "the adopted file zz.yaml sets `turn_user_lifetime`")
        assert_equal(host.invocations(SERVICE), begun, "invocation of the old service")
        host.run("rm", f"{ETC}/conf.d/zz.yaml")
    with check("install --adopt with workers succeeds", vital=True) as note:
        result = host.product("install", "--adopt", FILE, "--preset", "small", "--yes")
        assert_contains(result.out, f"! stop    {SERVICE}", "note: listener metrics on port 9008 is not imported", "note: log_config")
        without_password(result.out + result.err)
        note(f"{result.seconds:.1f} s")
    with check("old tokens, messages and media work behind nginx and workers"):
        talk(host)
        units = host.units()
        assert len([name for name in units if name.startswith("synapse-worker@")]) > 2, units
        all_active(host, set(units))
        assert_equal(host.run("systemctl", "is-enabled", SERVICE, expect=(1,)).out.strip(), "disabled", SERVICE)
        assert_equal(host.run("systemctl", "is-active", SERVICE, expect=(3,)).out.strip(), "inactive", SERVICE)
        assert_equal(host.shell(THEIRS).out, theirs, "files of the old server")
        assert_equal(psql(host, "select datname from pg_database where datname = 'synapse'"), [], "a database of ours")
    with check("the settings file has the imported values and no password"):
        text = host.read(SETTINGS)
        for line in (f"server_name: {SERVER}", "http_port: 8008", "max_upload_size: 7M", "kind: external", "user: matrix-synapse",
                     f"service: {SERVICE}", f"media_store_path: {DATA}/media"):
            assert re.search(f"^ *{re.escape(line)}$", text, re.M), f"no {line!r} in:\n{text}"
        without_password(text)
        found = host.shell('grep -rlF -- "$1" /etc/synapse-workers /var/lib/synapse-workers | xargs stat --format "%A %n"', PASSWORD).out
        open_ones = [line for line in found.splitlines() if line[7:10] != "---"]
        assert_equal(open_ones, [], "world-readable files with the password")
        assert_contains(found, "adopted/00-homeserver.yaml")
    with check("a second install prints `0 changed`"):
        assert_contains(host.product("install", "--adopt", FILE, "--yes").out, "0 changed")
    with check("an edit of the adopted file is planned with the necessary restart"):
        host.write(FILE, HOMESERVER + "allow_public_rooms_without_auth: true\n")
        plan = host.product("plan").out
        assert_contains(plan, "~ synapse/adopted/00-homeserver.yaml")
        assert {verb for verb, *_ in jobs(plan)} == {"restart"}, plan
        host.write(FILE, HOMESERVER)
    with check("uninstall restores the old server and starts it", vital=True) as note:
        result = host.product("uninstall", "--yes")
        assert_contains(result.out, f"! start   {SERVICE}", f"+ enable  {SERVICE}")
        note(f"{result.seconds:.1f} s")
    with check("the old server serves its users, and no unit of synapse-workers runs"):
        assert_equal(host.run("systemctl", "is-enabled", SERVICE).out.strip(), "enabled", SERVICE)
        assert_equal(host.run("systemctl", "is-active", SERVICE).out.strip(), "active", SERVICE)
        talk(host)
        assert_equal(host.units(), {}, "units")
        assert_equal(host.shell(THEIRS).out, theirs, "files of the old server")
    with check("uninstall --purge leaves the old server unchanged") as note:
        note(f"{purge_ours(host).seconds:.1f} s")
        talk(host)
        assert_equal(host.shell(THEIRS).out, theirs, "files of the old server")


def purge_ours(host: Host) -> Result:
    """The clients' state stays, for the old server has it."""
    return host.product("uninstall", "--purge", "--confirm", SERVER, "--yes")


def without_password(text: str) -> None:
    if PASSWORD in text:
        raise CheckFailed(f"the password is in:\n{text}")
