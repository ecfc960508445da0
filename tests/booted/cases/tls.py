"""nginx as the reverse proxy: HTTPS with a certificate that is renewed, a Unix socket, and the paths that are closed."""

import json
import subprocess
import time
from typing import Any

from cases import sandbox
from harness import answers, listing
from harness.answers import Answer
from harness.checks import Checks
from harness.deployment import CLIENTS, SETTINGS, add_test_options, purge, talk
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.host import SCRIPT, Host

NAME = "matrix.example.test"
LIVE, ARCHIVE = "/etc/letsencrypt/live/x", "/etc/letsencrypt/archive/x"
SOCKET = "/run/matrix/nginx.sock"
NGINX, SERVICE, PATH = "synapse-nginx.service", "synapse-certificate.service", "synapse-certificate.path"
COPY = "/var/lib/synapse-workers/tls/synapse-nginx.pem"
LOG = "/var/log/synapse-workers/nginx/access.log"
PLAIN = "http://127.0.0.1:8008"
VERSIONS = "/_matrix/client/versions"
ADMIN = "/_synapse/admin/v2/users"
SETTINGS_OF_ALL = {
    "server_name": "example.test",
    "workers": ["small"],
    "public_baseurl": f"https://{NAME}/",
    "serve_server_wellknown": True,
    "default_identity_server": "https://id.example.test",
    "http_federation_port": 8018,
    "tls": {"certificate": f"{LIVE}/fullchain.pem", "key": f"{LIVE}/privkey.pem"},
    "metrics": {"enabled": True},
    "nginx": {"listen_unix_socket": SOCKET},
}
# An authority with two pairs, laid out as certbot does: links in one directory, their targets in another.
MAKE = r"""
mkdir -p "$1" "$2"; cd "$2"
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$1"; }
key ca.key; openssl req -x509 -key ca.key -subj /CN=authority -days 2 -out ca.pem
for n in 1 2; do
    key privkey$n.pem
    openssl req -new -key privkey$n.pem -subj "/CN=$3" -addext "subjectAltName=DNS:$3" -out request
    openssl x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out fullchain$n.pem
done 2>/dev/null
chmod 700 /etc/letsencrypt/live /etc/letsencrypt/archive
"""
# As certbot: each link goes, and another one comes.
LINK = """
import os, sys
live, *names = sys.argv[1:]
for link, target in (name.split("=") for name in names):
    if os.path.lexists(f"{live}/{link}.pem"):
        os.unlink(f"{live}/{link}.pem")
    os.symlink(f"../../archive/x/{target}.pem", f"{live}/{link}.pem")
"""


def test_tls(host: Host, check: Checks) -> None:
    """HTTPS with a certificate that is renewed, a socket for another proxy, and which clients may use which paths."""
    add_test_options(host)
    host.shell(MAKE, LIVE, ARCHIVE, NAME)
    refused(host, check)
    with check("a server with HTTPS, a socket for another proxy and metrics", vital=True) as note:
        link(host, fullchain="fullchain1", privkey="privkey1")
        configure(host)
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        host.product("verify")
        assert_equal(host.json("plan")["steps"], [], "plan")
    https(host, check)
    renewed(host, check)
    ways_in(host, check)
    content(host, check)
    rotated(host, check)
    sandboxed(host, check)
    with check("without a certificate nginx serves no HTTPS and no copy of the key remains; a port can move to another address"):
        configure(host, tls={}, bind_addresses=["127.0.0.1"])
        host.product("install", "--yes")
        ours = host.run("ss", "-Hltn", "sport = :8008 or sport = :8018").out.splitlines()
        assert_equal(sorted(line.split()[3] for line in ours), ["127.0.0.1:8008", "127.0.0.1:8018"], "addresses")
        listening = host.run("ss", "-Hltn", "sport = :443 or sport = :8448").out
        gone = host.shell(f"ls -d {COPY} {COPY.rsplit('/', 1)[0]} 2>/dev/null || true").out
        assert_equal((listening, gone, host.units(PATH)), ("", "", {}), "listening, copies, watch")
        talk(host)
    with check("--purge leaves nothing"):
        purge(host)
        host.shell("rm -rf /etc/letsencrypt/live /etc/letsencrypt/archive /tmp/large")
        listing.assert_equal(host.before, listing.everything(host), "after --purge")


