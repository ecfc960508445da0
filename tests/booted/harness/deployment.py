"""Common parts of the cases: the package on a host, the homeserver of `full`, and assertions about it."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

from harness import listing, warm_mode
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import FAULTY, SETTINGS, Host, Result, Units, execute

BOOTED = Path(__file__).resolve().parent.parent
CLIENTS = BOOTED / "clients"
TOP = BOOTED.parent.parent
SERVER = "example.test"
URL = "http://127.0.0.1:8008"
PROGRAM = "/usr/bin/synapse-workers"
LAUNCHER = "/usr/libexec/synapse-workers/launcher"
WARM_START = "/usr/libexec/synapse-workers/warm-start"
CURRENT = "/var/lib/synapse-workers/current"
TEST_OPTIONS = "/etc/synapse-workers/homeserver.d/test.yaml"
# Data of the server and records of its changes, which every case extends.
DATA_OF_FULL = ("/var/lib/synapse", "/var/log/synapse", "/etc/synapse-workers/made.json")
SHARED_SECRET = "/etc/synapse-workers/secrets/registration_shared_secret"

# The releases of Synapse in the wheelhouse of a bare host.
OLD_RELEASE, NEW_RELEASE = "1.162.0", "1.163.2"
# The oldest supported one, and one that is half a year old.
EARLY_RELEASES = ("1.143.0", "1.153.0")
# A module in this wheelhouse.
MODULE = "synapse-s3-storage-provider==1.7.0"
OTHERS = ("synapse-workers.target", "synapse-main.service", "synapse-nginx.service", "synapse-redis.service")
# `full` is one worker of each of these.
FULL = (
    "account_data", "appservice", "background_worker", "client_reader", "device_lists", "event_creator", "event_persister",
    "federation_inbound", "federation_reader", "federation_sender", "media_repository", "presence", "push_rules", "pusher",
    "receipts", "sliding_sync", "synchrotron", "to_device", "typing", "user_dir",
)


def worker(name: str) -> str:
    return f"synapse-worker@{name}.service"


FULL_UNITS = {*OTHERS, *(worker(f"{role}1") for role in FULL)}


def package() -> Path:
    """The package under test."""
    return Path(os.environ.get("SYNAPSE_WORKERS_DEB", TOP / "build/synapse-workers.deb"))


def unpack(host: Host) -> None:
    """Unpacks the package. Starts nothing."""
    binary = os.environ.get("SYNAPSE_WORKERS_BINARY")
    if binary:
        host.push(binary, PROGRAM)
        host.run("mkdir", "--parents", os.path.dirname(LAUNCHER))
        host.push(TOP / "packaging/launcher", LAUNCHER)
        host.push(Path(binary).with_name("warm-start"), WARM_START)
    else:
        host.push(package(), "/root/package.deb")
        host.run("dpkg", "--install", "/root/package.deb")


def bring_fail_points(host: Host) -> None:
    """The program as `cargo test` builds it, with fail points."""
    built = os.environ.get("SYNAPSE_WORKERS_BINARY", TOP / "target/debug/synapse-workers")
    host.push(built, FAULTY)


def add_test_options(host: Host) -> None:
    """Writes the homeserver.d options that a test server needs."""
    host.write(TEST_OPTIONS, (BOOTED / "test-homeserver.yaml").read_text(encoding="utf-8"))


def distribution_services(host: Host) -> tuple[str, ...]:
    """Units of the distribution for programs that synapse-workers runs itself."""
    return "nginx.service", "redis-server.service", f"postgresql@{host.postgresql}-main.service"


def remember(host: Host) -> None:
    """Records the state of the host before the first install."""
    host.before = listing.everything(host)
    remember_distribution_services(host)


def remember_distribution_services(host: Host) -> None:
    """Records the invocations of the distribution's services: before the first install and after each reboot."""
    units = distribution_services(host)
    host.distribution_services = host.invocations(*units)
    assert_equal(set(host.distribution_services), set(units), "units of the distribution that run")


def install(host: Host) -> Result:
    """Installs one worker of each role with the options for tests, and records the state of the host for `return_to_full`."""
    # An earlier case, such as `faults`, may have restarted PostgreSQL.
    remember_distribution_services(host)
    add_test_options(host)
    result = host.product("install", "--server-name", SERVER, "--workers", "full", "--yes")
    host.settings_of_full, host.with_full = host.read(SETTINGS), listing.everything(host)
    return result


def return_to_full(host: Host) -> None:
    """Returns a host to the state that `install` recorded, by its settings and a plain install; fails if these do not suffice."""
    if host.read(SETTINGS) != host.settings_of_full:
        host.write(SETTINGS, host.settings_of_full)
    host.product("install", "--yes")
    all_active(host)
    host.product("verify")
    assert_equal(services_down(host), "", "failed units of the host")
    found = [line for line in listing.differences(host.with_full, listing.everything(host)) if not line[2:].startswith(DATA_OF_FULL)]
    assert_equal(found, [], "differences to the host after the install")


