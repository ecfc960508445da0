"""A Synapse that the package manager or pip of the administrator upgrades: the newest release, and the commands to use."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.checks import Checks
from harness.deployment import NEW_RELEASE
from harness.expect import assert_contains, assert_equal
from harness.host import Host

PYTHON = "/opt/venvs/matrix-synapse/bin/python"
PACKAGE, INSTALLED, CANDIDATE = "matrix-synapse-py3", f"{NEW_RELEASE}+test1", "1.999.0+test1"
# Everything that dpkg and apt change.
CHANGED = "/var/lib/dpkg /var/lib/apt /var/cache/apt /etc/apt /var/log/dpkg.log /var/log/apt"
SAVE = "mkdir /run/saved; for path in $1; do [ ! -e $path ] || cp --archive --parents $path /run/saved; done"
RESTORE = "rm -rf $1 /srv/packages && cp --archive /run/saved/. / && rm -r /run/saved"
# Installs a package with the directory of Synapse's metadata, and adds a repository with a newer one.
PACKAGES = """
place=$(echo /opt/venvs/matrix-synapse/lib/python3*/site-packages/matrix_synapse-*.dist-info)
mkdir -p /srv/packages "/run/package/DEBIAN" "/run/package$place"
for version in "$2" "$3"; do
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: T <t@example.test>\nDescription: of a test\n' "$1" "$version" \
        >/run/package/DEBIAN/control
    dpkg-deb --build /run/package "/srv/packages/$version.deb" >/dev/null
done
rm -r /run/package
dpkg --install "/srv/packages/$2.deb"
cd /srv/packages
{
    dpkg-deb --field "$3.deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n' "$3.deb" "$(stat --format=%s "$3.deb")" "$(sha256sum "$3.deb" | cut -d ' ' -f 1)"
} >Packages
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/packages ./' >/etc/apt/sources.list
apt-get update
"""


@pytest.mark.installed
def test_upgrade_package(host: Host, check: Checks) -> None:
    """The package manager or pip upgrades Synapse: the newest release, and the commands to use."""
    before = host.invocations()
    with check("for a Synapse in a Python of the administrator, `upgrade --check` asks its pip") as note:
        result = host.product("upgrade", "--check")
        assert_equal(result.out, f"Synapse {NEW_RELEASE} runs, and no newer release is available\n", "line")
        assert_contains(host.product("upgrade", "--yes").out, "is the newest release, and runs")
        refused = host.product("upgrade", "1.163.9", "--yes", expect=(65,))
        assert_contains(refused.err, "was not installed by synapse-workers",
                        f"help: {PYTHON} -m pip install matrix-synapse==1.163.9 && synapse-workers install")
        note(f"{result.seconds:.1f} s")
    with packaged(host):
        with check("for a package, `upgrade --check` asks apt, and exits with 2"):
            result = host.product("upgrade", "--check", expect=(2,))
            line = f"Synapse {NEW_RELEASE} runs, and {CANDIDATE} is available: synapse-workers upgrade\n"
            assert_equal(result.out + result.err, line, "line")
        with check("`upgrade` names the commands of the package manager"):
            refused = host.product("upgrade", "--yes", expect=(65,))
            assert_contains(refused.err, CANDIDATE, f"help: apt-get install --only-upgrade {PACKAGE} && synapse-workers install")
        with check("without a newer package, `upgrade --check` exits with 0"):
            host.shell("rm /etc/apt/sources.list && apt-get update")
            assert_contains(host.product("upgrade", "--check").out, "no newer release is available")
            assert_contains(host.product("upgrade").out, "is the newest release, and runs")
    with check("no process was restarted"):
        assert_equal(host.invocations(), before, "invocations")


@contextmanager
def packaged(host: Host) -> Iterator[None]:
    """Synapse belongs to a package for a while."""
    host.shell(SAVE, CHANGED)
    try:
        host.shell(PACKAGES, PACKAGE, INSTALLED, CANDIDATE)
        yield
    finally:
        host.shell(RESTORE, CHANGED)