def configure(host: Host, **changes: Any) -> None:
    host.write(SETTINGS, json.dumps(SETTINGS_OF_ALL | changes, indent=1))


def link(host: Host, **names: str) -> None:
    host.run("python3", "-c", LINK, LIVE, *(f"{name}={target}" for name, target in names.items()))


def refused(host: Host, check: Checks) -> None:
    with check("a missing certificate and a key that does not match are refused before any change"):
        for key, message in ((None, "is missing"), ("privkey2", "key values mismatch")):
            link(host, fullchain="fullchain1", **({"privkey": key} if key else {}))
            configure(host)
            before = listing.untouched(host)
            assert_contains(host.product("install", "--yes", expect=(65,)).err, "tls.key", message, "help:")
            listing.assert_equal(before, listing.untouched(host), message)
    with check("a port in use is refused with the name of its setting"):
        link(host, fullchain="fullchain1", privkey="privkey1")
        configure(host)
        listen = "import socket, time; s = socket.create_server(('127.0.0.1', 20001)); print('up', flush=True); time.sleep(60)"
        with subprocess.Popen([SCRIPT, "net", host.name, "--", "python3", "-c", listen], stdout=subprocess.PIPE) as holder:
            holder.stdout.readline()
            refused = host.product("install", "--yes", expect=(65,))
            assert_contains(refused.err, "127.0.0.1 port 20001 (tcp_ports)", "ss -lntup 'sport = :20001'")
            holder.terminate()


def fetch(host: Host, url: str, *options: str) -> Answer:
    """An answer of nginx to a client that trusts the authority."""
    return answers.fetch(host, url, "--cacert", f"{ARCHIVE}/ca.pem", "--connect-to", f"{NAME}::127.0.0.1:", *options)


def https(host: Host, check: Checks) -> None:
    with check("ports 443 and 8448 serve HTTP/2"):
        for port in (443, 8448):
            assert_equal(fetch(host, f"https://{NAME}:{port}{VERSIONS}")[:2], (200, "HTTP/2"), f"answer at {port}")
        assert_equal(fetch(host, f"https://{NAME}{VERSIONS}", "--http1.1")[:2], (200, "HTTP/1.1"), "answer without HTTP/2")
    with check("TLS 1.2 and 1.3 are accepted, older versions are refused"):
        for version, spoken in (("tls1_3", True), ("tls1_2", True), ("tls1_1", False), ("tls1", False)):
            result = host.run("openssl", "s_client", f"-{version}", "-cipher", "DEFAULT:@SECLEVEL=0", "-connect", "127.0.0.1:443",
                              expect=None)
            said = result.out + result.err
            assert_equal("BEGIN CERTIFICATE" in said, spoken, f"{version} spoken")
            if not spoken:
                assert_contains(said, "alert protocol version")
    with check("the well-known files point servers, clients and web clients to this host"):
        for name, wanted in (("server", {"m.server": f"{NAME}:443"}),
                             ("client", {"m.homeserver": {"base_url": f"https://{NAME}/"},
                                         "m.identity_server": {"base_url": "https://id.example.test"}})):
            status, _, headers, body = fetch(host, f"https://{NAME}/.well-known/matrix/{name}")
            assert_equal((status, headers["access-control-allow-origin"]), (200, "*"), f"status and CORS of {name}")
            found = json.loads(body)
            assert_equal({key: found.get(key) for key in wanted}, wanted, name)


def serial(host: Host, number: int) -> str:
    return host.run("openssl", "x509", "-noout", "-serial", "-in", f"{ARCHIVE}/fullchain{number}.pem").out.strip().split("=")[1]


