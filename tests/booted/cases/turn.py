"""Calls: users who log in get credentials of the TURN server, no relay reaches the internal network, and Element Call finds
its transports.
"""

import json
from typing import Any

from harness import listing
from harness.checks import Checks
from harness.deployment import SERVER, SETTINGS, URL, add_test_options, client, jobs, purge, worker
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Host

COTURN = "synapse-coturn.service"
SECRET = "/etc/synapse-workers/secrets/turn_shared_secret"
# An address of this host, one that stands for its neighbours, and one that stands for the internet.
OWN, NEIGHBOUR, FAR = "10.77.0.1", "10.77.0.2", "192.0.1.1"
CERTIFICATE, KEY = "/etc/ssl/private/calls.pem", "/etc/ssl/private/calls.key"
TEXT = f"""\
server_name: {SERVER}
workers: [client_reader]
public_baseurl: https://matrix.example.test/
rtc: {{livekit_service_url: https://matrix.example.test/livekit/jwt}}
coturn: {{enabled: true, internal_ip: {OWN}, metrics: true}}
tls: {{certificate: {CERTIFICATE}, key: {KEY}}}
"""
ADDRESSES = f"""
for address in {OWN} {NEIGHBOUR} {FAR}; do
    ip address add $address/32 dev lo
    systemd-run --quiet --unit=peer-$address turnutils_peer -p 3480 -L $address
done
"""
# Three messages to a peer that sends them back, over each transport at once; the output is shown on failure.
RELAY = """
name=$1 password=$2
for way in udp tcp tls; do
    case $way in udp) flags=;; tcp) flags=-t;; tls) flags='-t -S -p 5349';; esac
    timeout 60 turnutils_uclient $flags -c -n 3 -e "$3" -u "$name" -w "$password" "$4" >/tmp/$way 2>&1 &
    eval $way=$!
done
failed=
wait $udp || failed="$failed udp"
wait $tcp || failed="$failed tcp"
wait $tls || failed="$failed tls"
for way in udp tcp tls; do echo "-- $way"; tail -n 6 /tmp/$way; done
echo "failed:$failed"
"""
# How often the text on standard input occurs in places that every account can read.
SHOWN = """
secret=$(cat)
{ ps -eww -o args; cat /proc/[0-9]*/environ; systemctl show 'synapse-*'
  grep -rhF -- "$secret" /var/lib/synapse-workers /etc/systemd; } >/run/shown 2>/dev/null || true
grep -acF -- "$secret" /run/shown || true
rm /run/shown
"""


