"""Requests to another homeserver: which process of ours sends them, with and without `sandbox.network: senders`."""

import json
from urllib.parse import quote

from harness.deployment import CLIENTS, SETTINGS, URL, worker
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.host import Host

ADDRESS, PORT = "127.0.0.1", 18448
# A name with a port is looked up as it is: no DNS server, which the hosts of tests do not have, is asked for more.
OTHER = f"other.test:{PORT}"
PROGRAM, UNIT, LOG = "/root/other_homeserver.py", "other-homeserver", "/root/other_homeserver.log"
CERTIFICATE, KEY = "/etc/ssl/other.pem", "/root/other.key"
OPTIONS = "/etc/synapse-workers/homeserver.d/other.yaml"
# Synapse sends no requests to addresses of the host itself by default.
ALLOWED = f"ip_range_whitelist: [{ADDRESS}/32]\nfederation_custom_ca_list: [{CERTIFICATE}]\n"
SENDER = worker("federation_sender1")
# Workers that keep the network with `auto` only because they send requests to other homeservers.
ASKING = {worker(f"{role}1") for role in (
    "background_worker", "client_reader", "device_lists", "event_persister", "federation_inbound", "federation_reader", "user_dir")}


def begin(host: Host) -> None:
    """Another homeserver, and options that let ours ask it."""
    host.push(CLIENTS / "other_homeserver.py", PROGRAM)
    host.shell(f"echo {ADDRESS} other.test >>/etc/hosts")
    host.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
             "-subj", "/CN=other.test", "-addext", "subjectAltName=DNS:other.test", "-keyout", KEY, "-out", CERTIFICATE)
    host.run("systemd-run", "--quiet", f"--unit={UNIT}", "python3", PROGRAM, ADDRESS, str(PORT), CERTIFICATE, KEY, LOG)
    wait_until("the other homeserver", lambda: host.run("ss", "-Htln", f"sport = :{PORT}").out.strip())
    host.write(OPTIONS, ALLOWED)


def end(host: Host) -> None:
    host.run("systemctl", "stop", UNIT)
    host.shell("sed -i /other.test/d /etc/hosts")
    host.run("rm", "--force", PROGRAM, LOG, CERTIFICATE, KEY, OPTIONS)


def asked(host: Host, *command: str) -> tuple[str, set[tuple[str, str]]]:
    """The paths for which the other homeserver was asked by a request to ours, and the units of the processes that asked."""
    host.run("rm", "--force", LOG)
    answer = host.run("curl", "--silent", "--show-error", "--max-time", "60", *command).out
    lines = host.run("cat", LOG, expect=(0, 1)).out.splitlines()
    if not lines:
        raise CheckFailed(f"{OTHER} received no request\n{answer}")
    found = set()
    for line in lines:
        path, process = line.split()
        unit = host.run("ps", "-o", "unit=", "-p", process).out.strip()
        found.add((path, unit))
    return answer, found


def sent_by(host: Host, reader: str, keeper: str) -> None:
    """Checks by which units an alias of the other homeserver is looked up, and its keys."""
    # Another alias each time: a failure or an answer may be remembered.
    alias = quote(f"#{reader.partition('@')[2]}:{OTHER}")
    answer, found = asked(host, f"{URL}/_matrix/client/v3/directory/room/{alias}")
    assert_contains(answer, f"!room:{OTHER}")
    assert_equal(found, {("/_matrix/federation/v1/query/directory", reader)}, "who looked up the alias")
    keys = json.dumps({"server_keys": {OTHER: {"ed25519:1": {"minimum_valid_until_ts": 1}}}})
    _, found = asked(host, "--json", keys, f"{URL}/_matrix/key/v2/query")
    assert_equal(found, {("/_matrix/key/v2/server", keeper)}, "who fetched the keys")


def refused(host: Host, settings: str) -> None:
    """Without a federation sender nothing would be sent, and nothing is changed."""
    before = host.read(SETTINGS)
    host.write(SETTINGS, settings.replace("workers: full", "workers: [client_reader]"))
    result = host.product("install", "--yes", expect=(64,))
    assert_contains(result.err, "`sandbox.network` is senders", "federation_sender", "auto")
    host.write(SETTINGS, before)
