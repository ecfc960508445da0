"""Several booted hosts on one bridge, with sshd and keys between them, and a PostgreSQL that all of them reach."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from harness.deployment import unpack
from harness.expect import wait_until
from harness.host import Host, execute

NETWORK = "10.77.0"
PASSWORD, PASSWORD_FILE = "pw of the test", "/root/database-password"
# The bridge is in the network namespace of the first host; each other host has a cable to it.
BRIDGE = 'ip link add hosts type bridge && ip link set hosts up && ip address add "$1/24" dev hosts'
# A PostgreSQL for all hosts, as its administrator sets it up.
DATABASE = """
version=$(ls /etc/postgresql)
printf "listen_addresses = 'localhost,%s'\nmax_connections = 300\n" "$1" >"/etc/postgresql/$version/main/conf.d/network.conf"
printf 'host synapse synapse %s.0/24 scram-sha-256\n' "$2" >>"/etc/postgresql/$version/main/pg_hba.conf"
systemctl restart "postgresql@$version-main"
runuser -u postgres -- psql -qc "create role synapse login password '$3'"
runuser -u postgres -- psql -qc "create database synapse owner synapse encoding 'UTF8' lc_collate 'C' lc_ctype 'C' template template0"
umask 077; printf %s "$3" >"$4"
"""


def address(number: int) -> str:
    """The address of a host; the first host has number 0."""
    return f"{NETWORK}.{number + 1}"


@contextmanager
def hosts(first: Host, names: Sequence[str], *options: str) -> Iterator[list[Host]]:
    """Boots more hosts with these options, and connects them with the first one."""
    others: list[Host] = []
    try:
        for name in names:
            others.append(Host(f"{first.name}-{name}", *options))
            unpack(others[-1])
        first.shell(BRIDGE, address(0))
        for number, other in enumerate(others, 1):
            connect(first, other, number)
        yield others
    finally:
        for other in others:
            other.stop()


def connect(first: Host, other: Host, number: int) -> None:
    """A cable from a host to the bridge."""
    ends, cable = (first.leader(), other.leader()), f"to-{number}"
    execute(["ip", "link", "add", cable, "netns", ends[0], "type", "veth", "peer", "name", "cable", "netns", ends[1]])
    first.shell('ip link set "$1" master hosts up', cable)
    other.shell('ip address add "$1/24" dev cable && ip link set cable up', address(number))


def crash(first: Host, other: Host, number: int) -> None:
    """Ends a host as a power failure does. It boots again, with its cable: without it, its workers would wait for the first host."""
    leader = other.root.parent / "leader"
    before = other.leader()
    with ThreadPoolExecutor(1) as pool:
        rebooted = pool.submit(other.reboot, "--abrupt")
        wait_until("another PID 1", lambda: leader.exists() and leader.read_text().strip() not in ("", before), 60)
        connect(first, other, number)
        rebooted.result()


def keys(first: Host, others: Sequence[Host]) -> None:
    """The administrator can log in on every other host, without a password."""
    first.shell("mkdir -p -m 700 /root/.ssh && ssh-keygen -q -N '' -t ed25519 -f /root/.ssh/id_ed25519")
    public = first.read("/root/.ssh/id_ed25519.pub")
    for number, other in enumerate(others, 1):
        other.shell("mkdir -p -m 700 /root/.ssh && cat >/root/.ssh/authorized_keys && ssh-keygen -A", stdin=public)
        # It has to run after a reboot too.
        other.run("systemctl", "enable", "--quiet", "--now", "ssh.service")
        first.run("ssh", "-o", "StrictHostKeyChecking=accept-new", f"root@{address(number)}", "true")


def administrator(first: Host, other: Host, name: str) -> None:
    """An account of another host that may use sudo without a password, and to which the key of the first host's root leads."""
    other.shell('useradd --create-home "$1" && echo "$1 ALL=(ALL) NOPASSWD: ALL" >"/etc/sudoers.d/$1" && '
                'install -d -m 700 -o "$1" "/home/$1/.ssh" && install -m 600 -o "$1" /dev/stdin "/home/$1/.ssh/authorized_keys"', name,
                stdin=first.read("/root/.ssh/id_ed25519.pub"))


def database(first: Host) -> None:
    first.shell(DATABASE, address(0), NETWORK, PASSWORD, PASSWORD_FILE)