def test_turn(host: Host, check: Checks) -> None:
    """Users who log in call through the TURN server, no relay reaches the internal network, and Element Call works."""
    add_test_options(host)
    host.shell(ADDRESSES)
    certificate(host, "first.test")
    with check("install with a TURN server succeeds", vital=True) as note:
        host.write(SETTINGS, TEXT)
        result = host.product("install", "--yes")
        note(f"{result.seconds:.1f} s")
        assert_contains(host.product("install", "--yes").out, "0 changed")
    with check("Synapse gives a user its addresses and credentials", vital=True):
        given = credentials(host)
        assert_equal(given["uris"], [
            "turn:matrix.example.test:3478?transport=udp", "turn:matrix.example.test:3478?transport=tcp",
            "turns:matrix.example.test:5349?transport=tcp",
        ], "addresses")
        assert_equal(given["ttl"], 86400, "seconds")
    with check("Element Call finds its transports, and delayed events are postponed and sent"):
        found = json.loads(client(host, "element_call.py", URL).out)
        assert_equal(found, [{"type": "livekit", "livekit_service_url": "https://matrix.example.test/livekit/jwt"}], "transports")
    with check("coturn relays over UDP, TCP and TLS with these credentials"):
        out = relay(host, given, FAR)
        assert_contains(out, "failed:\n")
        assert_equal(out.count("Total lost packets 0 "), 3, "ways without loss")
    with check("coturn relays to a peer that uses the same TURN server"):
        assert_contains(relay(host, given, OWN), "failed:\n")
    with check("the metrics count the relays in use"):
        counted = host.run("curl", "--silent", "--fail", "http://127.0.0.1:20006/metrics").out
        assert_contains(counted, "\nturn_relay_ports 500\n")
        used = int(counted.partition('\nturn_total_allocations{type="UDP"} ')[2].split()[0])
        # Earlier relays are released after some time.
        assert 0 < used <= 500, counted
    with check("coturn refuses a wrong password"):
        out = relay(host, given | {"password": "AAAA" + given["password"][4:]}, OWN)
        assert_contains(out, "failed: udp tcp tls", "Cannot complete Allocation")
    with check("coturn refuses relays to internal addresses and to this host"):
        for peer in (NEIGHBOUR, "127.0.0.1"):
            out = relay(host, given, peer)
            assert_contains(out, "failed: udp tcp tls")
            assert_equal(out.count("error 403 (Forbidden IP)") >= 3, True, f"refusals of {peer}")
    with check("coturn refuses TCP relays, which could send HTTP requests from this host"):
        refused = host.run("turnutils_uclient", "-T", "-n", "1", "-u", given["username"], "-w", given["password"], OWN, expect=(255,))
        assert_contains(refused.out + refused.err, "TCP Transport is not allowed")
    with check("coturn has no console, and only root and Synapse can read its secret"):
        sockets = host.run("ss", "-lntup").out
        places = {line.split()[4] for line in sockets.splitlines() if '"turnserver"' in line}
        # Relays of a moment ago may still be there.
        others = {place for place in places if not 49153 <= int(place.rpartition(":")[2]) <= 49652}
        assert_equal(others, {f"{OWN}:3478", f"{OWN}:5349"}, "where it listens")
        secret = host.read(SECRET).strip()
        assert_equal(host.shell(SHOWN, stdin=secret).out, "0\n", "places that show the secret")
        found = host.run("stat", "--format", "%U:%G %a", SECRET, SECRET.replace("turn_shared_secret", "turnserver.conf")).out
        assert_equal(found.split("\n")[:2], ["root:synapse 640", "root:root 600"], "ownership and permissions")
    with check("coturn loads a renewed certificate without a restart"):
        invocation = host.invocations(COTURN)
        certificate(host, "second.test")
        wait_until("the new certificate", lambda: "second.test" in host.shell(
            "openssl s_client -connect \"$1\" </dev/null 2>&1 || true", f"{OWN}:5349").out)
        assert_equal(host.invocations(COTURN), invocation, "coturn")
    with check("another install keeps the secret; a provided one restarts the units that read it", vital=True) as note:
        assert_contains(host.product("install", "--yes").out, "0 changed")
        assert_equal(host.read(SECRET).strip(), secret, "the secret")
        result = host.run("env", "SYNAPSE_TURN_SECRET=of the \"administrator\";", "synapse-workers", "install", "--yes")
        wanted = {COTURN, "synapse-main.service", worker("client_reader1")}
        acted = {unit for verb, *units in jobs(result.out) for unit in units if verb in ("restart", "stop", "start")}
        assert_equal(acted, wanted, "restarted")
        note(f"{result.seconds:.1f} s")
        assert "administrator" not in result.out, "the secret is printed"
    with check("relays work with the new secret"):
        out = relay(host, credentials(host), FAR)
        assert_contains(out, "failed:\n")
    with check("uninstall --purge removes it"):
        purge(host)
        host.shell(f"systemctl stop 'peer-*'; rm {CERTIFICATE} {KEY}")
        for address in (OWN, NEIGHBOUR, FAR):
            host.run("ip", "address", "del", f"{address}/32", "dev", "lo")
        listing.assert_equal(host.before, listing.everything(host), "after --purge")


def certificate(host: Host, name: str) -> None:
    host.shell(f"""umask 077; cd /etc/ssl/private
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" -keyout new.key -out new.pem 2>/dev/null
        mv new.pem {CERTIFICATE}; mv new.key {KEY}""", name)


def credentials(host: Host) -> dict[str, Any]:
    return json.loads(client(host, "turn_server.py", URL).out)


def relay(host: Host, given: dict[str, Any], peer: str) -> str:
    """The output of the relays over three transports to a peer."""
    return host.shell(RELAY, given["username"], given["password"], peer, OWN).out
