"""Two homeservers on two booted hosts, with certificates of Pebble that each verifies.

The first one is found at port 8448 of its name, the second one by /.well-known/matrix/server, at port 443.
"""

import time
from typing import Any

import pytest

from harness import pebble
from harness.checks import Checks
from harness.deployment import SERVER, URL, add_test_options, client, purge, state, unpack, write_settings
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import Host, execute

OTHER, OTHER_NAME = "second.test", "matrix.second.test"
HERE, THERE = "192.0.2.1", "192.0.2.2"
ROOT = "/usr/local/share/ca-certificates/pebble.crt"
# Documentation addresses are special, so Synapse sends no request to them unless it is permitted.
OPTIONS = f"""
federation_custom_ca_list: [{ROOT}]
ip_range_whitelist: [192.0.2.0/24]
trusted_key_servers: []
"""


@pytest.mark.slow
def test_federation(host: Host, check: Checks) -> None:
    """A second homeserver finds this one, joins a room and exchanges messages, with verified certificates."""
    with check("a second host, and a network between them", vital=True):
        other = Host(f"{host.name}-other")
    try:
        unpack(other)
        connect(host, other)
        homeservers(host, other, check)
        messages(host, other, check)
    finally:
        other.stop()
    purge(host)
    pebble.end(host)
    host.shell('rm -f "$1" && update-ca-certificates --fresh', ROOT)


def connect(host: Host, other: Host) -> None:
    """A cable between two hosts. One of them has the name server of both."""
    ends = [host.leader(), other.leader()]
    execute(["ip", "link", "add", "cable", "netns", ends[0], "type", "veth", "peer", "name", "cable", "netns", ends[1]])
    for one, address in ((host, HERE), (other, THERE)):
        one.shell('ip address add "$1/24" dev cable; ip link set cable up; rm -f /etc/resolv.conf; '
                  'echo "nameserver $2" >/etc/resolv.conf', address, HERE)


def install(host: Host, **settings: Any) -> None:
    """Installs a homeserver whose certificate Pebble issues."""
    add_test_options(host)
    host.write("/etc/synapse-workers/homeserver.d/federation.yaml", OPTIONS)
    order = {"server": pebble.DIRECTORY, "ca_file": f"{pebble.CA}/ca.pem"}
    write_settings(host, settings | {"tls": {"acme": order} | settings.get("tls", {})})
    assert_contains(host.product("install", "--yes").out, "certificate: issued, valid until ")


def homeservers(host: Host, other: Host, check: Checks) -> None:
    with check("Pebble issues certificates for both", vital=True) as note:
        begun = time.monotonic()
        pebble.prepare(host, f"{HERE}:53")
        for name, address in ((SERVER, HERE), (OTHER, THERE), (OTHER_NAME, THERE)):
            pebble.names(host, "add-a", host=name, addresses=[address])
        pebble.start(host)
        root, internal = (host.read(path) for path in (pebble.ROOT, f"{pebble.CA}/ca.pem"))
        other.shell('echo "$1 $2" >>/etc/hosts', HERE, pebble.NAME)
        for one in (host, other):
            one.write(ROOT, root)
            one.write(f"{pebble.CA}/ca.pem", internal)
            one.run("update-ca-certificates")
        # Nothing is at port 443 of the name, so it leads to port 8448.
        install(host, server_name=SERVER, tls={"port": 4443})
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


def messages(host: Host, other: Host, check: Checks) -> None:
    with check("a user of the second homeserver joins a room of the first one by its alias", vital=True) as note:
        room = act(host, "create", "meeting")
        assert_equal(act(other, "join", f"#meeting:{SERVER}"), room, "room")
        note(room)
    with check("messages arrive in both directions"):
        for sender, receiver, text in ((host, other, "from 8448"), (other, host, "from 443"), (host, other, "again")):
            event = act(sender, "say", room, text)
            act(receiver, "hear", room, event, text)
    with check("the requests came over port 8448 and port 443"):
        for one, port in ((host, 8448), (other, 443)):
            listening = one.run("ss", "-Hltn", f"sport = :{port}").out
            if not listening:
                raise CheckFailed(f"nothing listens at {port}")
        assert_equal(host.run("ss", "-Hltn", "sport = :443").out, "", f"listeners at port 443 of {SERVER}")
