"""The contents of a host: every file with its identity, the units, the accounts."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from harness.expect import CheckFailed
from harness.host import Host

# Runs in the host. Prints path, kind, mode, owner, group and, for files, a value that changes with their contents.
WALK = r"""
import hashlib, json, os, stat, sys
roots, apart, by = json.load(sys.stdin)
apart, device, found = set(apart), os.lstat("/").st_dev, {}
def note(path):
    status = os.lstat(path)
    entry = [stat.filemode(status.st_mode), status.st_uid, status.st_gid]
    if stat.S_ISLNK(status.st_mode):
        entry.append(os.readlink(path))
    elif stat.S_ISREG(status.st_mode) and by == "contents":
        if path.startswith("/etc/"):
            entry.append(hashlib.sha256(open(path, "rb").read()).hexdigest())
        else:
            entry += [status.st_size, status.st_mtime_ns]
    if by == "times":
        entry += [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    found[path] = entry
    return status
for root in roots:
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if os.path.join(directory, name) not in apart]
        for name in names + files:
            path = os.path.join(directory, name)
            if path not in apart:
                status = note(path)
                if name in names and status.st_dev != device:
                    names.remove(name)
json.dump(found, sys.stdout)
"""

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
    return json.loads(host.run("python3", "-c", WALK, stdin=json.dumps([roots, apart, by])).out)


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
    return walk(host, ["/etc", "/opt", "/usr/local", "/var/lib", "/srv"], (cluster(host), "/var/lib/systemd", "/var/lib/redis"), "times")


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
