"""Missing programs: refused with the command that installs them, or installed as a step of the plan that is shown and confirmed."""

from harness import deployment
from harness.checks import Checks
from harness.deployment import LAUNCHER, PROGRAM, SERVER, talk
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import Host
from harness.terminal import at_a_terminal

# The host has no archive, so that one is made of its own packages before they go.
REPACK = """
mkdir -p /srv/archive; cd /srv/archive
for package in "$@"; do
    rm -rf tree; mkdir -p tree/DEBIAN
    dpkg-query --status "$package" |
        awk '/^(Status|Conffiles):/ { skip = /^Conffiles/; next } /^[^ ]/ { skip = 0 } !skip' >tree/DEBIAN/control
    for script in preinst postinst prerm postrm conffiles; do
        [ ! -e "/var/lib/dpkg/info/$package.$script" ] || cp "/var/lib/dpkg/info/$package.$script" "tree/DEBIAN/$script"
    done
    # Debian 12 lists /lib, which is a link.
    dpkg --listfiles "$package" | while read -r path; do [ -d "$path" ] && [ -L "$path" ] || echo "$path"; done |
        tar --create --no-recursion --ignore-failed-read --file=- --files-from=- 2>/dev/null | tar --extract --directory=tree --file=-
    dpkg-deb -Zgzip -z1 --build tree . >/dev/null
done
rm -rf tree
for file in *.deb; do
    dpkg-deb --field "$file"
    digest=$(sha256sum "$file" | cut --delimiter=' ' --fields=1)
    printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n\\n' "$file" "$(stat --format=%s "$file")" "$digest"
done >Packages
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/archive ./' >/etc/apt/sources.list
apt-get --quiet=2 update
"""
# The server's programs and those of metrics. Their dependencies stay.
GONE = ("nginx", "redis-server", "mtail", "prometheus-nginx-exporter")
BROUGHT = "prometheus-nginx-exporter.service"
# Here before, and in use by its administrator.
KEPT = "prometheus-redis-exporter.service"
ENVIRONMENT = "SYNAPSE_METRICS=yes\n"
INSTALL = ("install", "--server-name", SERVER, "--preset", "small", "--env-file", "/root/synapse.env")


def test_programs(host: Host, check: Checks) -> None:
    """Missing programs are a step of the plan, shown and confirmed."""
    with check("the host lacks nginx, Redis, mtail and an exporter", vital=True):
        host.shell(REPACK, *GONE)
        # The package depends on some of them and is removed with them: the program alone comes back.
        host.shell('mkdir /root/program; cp -aT "$1" /root/program/binary; cp -aT "$2" /root/program/launcher', PROGRAM, LAUNCHER)
        host.run("apt-get", "remove", "--quiet=2", "--yes", *GONE)
        host.shell('mkdir -p "$(dirname "$2")"; cp -aT /root/program/binary "$1"; cp -aT /root/program/launcher "$2"; rm -r /root/program',
                   PROGRAM, LAUNCHER)
        # So that its service is enabled again when it comes back.
        host.run("apt-get", "purge", "--quiet=2", "--yes", GONE[-1])
        host.run("systemctl", "enable", "--now", KEPT)
        host.write("/root/synapse.env", ENVIRONMENT)
        deployment.add_test_options(host)
    with check("install is refused with the command that installs them"):
        refused = host.product(*INSTALL, "--yes", expect=(65,)).err
        assert_contains(refused, "missing: nginx, redis, ", "apt-get install -y", "synapse-workers install --packages")
        assert_equal(installed(host), set(), "packages")
    with check("--packages: a failed preflight check refuses before the installation"):
        host.shell("mkdir /srv/media; chown daemon: /srv/media")
        host.write("/root/synapse.env", ENVIRONMENT + "SYNAPSE_MEDIA_STORE_PATH=/srv/media\n")
        refused = host.product(*INSTALL, "--packages", "--yes", expect=(65,)).err
        assert_contains(refused, "media_store_path: /srv/media exists and belongs to daemon")
        assert "missing:" not in refused, refused
        assert_equal(installed(host), set(), "packages")
        host.write("/root/synapse.env", ENVIRONMENT)
    with check("at a terminal the packages are a step of the plan; the answer no installs nothing"):
        shown = at_a_terminal(host, "n", *INSTALL, "--packages", expect=(1,)).out
        assert_contains(shown, "+ install nginx redis ", "with apt-get install -y nginx redis-server", "+ write   generation 1",
                        "nothing was changed")
        assert_equal((installed(host), host.path("/etc/synapse-workers/settings.yaml").exists()), (set(), False), "packages, settings")
    with check("the package manager fails: incomplete, with the command to run"):
        host.run("mv", "/srv/archive", "/srv/away")
        failed = host.product(*INSTALL, "--packages", "--yes", expect=(70,)).err
        host.run("mv", "/srv/away", "/srv/archive")
        assert_contains(failed, "apt-get failed", "To continue, run: synapse-workers install --packages")
    with check("the answer yes installs the packages and applies the plan without a second question", vital=True) as note:
        result = at_a_terminal(host, "y", *INSTALL, "--packages")
        assert_equal(result.out.count("[y/N]"), 1, "questions")
        assert_equal(installed(host), set(GONE), "packages")
        note(f"{result.seconds:.1f} s")
        host.product("verify")
        talk(host)
    with check("services of new packages are disabled; an earlier one is not"):
        assert_equal((state(host, BROUGHT), state(host, KEPT)), (("disabled", "inactive"), ("enabled", "active")), "services")
    with check("programs are installed, and a later step fails: incomplete, with the command to run"):
        deployment.purge(host)
        host.run("apt-get", "remove", "--quiet=2", "--yes", "mtail")
        deployment.bring_fail_points(host)
        failed = host.faulty("fail@switch", *INSTALL, "--packages", "--yes", expect=(70,)).err
        assert_contains(failed, "requests a failure here", "The programs that this run installed remain; nothing else was changed.")
        assert_equal(installed(host), set(GONE), "packages")
        assert_equal(host.shell("ls /etc/systemd/system/synapse-* 2>/dev/null || true").out, "", "unit files")
    with check("no service of the host has failed"):
        assert_equal(deployment.services_down(host), "", "failed units")


def installed(host: Host) -> set[str]:
    """Which of the packages are there."""
    text = host.run("dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *GONE, expect=(0, 1)).out
    return {line.split()[0] for line in text.splitlines() if line.endswith(" installed")}


def state(host: Host, unit: str) -> tuple[str, ...]:
    """Whether it starts with the host, and whether it runs."""
    asked = [host.run("systemctl", verb, unit, expect=None).out.strip() for verb in ("is-enabled", "is-active")]
    if not all(asked):
        raise CheckFailed(f"{unit}: {asked}")
    return tuple(asked)