def shown(host: Host) -> str:
    """The serial number of the certificate that nginx shows."""
    said = host.shell("openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout -serial").out
    return said.strip().split("=")[1]


def settled(host: Host) -> None:
    """Waits until no certificate is being installed."""
    wait_until("the service is done", lambda: host.units(SERVICE)[SERVICE]["ActiveState"] in ("inactive", "failed"))


def renewed(host: Host, check: Checks) -> None:
    with check("nginx shows a renewed certificate, without a restart and without a failed request") as note:
        settled(host)
        before = host.invocations(NGINX)
        authority = host.path(f"{ARCHIVE}/ca.pem")
        client = [str(CLIENTS / "certificate_client.py"), "443", NAME, str(authority), serial(host, 2), "20"]
        command = [SCRIPT, "net", host.name, "--", "python3", *client]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as asking:
            asking.stdout.readline()
            begun = time.monotonic()
            link(host, privkey="privkey2", fullchain="fullchain2")
            said = asking.communicate()[0]
        if asking.returncode:
            raise CheckFailed(said)
        assert_equal(host.invocations(NGINX), before, "starts of nginx")
        note(f"{said.strip().splitlines()[-1]}, after {time.monotonic() - begun:.1f} s")
    with check("only nginx can read its copy of the key"):
        assert_equal(host.run("stat", "--format=%U:%G %a", COPY).out.strip(), "synapse-nginx:synapse-nginx 600", "owner and mode")
    with check("a key that does not match fails the service; nginx keeps the earlier certificate") as note:
        settled(host)
        begun = time.monotonic()
        link(host, fullchain="fullchain1")
        wait_until("failed", lambda: host.units(SERVICE)[SERVICE]["ActiveState"] == "failed")
        note(f"after {time.monotonic() - begun:.1f} s")
        assert_contains(host.run("journalctl", "--unit", SERVICE, "--lines=8", "--output=cat").out, "stays in use", "key values mismatch")
        assert_equal(shown(host), serial(host, 2), "certificate")
        assert_contains(host.product("install", "--yes", expect=(65,)).err, "key values mismatch", "help:")
        assert_equal(host.units(PATH)[PATH]["ActiveState"], "active", "watch")
    with check("nginx serves the earlier certificate after a restart"):
        host.run("systemctl", "restart", NGINX)
        assert_equal(shown(host), serial(host, 2), "certificate")
    with check("a matching key is installed"):
        link(host, privkey="privkey1")
        wait_until("the certificate", lambda: shown(host) == serial(host, 1))
        settled(host)
        assert_equal(host.units(SERVICE)[SERVICE]["ActiveState"], "inactive", "service")
        host.product("verify")


