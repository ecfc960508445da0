"""Two homeservers on two booted hosts, with certificates of Pebble that each verifies.

The first one is found at port 8448 of its name, the second one by /.well-known/matrix/server, at port 443. Then the first one
moves to a third host, by a backup.
"""

import time
from typing import Any

import pytest

from harness import cluster, pebble
from harness.checks import Checks
from harness.deployment import SERVER, URL, add_test_options, client, purge, state, write_settings
from harness.documents import commands
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import Host, execute

OTHER, OTHER_NAME = "second.test", "matrix.second.test"
HERE, THERE, NEW = (cluster.address(number) for number in range(3))
REPOSITORY, PASSWORD = "/srv/backup", "/root/backup_password"
ROOT = "/usr/local/share/ca-certificates/pebble.crt"
# Synapse sends no request to private addresses unless it is permitted.
OPTIONS = f"""
federation_custom_ca_list: [{ROOT}]
ip_range_whitelist: [{cluster.NETWORK}.0/24]
trusted_key_servers: []
"""


@pytest.mark.slow
def test_federation(host: Host, check: Checks) -> None:
    """A second homeserver finds this one, joins a room and exchanges messages, with verified certificates."""
    with cluster.hosts(host, ["other", "new"]) as (other, new):
        for one in (host, other, new):
            one.shell('rm -f /etc/resolv.conf; echo "nameserver $1" >/etc/resolv.conf', HERE)
        homeservers(host, other, new, check)
        room = messages(host, other, check)
        move(host, other, new, room, check)
    pebble.end(host)
    host.shell('rm -rf "$1" "$2" "$3" && update-ca-certificates --fresh', ROOT, REPOSITORY, PASSWORD)


def install(host: Host, **settings: Any) -> None:
    """Installs a homeserver whose certificate Pebble issues."""
    add_test_options(host)
    host.write("/etc/synapse-workers/homeserver.d/federation.yaml", OPTIONS)
    order = {"server": pebble.DIRECTORY, "ca_file": f"{pebble.CA}/ca.pem"}
    write_settings(host, settings | {"tls": {"acme": order} | settings.get("tls", {})})
    assert_contains(host.product("install", "--yes").out, "certificate: issued, valid until ")


def homeservers(host: Host, other: Host, new: Host, check: Checks) -> None:
    with check("Pebble issues certificates for both", vital=True) as note:
        begun = time.monotonic()
        pebble.prepare(host, f"{HERE}:53")
        for name, address in ((SERVER, HERE), (OTHER, THERE), (OTHER_NAME, THERE)):
            pebble.names(host, "add-a", host=name, addresses=[address])
        pebble.start(host)
        root, internal = (host.read(path) for path in (pebble.ROOT, f"{pebble.CA}/ca.pem"))
        for one in (other, new):
            one.shell('echo "$1 $2" >>/etc/hosts', HERE, pebble.NAME)
        for one in (host, other, new):
            one.write(ROOT, root)
            one.write(f"{pebble.CA}/ca.pem", internal)
            one.run("update-ca-certificates")
        # Nothing is at port 443 of the name, so it leads to port 8448.
        install(host, server_name=SERVER, tls={"port": 4443}, backup={"repository": REPOSITORY})
        install(other, server_name=OTHER, public_baseurl=f"https://{OTHER_NAME}/", serve_server_wellknown=True)
        note(f"two, in {time.monotonic() - begun:.0f} s")
    with check("each verifies the certificate of the other one"):
        keys = "/_matrix/key/v2/server"
        for one, url in ((other, f"https://{SERVER}:8448{keys}"), (host, f"https://{OTHER_NAME}{keys}")):
            one.run("curl", "--silent", "--fail", "--cacert", ROOT, url)
            # With an authority that is not Pebble's, and without those of the host.
            one.run("curl", "--silent", "--fail", "--cacert", f"{pebble.CA}/ca.pem", "--capath", pebble.CA, url, expect=(60,))
    with check("reach finds that others reach the second one, and how the first one is reached"):
        assert_contains(other.product("reach").out, f"{OTHER} leads to {OTHER_NAME}:443", f"signed by {OTHER} with ed25519:")
        found = host.json("reach", expect=(0, 1))["steps"]
        keys = [step["text"] for step in found if step["step"] == "server keys" and step["result"] == "ok"]
        assert_equal(len(keys), 1, "keys over 8448")


def act(host: Host, *step: str) -> str:
    return client(host, "federated.py", URL, str(state(host, "federated")), *step).out.strip()


def messages(host: Host, other: Host, check: Checks) -> str:
    with check("a user of the second homeserver joins a room of the first one by its alias", vital=True) as note:
        room = act(host, "create", "meeting")
        assert_equal(act(other, "join", f"#meeting:{SERVER}"), room, "room")
        note(room)
    with check("messages arrive in both directions"):
        converse(room, host, other)
    with check("the requests came over port 8448 and port 443"):
        for one, port in ((host, 8448), (other, 443)):
            listening = one.run("ss", "-Hltn", f"sport = :{port}").out
            if not listening:
                raise CheckFailed(f"nothing listens at {port}")
        assert_equal(host.run("ss", "-Hltn", "sport = :443").out, "", f"listeners at port 443 of {SERVER}")
    return room


def converse(room: str, one: Host, other: Host) -> None:
    """Users of two homeservers talk and hear each other."""
    for sender, receiver, text in ((one, other, "a question"), (other, one, "an answer"), (one, other, "thanks")):
        event = act(sender, "say", room, text)
        act(receiver, "hear", room, event, text)


def move(host: Host, other: Host, new: Host, room: str, check: Checks) -> None:
    """The first homeserver is lost, and a host that never had one gets its backup."""
    with check("the first homeserver is backed up and lost", vital=True):
        host.product("backup", "now")
        host.run("cp", "/etc/synapse-workers/secrets/backup_password", PASSWORD)
        key, user = host.read("/var/lib/synapse/signing.key"), state(host, "federated").read_text(encoding="utf-8")
        purge(host)
    with check("a host that never had a server gets it by the commands of `Restore on another host`", vital=True) as note:
        for path in (REPOSITORY, PASSWORD):
            execute(["cp", "--archive", str(host.path(path)), str(new.path(path))])
        pebble.names(host, "clear-a", host=SERVER)
        pebble.names(host, "add-a", host=SERVER, addresses=[NEW])
        note(f"{commands(new, 'backup.md', '## Restore on another host').seconds:.1f} s")
        assert_equal(new.read("/var/lib/synapse/signing.key"), key, "signing key")
        new.run("curl", "--silent", "--fail", "--cacert", ROOT, f"https://{SERVER}:8448/_matrix/key/v2/server")
    with check("its user continues with the same token, and both talk in the same room"):
        state(new, "federated").write_text(user, encoding="utf-8")
        converse(room, new, other)
