"""With the Matrix Authentication Service, played by a stand-in, a user stays on one sync process with every new token."""

import json
from typing import Any

import pytest

from harness import mas
from harness.checks import Checks
from harness.deployment import BOOTED, SERVER, TEST_OPTIONS, URL, client, purge, worker, write_settings
from harness.expect import CheckFailed, assert_equal, wait_until
from harness.host import Host
from harness.mas import SECRET_FILE, StandIn

SETTINGS: dict[str, Any] = {
    "server_name": SERVER,
    "workers": ["synchrotron:3", "client_reader"],
    "mas": {"endpoint": "http://127.0.0.1:8090/", "secret_file": SECRET_FILE},
}
SYNCS = {worker(f"synchrotron{number}") for number in (1, 2, 3)}
WHOAMI = worker("client_reader1")
# Requests per token.
EACH = 2
# The longest time that nginx waits for whoami, and one that a busy machine may need beside it.
PATIENCE, SLACK = 2, 5
USERS = "/var/lib/synapse-workers/nginx/users"


@pytest.mark.lane(1)
def test_mas_sync(host: Host, check: Checks) -> None:
    """A user stays on one sync process with every token of the Matrix Authentication Service."""
    with check("install with three sync processes", vital=True) as note:
        mas.prepare(host)
        stand_in = mas.near(host)
        lines = (BOOTED / "test-homeserver.yaml").read_text(encoding="utf-8").splitlines()
        host.write(TEST_OPTIONS, "\n".join(line for line in lines if not line.startswith("enable_registration")))
        write_settings(host, SETTINGS)
        note(f"{host.product('install', '--yes').seconds:.1f} s")
    with check("one user stays on one sync process over 100 token changes, and whoami is asked once per token") as note:
        seen = stayed(host, stand_in, users=3, tokens=100)
        note(f"{300 * 60 / seen['seconds']:.0f} tokens per minute, half of the syncs within {1000 * seen['median']:.0f} ms")
    with check("users are spread over the processes"):
        seen = synced(host, stand_in, users=24, tokens=1)
        units = [units for tokens in seen["users"].values() for requests in tokens for units in requests]
        assert_equal(set().union(*units) & SYNCS, SYNCS, "processes")
    with check("nginx stores no whole token, and only its account can read what it stores"):
        assert_equal(host.run("stat", "--format=%a %U", USERS).out, "700 synapse-nginx\n", "mode and owner")
        assert_equal(host.shell('grep -rahEo "KEY: .*" "$1" | grep -vE "^KEY: [A-Za-z0-9]{16}$" || true', USERS).out, "", "other keys")
        assert_equal(host.shell('grep -rlE "mat_|Bearer" "$1" || true', USERS).out, "", "files with tokens")
    with check("while whoami is down, syncs go to a process by their token, without delay") as note:
        host.run("systemctl", "stop", WHOAMI)
        seen = synced(host, stand_in, users=3, tokens=10, wait=False)
        if seen["slowest"] > PATIENCE:
            raise CheckFailed(f"a sync took {seen['slowest']:.1f} s")
        host.run("systemctl", "start", WHOAMI)
        note(f"slowest {seen['slowest']:.2f} s")
    with check("while whoami hangs, the first sync with a token waits two seconds") as note:
        host.run("systemctl", "kill", "--signal=STOP", WHOAMI)
        try:
            seen = synced(host, stand_in, users=3, tokens=2, wait=False)
        finally:
            host.run("systemctl", "kill", "--signal=CONT", WHOAMI)
        if not PATIENCE <= seen["slowest"] < PATIENCE + SLACK:
            raise CheckFailed(f"the slowest sync took {seen['slowest']:.1f} s")
        note(f"slowest {seen['slowest']:.2f} s, median {seen['median']:.2f} s")
    with check("the same over TCP and without socket activation", vital=True) as note:
        write_settings(host, SETTINGS | {"sockets": {"public": False, "held": False}})
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        stayed(host, stand_in, users=2, tokens=10)
    with check("--purge removes everything"):
        stand_in.stop()
        purge(host)
        host.shell('rm "$1" "$2"', SECRET_FILE, mas.SCRIPT)
        assert_equal(host.units(), {}, "our units")


def stayed(host: Host, stand_in: StandIn, users: int, tokens: int) -> dict[str, Any]:
    """Asserts that each user had one sync process, and that whoami was asked for the first request with each token."""
    seen = synced(host, stand_in, users, tokens)
    for name, requests_of in seen["users"].items():
        processes = {process for requests in requests_of for units in requests for process in units & SYNCS}
        assert_equal(len(processes), 1, f"sync processes of {name}, which are {sorted(processes)}")
        asked = [[WHOAMI in units for units in requests] for requests in requests_of]
        # The last token is one of Synapse, which contains the user.
        assert_equal(asked, [[True, False]] * tokens + [[False, False]], "requests for which whoami was asked")
    return seen


def synced(host: Host, stand_in: StandIn, users: int, tokens: int, wait: bool = True) -> dict[str, Any]:
    """Users sync EACH times with each of their tokens. Returns the result of mas_tokens.py, with units for markers."""
    seen = json.loads(client(host, "mas_tokens.py", URL, stand_in.url, str(users), str(tokens), str(EACH)).out)
    marker = f"probe-{seen['run']}-[0-9]+"
    markers = [one for tokens in seen["users"].values() for requests in tokens for one in requests]

    def complete() -> dict[str, set[str]] | None:
        found = host.processed(marker)
        return found if all(found.get(one, set()) & SYNCS for one in markers) else None

    units = wait_until("the requests are in the journal", complete) if wait else host.processed(marker)
    seen["users"] = {name: [[units.get(one, set()) for one in requests] for requests in tokens] for name, tokens in seen["users"].items()}
    return seen