def all_active(host: Host, wanted: Set[str] = frozenset(FULL_UNITS)) -> Units:
    """Asserts that exactly these units are loaded and active, as they are on disk, with their socket units."""
    units = host.units()
    states = {name: (unit["ActiveState"], unit["NeedDaemonReload"]) for name, unit in units.items()}
    wrong = {name: state for name, state in states.items() if state != ("active", "no")}
    if warm_mode.MODE:
        units = {name: unit for name, unit in units.items() if name in wanted or not warm_mode.is_fork_server(name)}
    if wrong or set(units) != set(wanted):
        raise CheckFailed(f"not active: {wrong}; missing: {set(wanted) - set(units)}; unwanted: {set(units) - set(wanted)}")
    serving = [unit for unit in wanted if unit.startswith(("synapse-main.", "synapse-worker@", "synapse-nginx.service"))]
    assert_equal(host.held(), {unit.replace(".service", ".socket") for unit in serving}, "sockets that systemd holds")
    return units


def jobs(text: str) -> list[tuple[str, ...]]:
    """Verb and services of each step that is a job, from the output of a plan or a run. Sockets go with their services.

    With SYNAPSE_WORKERS_WARM, without fork servers, which the case does not expect.
    """
    def counts(unit: str) -> bool:
        return not (unit.endswith(".socket") or warm_mode.MODE and warm_mode.is_fork_server(unit))

    found = re.findall(r"^! (\w+) +((?:synapse-\S+(?:\s+|$))+)", text, re.M)
    steps = [(verb, *filter(counts, units.split())) for verb, units in found]
    return [step for step in steps if step[1:]]


def behind_nginx(stopped: Iterable[str], started: Iterable[str]) -> list[tuple[str, ...]]:
    """The jobs that replace main and these workers while connections wait at nginx's sockets."""
    nginx, main = "synapse-nginx.service", "synapse-main.service"
    return [("stop", nginx), ("stop", *stopped), ("stop", main), ("start", main), ("start", *started), ("start", nginx)]


def assert_equal_except(before: Mapping[str, Any], after: Mapping[str, Any], *apart: str) -> None:
    """Asserts that two dicts are equal except for these units."""
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} - set(apart)
    if changed:
        raise CheckFailed(f"restarted, gone or new: {sorted(changed)}")


def client(host: Host, script: str, *arguments: str) -> Result:
    """Runs one of the Matrix clients in the network of the host."""
    return host.net("python3", str(CLIENTS / script), *arguments)


def talk(host: Host) -> None:
    """Asserts that earlier users can use their tokens, messages and media, and receive a new message."""
    assert_contains(client(host, "two_users.py", URL, str(state(host, "talk"))).out, "ok")


def prepared_load(host: Host) -> str:
    """The file with users, rooms and tokens for the load; created if it is missing."""
    file = state(host, "load")
    if not file.exists():
        client(host, "load.py", URL, "--state", str(file), "--prepare")
    return str(file)


def state(host: Host, name: str) -> Path:
    """A file of this machine with a client's state for a host; it is removed with the files of the host."""
    return host.root.parent / f"{name}.json"


def purge(host: Host) -> Result:
    """Removes the server and the state of its clients."""
    result = host.product("uninstall", "--purge", "--confirm", SERVER, "--yes")
    forget_clients(host)
    return result


def forget_clients(host: Host) -> None:
    """Removes the state of the clients of a removed server."""
    for file in host.root.parent.glob("*.json"):
        file.unlink()


def generation(host: Host) -> tuple[str, list[str]]:
    """The target of `current`, and all generations."""
    return os.readlink(host.path(CURRENT)), sorted(os.listdir(host.path("/var/lib/synapse-workers/generations")))


def services_down(host: Host) -> str:
    """The failed units of the whole host."""
    return host.run("systemctl", "list-units", "--failed", "--no-legend", "--plain").out


def psql(host: Host, query: str, database: str = "postgres") -> list[str]:
    return host.run("runuser", "-u", "postgres", "--", "psql", "-XAtc", query, database).out.split()


def outside(*command: str | Path, **options: Any) -> Result:
    """A command of this machine, not in any host."""
    return execute(command, **options)


def write_settings(host: Host, values: dict[str, Any], path: str = SETTINGS) -> None:
    """Writes JSON, which is YAML: a quoted string there is the value, character by character."""
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items())
    host.shell('mkdir -p "$(dirname "$1")" && cat >"$1"', path, stdin=lines)