def ways_in(host: Host, check: Checks) -> None:
    def status(*options: str) -> int:
        return fetch(host, *options)[0]

    with check("the Unix socket answers, even after nginx was killed"):
        socket = ("--unix-socket", SOCKET)
        assert_equal(status(f"http://x{VERSIONS}", *socket), 200, "status")
        before = host.invocations(NGINX)
        host.run("systemctl", "kill", "--signal=KILL", NGINX)
        wait_until("nginx is back", lambda: host.invocations(NGINX) != before and host.units(NGINX)[NGINX]["ActiveState"] == "active")
        assert_equal(status(f"http://x{VERSIONS}", *socket), 200, "status after the kill")
    with check("the plain ports answer to a reverse proxy"):
        assert_equal([status(f"http://127.0.0.1:{port}{VERSIONS}") for port in (8008, 8018)], [200, 200], "statuses")
    # Synapse answers 401 to a request without a token; nginx answers 403 to a client that may not ask.
    with check("the admin API is open to this host and closed to requests through a proxy"):
        assert_equal(status(PLAIN + ADMIN), 401, "from the host")
        assert_equal(status(f"https://{NAME}{ADMIN}"), 401, "from the host over HTTPS")
        assert_equal(status(PLAIN + ADMIN, "--header", "X-Forwarded-For: 203.0.113.7"), 403, "through a proxy")
        assert_equal(status(f"http://x{ADMIN}", *socket), 403, "through the socket")
        assert_equal(status(f"http://x{ADMIN}", *socket, "--header", "X-Forwarded-For: 127.0.0.1"), 403, "through the socket, from here")
        assert_equal(status(PLAIN + "/_synapse/replication/x"), 404, "replication")
    with check("Synapse receives the address of the client before the proxy"):
        fetch(host, f"http://x{VERSIONS}", *socket, "--header", "X-Forwarded-For: 203.0.113.9", "--user-agent", "probe-socket")
        fetch(host, f"http://x{VERSIONS}", *socket, "--user-agent", "probe-nothing")
        fetch(host, PLAIN + VERSIONS, "--header", "X-Forwarded-For: 203.0.113.8", "--user-agent", "probe-plain")
        for agent, address in (("probe-socket", "203.0.113.9"), ("probe-nothing", "127.0.0.1"), ("probe-plain", "203.0.113.8")):
            line = wait_until(f"{agent} in the journal", lambda agent=agent: host.run(
                "journalctl", "--quiet", "--output=cat", f"--grep=Processed request.*{agent}", expect=(0, 1)).out)
            assert_contains(line, f" {address} - ")
    with check("open_admin_api opens only the admin API"):
        configure(host, open_admin_api=True)
        host.product("install", "--yes")
        through = ("--header", "X-Forwarded-For: 203.0.113.7")
        wait_until("the new configuration", lambda: status(PLAIN + ADMIN, *through) == 401)
        assert_equal(status(f"http://x{ADMIN}", *socket), 401, "through the socket")
        assert_equal(status(PLAIN + "/_synapse/replication/x", *through), 404, "replication")
        assert_equal(status(PLAIN + "/_synapse/mas/x", *through), 403, "another part of /_synapse")
        configure(host)
        host.product("install", "--yes")


def content(host: Host, check: Checks) -> None:
    with check("responses are compressed for clients that accept it"):
        plain, compressed = (fetch(host, f"https://{NAME}{VERSIONS}", *options)
                             for options in ((), ("--compressed",)))
        assert_equal((plain[2].get("content-encoding"), compressed[2].get("content-encoding")), (None, "gzip"), "encodings")
        assert_equal(json.loads(compressed[3]), json.loads(plain[3]), "bodies")
    with check("an upload above max_upload_size is refused immediately, with an error that web clients can read"):
        host.shell("truncate -s 51M /tmp/large")
        status, _, headers, body = fetch(host, f"https://{NAME}/_matrix/media/v3/upload", "--data-binary", "@/tmp/large")
        assert_equal((status, headers["access-control-allow-origin"], json.loads(body)["errcode"]), (413, "*", "M_TOO_LARGE"), "answer")
    with check("users exchange messages"):
        talk(host)


def rotated(host: Host, check: Checks) -> None:
    with check("a large access log is rotated, and nginx writes to the new file"):
        host.shell(f"truncate -s 70M {LOG}")
        host.run("systemctl", "start", "synapse-logrotate.service")
        fetch(host, f"https://{NAME}{VERSIONS}")
        wait_until("a line in the new log", lambda: 0 < int(host.run("stat", "--format=%s", LOG).out) < 1 << 20)
        assert_equal(host.run("stat", "--format=%U %a", LOG).out.strip(), "synapse-nginx 640", "owner and mode")
        assert_equal(host.units("synapse-logrotate.timer")["synapse-logrotate.timer"]["ActiveState"], "active", "timer")


def sandboxed(host: Host, check: Checks) -> None:
    for unit in (NGINX, SERVICE, "synapse-logrotate.service"):
        with check(f"{unit}: systemd-analyze security at most 3.0") as note:
            note(sandbox.exposure(host, unit, 3.0))
