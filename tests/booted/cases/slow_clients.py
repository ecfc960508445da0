"""Clients that are slow or send too much: they harm no other client, and get an error that a web client can read."""

import json
import re
import subprocess

from harness.answers import fetch
from harness.checks import Checks, Note
from harness.deployment import CLIENTS, SERVER, purge
from harness.expect import CheckFailed, assert_equal
from harness.host import SCRIPT, Host

# The host, two attackers and another client, each with an address that is not the loopback's.
FRONT, HEADER, BODY, OTHER = (f"198.51.100.{number}" for number in (1, 7, 8, 9))
URL = f"http://{FRONT}:8008"
CONNECTIONS, SECONDS = 4096, 60
# Seconds that no answer may take. A connection that the kernel drops is tried again after one second.
SLOWEST = 0.9
# Of the connections that an attacker keeps trying to hold, the share that it holds for the case to prove anything.
HELD = 0.75
PER_CLIENT = 512
MAIN = ("synapse-main.socket", "synapse-main.service")
MIB = 1 << 20
# The largest body that Synapse accepts.
BODY_MAX = 200 * 65536


def test_slow_clients(host: Host, check: Checks) -> None:
    """Thousands of half requests, and requests that are too large."""
    with check("install without workers succeeds", vital=True):
        host.product("install", "--server-name", SERVER, "--workers", "", "--yes")
        for address in (FRONT, HEADER, BODY, OTHER):
            host.net("ip", "address", "add", f"{address}/32", "dev", "lo")
    with check(f"{CONNECTIONS} connections with half a header and as many with half a body: other clients are served throughout") as note:
        besieged(host, note)
    with check("a client is limited to the configured number of requests in progress; the host itself is not"):
        counted(host)
    errors(host, check)
    with check("--purge"):
        purge(host)
        for address in (FRONT, HEADER, BODY, OTHER):
            host.net("ip", "address", "delete", f"{address}/32", "dev", "lo")


def start(host: Host, script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [SCRIPT, "net", host.name, "--", "python3", str(CLIENTS / script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def besieged(host: Host, note: Note) -> None:
    """The other client begins with the attackers, so it also asks while they open their connections."""
    attackers = [start(host, "slow_client.py", source, FRONT, 8008, half, CONNECTIONS, SECONDS)
                 for source, half in ((HEADER, "header"), (BODY, "body"))]
    other = start(host, "polling_client.py", OTHER, FRONT, 8008, SECONDS)
    said, *attacks = (process.communicate()[0].strip() for process in (other, *attackers))
    for line in (said, *attacks):
        note(line)
    if other.returncode:
        raise CheckFailed(said)
    slowest = float(said.rpartition(" ")[2])
    if slowest > SLOWEST:
        raise CheckFailed(f"an answer took {slowest} s")
    for attack in attacks:
        held = int(re.search(r": ([0-9]+) held", attack)[1])
        if held < HELD * CONNECTIONS:
            raise CheckFailed(f"the attack was weaker than meant: {attack}")


def counted(host: Host) -> None:
    for source, address, most in ((BODY, FRONT, PER_CLIENT), ("127.0.0.1", "127.0.0.1", PER_CLIENT + 100)):
        said = start(host, "slow_client.py", source, address, 8008, "body", PER_CLIENT + 100, 5).communicate()[0]
        refused = int(found[1]) if (found := re.search(r", 429 ([0-9]+)", said)) else 0
        opened = int(re.search(r"opened ([0-9]+)", said)[1])
        assert_equal(opened - refused, most, f"requests in progress ({said})")


def refusal(host: Host, code: int, errcode: str, url: str, *options: str) -> None:
    """Sends a request that nginx itself refuses."""
    status, _, headers, body = fetch(host, url, *options)
    assert_equal((status, headers.get("content-type"), headers.get("access-control-allow-origin")),
                 (code, "application/json", "*"), f"answer to {url[:60]} {' '.join(options)[:60]} ({body[:200]!r})")
    assert_equal(json.loads(body)["errcode"], errcode, "errcode")


def errors(host: Host, check: Checks) -> None:
    with check("malformed requests and unknown paths get a Matrix error"):
        refusal(host, 400, "M_UNKNOWN", f"{URL}/_matrix/client/versions", "--header", "Host:")
        refusal(host, 404, "M_UNRECOGNIZED", f"{URL}/nothing.html")
        refusal(host, 403, "M_FORBIDDEN", f"{URL}/_synapse/admin/v1/server_version")
    versions = f"{URL}/_matrix/client/versions"
    with check("a large URI or header is refused by nginx or answered by Synapse"):
        for size in (1000, 8000, 13000):
            assert_equal(fetch(host, f"{versions}?{'a' * size}")[0], 200, f"URI of {size}")
            assert_equal(fetch(host, versions, "--header", f"X-Long: {'a' * size}")[0], 200, f"header of {size}")
        for size in (13500, 15000, 16000, 16384, 20000, 32000, 40000, 100000):
            refusal(host, 414, "M_TOO_LARGE", f"{versions}?{'a' * size}")
            refusal(host, 431, "M_TOO_LARGE", versions, "--header", f"X-Long: {'a' * size}")
        # As many headers as Synapse accepts, up to one with which nginx refuses them.
        for count in range(20, 40, 2):
            headers = [part for number in range(count) for part in ("--header", f"X-{number}: {'a' * 500}")]
            status = fetch(host, versions, *headers)[0]
            assert_equal(status in (200, 431), True, f"{count} headers of 500 ({status})")
        refusal(host, 431, "M_TOO_LARGE", versions, *headers)
    with check("a large body is refused by nginx or answered by Synapse"):
        send = f"{URL}/_matrix/federation/v1/send/1"
        fill = 'printf "{}" >/tmp/body; head --bytes=$(($1 - 2)) /dev/zero | tr "\\0" " " >>/tmp/body'
        for size in (int(12.4 * MIB), BODY_MAX):
            host.shell(fill, str(size))
            assert_equal(fetch(host, send, "--upload-file", "/tmp/body")[0], 401, f"body of {size}")
        for size in (BODY_MAX + 1, 13 * MIB, 15 * MIB, 16 * MIB, 17 * MIB):
            host.shell(fill, str(size))
            for how in ((), ("--header", "Transfer-Encoding: chunked")):
                refusal(host, 413, "M_TOO_LARGE", send, "--upload-file", "/tmp/body", *how)
        # A path that only nginx takes for an upload has no higher limit.
        refusal(host, 404, "M_UNRECOGNIZED", f"{URL}/_matrix/media/v3%2Fupload", "--request", "POST", "--data-binary", "@/tmp/body")
        host.run("rm", "/tmp/body")
    with check("an unreachable process gets a Matrix error"):
        host.run("systemctl", "stop", *MAIN)
        refusal(host, 502, "M_UNKNOWN", versions)
        host.run("systemctl", "start", *MAIN)
        host.product("verify")
