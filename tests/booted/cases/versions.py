"""Older releases of Synapse serve users through workers and are upgraded; a release that this program does not know is asked
for its endpoints."""

import json

import pytest

from cases.full import answered_as_routed
from harness.checks import Checks
from harness.deployment import (
    EARLY_RELEASES,
    NEW_RELEASE,
    SERVER,
    SETTINGS,
    SHARED_SECRET,
    URL,
    add_test_options,
    client,
    purge,
    state,
    talk,
)
from harness.expect import assert_contains, assert_equal
from harness.host import Host
from harness.wheels import make_wheel, remove_wheel

# Few processes with every kind of work: roles that balance differently, each kind of stream writer, media, a duty.
WORKERS = (
    "clients=client_reader+event_creator+synchrotron+sliding_sync+user_dir",
    "streams=typing+to_device+account_data+presence+push_rules+receipts+device_lists",
    "federation=federation_reader+federation_inbound+federation_sender+event_persister+pusher",
    "media_repository:2",
)
ADMIN = ("GET", "/_synapse/admin/v2/users/@u:example.test")
CAPABILITIES = ("GET", "/_matrix/client/v3/capabilities")
# A release of the future: its version, and what its workers do not have any more or have in addition.
FUTURE = "1.999.0"
# Beside the endpoints of the newest release.
OTHER_ENDPOINTS = {"synapse/rest/client/capabilities.py": """

class NovelServlet(RestServlet):
    from synapse.http.servlet import parse_string
    from synapse.rest.client._base import client_patterns
    PATTERNS = client_patterns("/novel$", releases=("v1",))
    def __init__(self, hs):
        super().__init__()
    async def on_GET(self, request):
        return 200, {}

def register_servlets(hs, http_server):
    NovelServlet(hs).register(http_server)
    if hs.config.worker.worker_app is None:
        CapabilitiesRestServlet(hs).register(http_server)
"""}


@pytest.mark.bare
@pytest.mark.lane(1)
def test_versions(host: Host, check: Checks) -> None:
    """Two older releases serve users by the routes of their workers, and each is upgraded to the newest."""
    for release in EARLY_RELEASES:
        with check(f"install with Synapse {release} succeeds", vital=True) as note:
            add_test_options(host)
            settings = {"server_name": SERVER, "workers": list(WORKERS), "synapse": {"version": release}}
            host.write(SETTINGS, json.dumps(settings))
            note(f"{host.product('install', '--yes').seconds:.1f} s")
            serves(host, release)
            talk(host)
        with check(f"verify compares the routes with Synapse {release}") as note:
            probes = {row["probe"]: row["seen"] for row in host.json("verify")["probes"]}
            assert_equal(probes["endpoints"], "the routes are those of this Synapse", "endpoints")
            note(probes["routes"])
        with check("what only newer workers serve goes to main"):
            expected = ["main"] if release == EARLY_RELEASES[0] else ["clients1"]
            assert_equal(routes(host, *ADMIN), expected, " ".join(ADMIN))
            quarantine = "quarantined_media_changes" in host.read("/var/lib/synapse-workers/current/synapse/shared.d/stream_writers.yaml")
            assert_equal(quarantine, release != EARLY_RELEASES[0], "the stream of quarantined media")
        with check(f"the scenario of two users succeeds with Synapse {release}, each request by the process that `routes` names") as note:
            note(scenario(host))
        with check(f"the upgrade to {NEW_RELEASE} succeeds, and old tokens, messages and media work", vital=True) as note:
            result = host.product("upgrade", "--yes")
            note(f"{result.seconds:.1f} s")
            moved = "moves from main to client_reader" if release == EARLY_RELEASES[0] else "no request moves"
            assert_contains(result.out, f"Upgrade of Synapse {release} to {NEW_RELEASE}", moved, "redis.username")
            serves(host, NEW_RELEASE)
            talk(host)
            host.product("verify")
            assert_contains(host.product("install", "--yes").out, "0 changed")
        purge(host)


@pytest.mark.bare
@pytest.mark.lane(1)
def test_unknown_release(host: Host, check: Checks) -> None:
    """A release that this program does not know is asked before it runs: what its workers do not serve goes to main."""
    with check(f"install with Synapse {NEW_RELEASE}, whose workers answer capabilities", vital=True):
        add_test_options(host)
        host.product("install", "--server-name", SERVER, "--workers", "client_reader", "--yes")
        assert_equal(routes(host, *CAPABILITIES), ["client_reader1"], "capabilities")
        talk(host)
    with check("a release that is too old is refused with the version to use"):
        host.write(SETTINGS, host.read(SETTINGS).replace(NEW_RELEASE, "1.142.1"))
        for command in (("plan",), ("install", "--yes"), ("doctor",)):
            result = host.product(*command, expect=(65,))
            assert_contains(result.out + result.err, "Synapse 1.142.1 in synapse.version is older than 1.143",
                            f"set synapse.version to {NEW_RELEASE}")
        host.write(SETTINGS, host.read(SETTINGS).replace("1.142.1", FUTURE))
    with check("the upgrade asks Synapse, plans again and sends to main what its workers lack", vital=True) as note:
        make_wheel(host, FUTURE, OTHER_ENDPOINTS)
        result = host.product("install", "--yes")
        assert_contains(result.out, "against the endpoints of Synapse's workers", "Planning again", "verify  units")
        assert_contains(result.out + result.err, "capabilities")
        note(f"{result.seconds:.1f} s")
        serves(host, FUTURE)
        assert_equal(routes(host, *CAPABILITIES), ["main"], "capabilities")
        talk(host)
    with check("plan and verify name what the workers serve in addition; a second install prints `0 changed`") as note:
        plan = host.product("plan")
        assert_contains(plan.out + plan.err, "GET /_matrix/client/v1/novel", "0 to change")
        assert_contains(host.product("verify").out, "GET /_matrix/client/v1/novel")
        result = host.product("install", "--yes")
        assert_contains(result.out, "0 changed")
        note(f"{result.seconds:.1f} s")
    with check("back with the release before, workers answer capabilities again"):
        host.product("rollback", "--yes")
        serves(host, NEW_RELEASE)
        assert_equal(routes(host, *CAPABILITIES), ["client_reader1"], "capabilities")
        talk(host)
        assert_contains(host.product("verify").out, "the routes are those of this Synapse")
    with check("uninstall removes the record of the endpoints"):
        host.product("uninstall", "--yes")
        assert_equal(host.path("/var/lib/synapse-workers/endpoints.json").exists(), False, "record")
    purge(host)
    remove_wheel(host, FUTURE)


def serves(host: Host, release: str) -> None:
    answer = host.net("curl", "-sS", f"{URL}/_matrix/federation/v1/version").out
    assert_contains(answer, f'"{release}"')


def routes(host: Host, method: str, path: str) -> list[str]:
    """The processes that answer a request, as `routes` names them."""
    processes: list[str] = host.json("routes", method, path)["processes"]
    return processes


def scenario(host: Host) -> str:
    record = state(host, "record")
    shared = str(host.path(SHARED_SECRET))
    client(host, "scenario.py", URL, "--shared-secret-file", shared, "--record", str(record))
    return answered_as_routed(host, json.loads(record.read_text(encoding="utf-8")))
