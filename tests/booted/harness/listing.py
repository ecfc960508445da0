"""The contents of a host: every file with its identity, the units, the accounts."""

from collections.abc import Iterator, Sequence
from typing import Any

from harness.expect import CheckFailed
from harness.host import Host

# For find(1): mode, owner, group, size, times of contents and status, target of a link, path.
FORMAT = r"%M\0%U\0%G\0%s\0%T@\0%C@\0%l\0%p\0"

# An entry for each path, unit and account.
Listing = dict[str, Any]
# Paths that other programs change, or that change when they are read.
BY_ITSELF = (
    "/var/log/journal", "/var/log/postgresql", "/var/log/nginx", "/var/log/redis",  # of the distribution's services
    "/var/log/wtmp",  # systemd of Debian 12 notes each boot there
    "/var/tmp",  # private directories of the distribution's services, renamed at each boot
    "/var/lib/systemd",  # random seed, stamps of timers
    "/var/lib/redis",  # the distribution's Redis saves when it likes
    # Backups of the account files by systemd-sysusers and userdel.
    "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/etc/.pwd.lock",
)


def walk(host: Host, roots: Sequence[str], apart: Sequence[str], by: str) -> Listing:
    """Everything below these directories but the paths `apart`: by `contents`, or by `times`, so that every write shows."""
    leave = [word for path in apart for word in ("-path", path, "-prune", "-o")]
    fields = iter(host.run("find", *roots, "-xdev", *leave, "-printf", FORMAT).out.split("\0")[:-1])
    sums = sums_of(host, "/etc") if by == "contents" and "/" in roots else {}
    found = {}
    for mode, owner, group, size, written, changed, target, path in zip(*[fields] * 8, strict=True):
        entry = [mode, owner, group, target]
        if by == "times":
            entry += [size, written, changed]
        elif mode.startswith("-"):
            entry += [sums[path]] if path in sums else [size, written]
        found[path] = entry
    return found


def sums_of(host: Host, root: str) -> dict[str, str]:
    """The SHA-256 of each file below this directory, whose files programs write again without a change."""
    out = host.shell('find "$1" -xdev -type f -exec sha256sum --zero {} +', root).out
    return {path: checksum for checksum, path in (line.split("  ", 1) for line in out.split("\0")[:-1])}


def cluster(host: Host) -> str:
    """PostgreSQL writes there whether or not it is used; its databases and roles are queried instead."""
    return f"/var/lib/postgresql/{host.postgresql}/main"


def everything(host: Host) -> Listing:
    """Files by contents, units and unit files as systemd lists them, roles and databases of PostgreSQL."""
    unit_files = host.run("systemctl", "list-unit-files", "--no-legend", "--plain").out.splitlines()
    units = host.run("systemctl", "list-units", "--all", "--no-legend", "--plain").out.splitlines()
    databases = "select 'role ' || rolname from pg_roles union all select 'database ' || datname from pg_database"
    postgres = host.run("runuser", "-u", "postgres", "--", "psql", "-XAtc", databases).out.splitlines()
    return {
        **walk(host, ["/"], (*BY_ITSELF, cluster(host)), "contents"),
        **{f"unit file {line.split()[0]}": line.split()[1] for line in unit_files},
        **{f"unit {line.split()[0]}": line.split()[1] for line in units if volatile(line.split()[0])},
        **{f"postgresql {line}": True for line in postgres},
    }


def volatile(unit: str) -> bool:
    """Whether a unit counts: devices, mounts, scopes and automatic slices change without this program."""
    return not unit.endswith((".device", ".mount", ".scope", ".swap", ".slice"))


def untouched(host: Host) -> Listing:
    """The parts of a host that a refused command might have changed, with times, so that every write shows."""
    # /opt/venvs is Synapse's package, with more files than all the rest.
    apart = cluster(host), "/var/lib/systemd", "/var/lib/redis", "/opt/venvs"
    return walk(host, ["/etc", "/opt", "/usr/local", "/var/lib", "/srv"], apart, "times")


def differences(before: Listing, after: Listing) -> Iterator[str]:
    """Paths and units that differ, with a sign in front as in a plan."""
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"- {name}"
        elif name not in before:
            yield f"+ {name}"
        elif before[name] != after[name]:
            yield f"~ {name}: {before[name]} -> {after[name]}"


def assert_equal(before: Listing, after: Listing, what: str) -> None:
    found = list(differences(before, after))
    if found:
        raise CheckFailed(f"{what}: {len(found)} differences\n" + "\n".join(found[:40]))
