"""nginx: its account has root make files, and requests of a size that Synapse refuses become an outage."""

import json

from cases.attacks.common import Victim, as_account, bounded, changed, helpful, undone
from harness.checks import Checks
from harness.deployment import SETTINGS
from harness.expect import assert_contains, assert_equal
from harness.host import Host

# Method, path, a long header, size of the body.
Request = tuple[str, str, str, int]
LOGS = "/var/log/synapse-workers/nginx"
CLIENT = """
import http.client, json, sys
method, path, header, size = json.load(sys.stdin)
connection = http.client.HTTPConnection("127.0.0.1", 8008, timeout=60)
connection.putrequest(method, path, skip_accept_encoding=True)
connection.putheader("X-Forwarded-For", "203.0.113.9")
if header:
    connection.putheader("X-Long", header)
if size:
    connection.putheader("Content-Length", str(size))
connection.endheaders()
try:
    for _ in range(size >> 16):
        connection.send(b" " * 65536)
    connection.send(b" " * (size & 65535))
except OSError:
    pass
answer = connection.getresponse()
body = answer.read().decode(errors="replace")
print(json.dumps([answer.status, dict(answer.getheaders()), body[:2000]]))
"""
VERSIONS, SEND = "/_matrix/client/versions", "/_matrix/federation/v1/send/1"
MEBIBYTE = 1 << 20
# Requests, with the codes that are right: Synapse reads lines of up to 16 KiB, and bodies of up to 12.5 MiB where a
# process has no media.
SIZES = (
    ("a URI of 20,000 bytes", ("GET", f"{VERSIONS}?{'a' * 20_000}", "", 0), (414,)),
    ("a URI of 16,500 bytes", ("GET", f"{VERSIONS}?{'a' * 16_500}", "", 0), (414,)),
    ("a header of 20,000 bytes", ("GET", VERSIONS, "a" * 20_000, 0), (400, 431, 494)),
    ("a header of 16,500 bytes", ("GET", VERSIONS, "a" * 16_500, 0), (400, 431, 494)),
    ("a body of 13.1 MiB", ("PUT", SEND, "", int(13.1 * MEBIBYTE)), (413,)),
    ("a body of 15 MiB", ("PUT", SEND, "", 15 * MEBIBYTE), (413,)),
    ("a body of 16 MiB", ("PUT", SEND, "", 16 * MEBIBYTE), (413,)),
)


def run(host: Host, check: Checks) -> None:
    with check("B1: the access log is a link into a directory of root's: root makes no file there"):
        makes(host)
    for what, request, codes in SIZES:
        with check(f"C3: {what}: refused by nginx as Matrix does, no 502") as note:
            note(too_large(host, request, codes))


def makes(host: Host) -> None:
    victim = Victim(host)
    target = f"{victim.place}/made"
    with undone(host, f"cd {LOGS}; rm -f access.log; mv access.log.aside access.log; systemctl reload synapse-nginx.service"):
        as_account(host, "synapse-nginx", 'cd "$1"; mv access.log access.log.aside; ln -s "$2" access.log', LOGS, target)
        host.write(SETTINGS, changed("client_keepalive_timeout", "62s"))
        result = bounded(host, 120, "install", "--yes", expect=None)
        victim.unchanged()
        if result.code != 0:
            assert result.code in (1, 65, 75), str(result)
            helpful(result, "nginx", "the host is as it was before")
        assert_equal(answered(host, ("GET", VERSIONS, "", 0))[0], 200, "nginx's answer")


def answered(host: Host, request: Request) -> tuple[int, dict[str, str], str]:
    """Status, headers by their names in small letters, and the beginning of the body."""
    status, headers, body = json.loads(host.net("python3", "-c", CLIENT, stdin=json.dumps(request)).out)
    return status, {name.lower(): value for name, value in headers.items()}, body


def too_large(host: Host, request: Request, codes: tuple[int, ...]) -> str:
    status, headers, body = answered(host, request)
    assert status in codes, f"{status}\n{headers}\n{body}"
    assert_equal(headers.get("access-control-allow-origin"), "*", "Access-Control-Allow-Origin")
    assert_contains(headers.get("content-type", ""), "application/json")
    assert_contains(json.loads(body)["errcode"], "M_")
    return str(status)
