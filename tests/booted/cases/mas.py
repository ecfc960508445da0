"""The Matrix Authentication Service, which a stand-in plays: on loopback, in a network like a container's, and switched off again."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness import mas
from harness.checks import Checks
from harness.deployment import BOOTED, CURRENT, SERVER, TEST_OPTIONS, URL, add_test_options, client, purge, talk, worker, write_settings
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import Host
from harness.mas import BRIDGE, CONTAINER, SECRET_FILE, StandIn

SETTINGS: dict[str, Any] = {
    "server_name": SERVER,
    "public_baseurl": f"https://{SERVER}/",
    # Without it, the first two need no network.
    "workers": ["synchrotron", "typing", "mas_helper"],
}
# Another address in the network of the container.
STRANGER = "172.17.0.9"
LOGIN = f"{URL}/_matrix/client/v3/login"
QUERY = "/_synapse/mas/query_user?localpart=nobody"


@pytest.mark.lane(1)
def test_mas(host: Host, check: Checks) -> None:
    """Users log in at the Matrix Authentication Service, played by a stand-in, and at Synapse again."""
    with check("install without it, and two users", vital=True) as note:
        add_test_options(host)
        write_settings(host, SETTINGS)
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        talk(host)
        before = tree(host)
    switched_on(host, check)
    stand_in = mas.near(host)
    with check("once it answers, doctor and verify say so, and no route is wrong"):
        assert_equal(finding(host)["result"], "ok", "doctor")
        assert_equal(probe(host, "mas"), f"{stand_in.url} answers", "verify")
        assert_contains(probe(host, "routes"), "answered by the right process")
        assert_contains(host.product("install", "--yes").out, "0 changed")
    logged_in(host, check, stand_in)
    contained(host, check)
    with check("switched off again: everything is as before, and the two users go on", vital=True) as note:
        add_test_options(host)
        write_settings(host, SETTINGS)
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        assert_equal(differences(before, tree(host)), [], "files of the generation that differ")
        host.product("verify")
        talk(host)
    with check("--purge removes everything"):
        stand_in.stop()
        purge(host)
        host.shell('rm "$1" "$2"', SECRET_FILE, mas.SCRIPT)
        assert_equal(host.units(), {}, "our units")


def switched_on(host: Host, check: Checks) -> None:
    on = {**SETTINGS, "mas": {"endpoint": "http://127.0.0.1:8090/", "secret_file": SECRET_FILE}}
    with check("an option that Synapse refuses beside it is refused with its place, and nothing changes"):
        mas.prepare(host)
        write_settings(host, on)
        refused = host.product("install", "--yes", expect=(64,)).err
        assert_contains(refused, f"{TEST_OPTIONS} line", "`enable_registration`: Synapse refuses it together with")
    with check("install before it runs: processes restart, and doctor and verify warn", vital=True) as note:
        lines = (BOOTED / "test-homeserver.yaml").read_text(encoding="utf-8").splitlines()
        host.write(TEST_OPTIONS, "\n".join(line for line in lines if not line.startswith("enable_registration")))
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        assert_equal(finding(host)["result"], "warn", "doctor")
        assert_contains(probe(host, "mas"), "WARNING: http://127.0.0.1:8090/ does not answer", "users cannot log in")
        assert_equal(status(host, LOGIN), "502", "status of a login")


def logged_in(host: Host, check: Checks, stand_in: StandIn) -> None:
    with check("users log in through nginx, share a room, change tokens and log out"):
        assert_contains(client(host, "mas_users.py", URL, stand_in.url).out, "ok")
        seen = json.loads(stand_in.curl(f"{stand_in.url}stand-in/seen"))
        assert_equal([path for path in ("/login", "/logout", "/refresh", "/oauth2/introspect") if not seen.get(path)], [], "not asked")
    with check("mas_helper serves its API"):
        assert_equal(host.json("routes", "POST", "/_synapse/mas/provision_user")["processes"], ["mas_helper1"], "processes")
        log = host.run("journalctl", "--quiet", "--unit=synapse-worker@mas_helper1.service", "--grep=/_synapse/mas/provision_user").out
        assert_contains(log, "Processed request")
    with check("clients find it: well-known and auth_metadata name it"):
        well_known = json.loads(host.net("curl", "--silent", f"{URL}/.well-known/matrix/client").out)
        assert_equal(well_known["org.matrix.msc2965.authentication"]["issuer"], "https://auth.example.test/", "issuer")
        assert_equal(well_known["m.homeserver"]["base_url"], f"https://{SERVER}/", "homeserver")
        metadata = json.loads(host.net("curl", "--silent", f"{URL}/_matrix/client/v1/auth_metadata").out)
        assert_equal(metadata["issuer"], "https://auth.example.test/", "issuer")
    with check("the shared secret is not readable for everybody, and not in the journal"):
        host.shell('! find /etc/synapse-workers /var/lib/synapse-workers -perm -o=r -type f -exec grep -l "$1" {} +', mas.SECRET)
        assert_equal(host.run("journalctl", "--quiet", "--unit=synapse-*", f"--grep={mas.SECRET}", expect=(0, 1)).out, "", "journal")


def contained(host: Host, check: Checks) -> None:
    box = mas.container(host)
    host.run("ip", "-n", mas.NAMESPACE, "address", "add", f"{STRANGER}/16", "dev", "eth0")
    with check("its API is closed to the container until its address is allowed"):
        assert_equal(box.ask(QUERY)["status"], 403, "status from the container")
    with check("in a container: nginx and workers reach its address, and it reaches its API", vital=True) as note:
        write_settings(host, {**SETTINGS, "mas": {"endpoint": box.url, "secret_file": SECRET_FILE, "allowed_addresses": [CONTAINER]}})
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        assert_equal(probe(host, "mas"), f"{box.url} answers", "verify")
        # Synapse knows no such user, and answers the service so.
        assert_equal(box.ask(QUERY)["status"], 404, "status from the container")
        assert_contains(client(host, "mas_users.py", URL, box.url).out, "ok")
    with check("other addresses are refused, and the container may use nothing else"):
        beside = f"http://{BRIDGE}:8008"
        assert_equal(status(host, f"{beside}{QUERY}", "--interface", STRANGER, beside=box.beside), "403", "status for a stranger")
        forged = ("--interface", STRANGER, "--header", f"X-Forwarded-For: {CONTAINER}")
        assert_equal(status(host, f"{beside}{QUERY}", *forged, beside=box.beside), "403", "status with a forged header")
        assert_equal(status(host, f"{beside}/_synapse/admin/v1/server_version", beside=box.beside), "403", "status of the admin API")
        # Others reach nginx although its own access to the network is limited.
        assert_equal(status(host, f"{beside}/_matrix/client/versions", "--interface", STRANGER, beside=box.beside), "200", "status")
    with check("nginx and processes without other needs reach its address and no other"):
        for unit in ("synapse-nginx.service", worker("synchrotron1"), worker("typing1")):
            assert_equal(reached(host, unit), {"127.0.0.0/8", "::1/128", f"{CONTAINER}/32"}, f"addresses of {unit}")
        assert_equal(reached(host, worker("mas_helper1")), set(), "addresses of a worker that reaches all")
    box.stop()
    mas.remove_container(host)


def reached(host: Host, unit: str) -> set[str]:
    """The only addresses that a unit may reach; empty if it may reach all."""
    return set(host.run("systemctl", "show", "--value", "--property=IPAddressAllow", unit).out.split())


def finding(host: Host) -> dict[str, Any]:
    rows = {row["check"]: row for row in host.json("doctor")}
    return rows["the Matrix Authentication Service answers"]


def probe(host: Host, name: str) -> str:
    """What `verify`, which succeeds, prints for a probe."""
    probes = {probe["probe"]: probe["seen"] for probe in host.json("verify")["probes"]}
    return probes[name]


def status(host: Host, url: str, *arguments: str, beside: tuple[str, ...] = ()) -> str:
    ask = ("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "20", *arguments, url)
    return host.run(*beside, *ask).out


def tree(host: Host) -> dict[str, str]:
    """The files of the generation in use and their contents, without the record of the run itself."""
    top = host.path(CURRENT).parent / host.run("readlink", CURRENT).out.strip()
    top = host.path(f"/var/lib/synapse-workers/generations/{Path(top).name}")
    files = {str(file.relative_to(top)): file.read_text(encoding="utf-8", errors="replace") for file in top.rglob("*") if file.is_file()}
    if "nginx/nginx.conf" not in files:
        raise CheckFailed(f"no generation in {top}: {sorted(files)}")
    return {name: text for name, text in files.items() if name not in ("manifest.json", "settings.yaml")}


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Names of files that differ. Options of the tests are written by the case."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
