"""What nginx serves besides Matrix: a web client, another service, clients behind a TCP proxy, and the log of requests."""

import json
from typing import Any

import pytest

from harness import answers, listing
from harness.answers import Answer
from harness.checks import Checks
from harness.deployment import SETTINGS, add_test_options, jobs, purge, talk
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Host

PLAIN = "http://127.0.0.1:8008"
VERSIONS = "/_matrix/client/versions"
NGINX = "synapse-nginx.service"
ROOT, OWN = "/srv/element", "/etc/matrix/own.conf"
LOG = "/var/log/synapse-workers/requests/access.log"
SETTINGS_OF_ALL = {
    "server_name": "example.test",
    "workers": ["synchrotron"],
    "trusted_proxies": ["127.0.0.1", "::1"],
    "tls": {"certificate": "/etc/matrix/tls.pem", "key": "/etc/matrix/tls.key"},
    "nginx": {"web_root": ROOT, "include": [OWN], "proxy_protocol_ports": [8444], "access_log": True},
}
LOCATIONS = """\
location /service/ {
    proxy_pass http://127.0.0.1:9080/;
}
location = /robots.txt {
    default_type text/plain;
    return 200 one;
}
"""
PREPARE = r"""
mkdir -p /etc/matrix "$1/bundles/0a1b" /srv/service
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=example.test -days 2 \
    -keyout /etc/matrix/tls.key -out /etc/matrix/tls.pem 2>/dev/null
echo '<html>client' >"$1/index.html"; echo '{}' >"$1/config.json"; echo js >"$1/bundles/0a1b/bundle.js"
echo 'hello from the service' >/srv/service/hello
ln -s /etc/shadow "$1/shadow"; ln -s /etc/synapse-workers/settings.yaml "$1/settings"
chmod -R a+rX /etc/matrix "$1" /srv/service; chmod 600 /etc/matrix/tls.key
systemd-run --quiet --unit=own-service --property=DynamicUser=yes python3 -m http.server --directory /srv/service --bind 127.0.0.1 9080
"""
# A load balancer that forwards TCP: source address, first line, path. Prints the status, or `closed`.
PROXY = r"""
import socket, ssl, sys
source, line, path = sys.argv[1:]
stream = socket.create_connection(("127.0.0.1", 8444), timeout=20, source_address=(source, 0))
stream.sendall(line.encode() + b"\r\n" if line else b"")
context = ssl._create_unverified_context()
try:
    stream = context.wrap_socket(stream)
    stream.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: probe-proxied\r\nX-Forwarded-For: 127.0.0.1\r\n"
                   "Connection: close\r\n\r\n".encode())
    print((stream.recv(100).split() or [b"", b"closed"])[1].decode())
except OSError:
    print("closed")
"""


@pytest.mark.lane(1)
def test_web(host: Host, check: Checks) -> None:
    """A web client, another service, the PROXY protocol and the log of requests beside Matrix."""
    add_test_options(host)
    host.shell(PREPARE, ROOT)
    refused(host, check)
    with check("a server with a web client, another service, a port for the PROXY protocol and a log", vital=True) as note:
        host.write(OWN, LOCATIONS)
        configure(host)
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        host.product("verify")
        assert_equal(host.json("plan")["steps"], [], "plan")
    served(host, check)
    proxied(host, check)
    logged(host, check)
    with check("changed locations need a reload only, and rollback returns to the earlier ones"):
        before = host.invocations(NGINX)
        host.write(OWN, LOCATIONS.replace("return 200 one", "return 200 two"))
        assert_equal(jobs(host.product("install", "--yes").out), [("reload", NGINX)], "jobs")
        wait_until("the new locations", lambda: get(host, "/robots.txt")[3] == "two")
        host.product("rollback", "--yes")
        wait_until("the earlier locations", lambda: get(host, "/robots.txt")[3] == "one")
        # What this program does not know, nginx itself refuses before anything is switched.
        host.write(OWN, "location /a/ { no_such_directive on; }")
        assert_contains(host.product("install", "--yes", expect=(1,)).err, "nginx refuses", "no_such_directive", "include-1-own.conf:1")
        host.write(OWN, LOCATIONS)
        assert_equal((get(host, "/robots.txt")[3], host.invocations(NGINX)), ("one", before), "content, starts of nginx")
    with check("a socket that cannot be opened is named with systemd's own error, and the run is rolled back"):
        host.shell("install -d -o synapse-nginx -g synapse-nginx /run/matrix /run/matrix/nginx.sock")
        configure(host, listen_unix_socket="/run/matrix/nginx.sock")
        failed = host.product("install", "--yes", expect=(1,)).err
        assert_contains(failed, "synapse-nginx.socket:", "create listening socket (/run/matrix/nginx.sock)", "as it was before")
        host.shell("rmdir /run/matrix/nginx.sock /run/matrix 2>/dev/null || true")
        configure(host)
        host.product("verify")
        talk(host)
    with check("without these settings, nginx has no network, no log and no other content"):
        host.write(SETTINGS, json.dumps(SETTINGS_OF_ALL | {"nginx": {}}))
        host.product("install", "--yes")
        host.product("verify")
        assert_equal([get(host, path)[0] for path in ("/service/hello", "/config.json", VERSIONS)], [404, 404, 200], "statuses")
        left = host.shell("ls -d /var/log/synapse-workers/requests 2>/dev/null || true").out
        shown = host.run("systemctl", "show", "--property=PrivateNetwork", NGINX).out.strip()
        assert_equal((left, shown), ("", "PrivateNetwork=yes"), "log, network")
    with check("--purge leaves nothing"):
        purge(host)
        host.shell("systemctl stop own-service; rm -rf /etc/matrix /srv/element /srv/service")
        listing.assert_equal(host.before, listing.everything(host), "after --purge")


def configure(host: Host, **nginx: Any) -> None:
    host.write(SETTINGS, json.dumps(SETTINGS_OF_ALL | {"nginx": SETTINGS_OF_ALL["nginx"] | nginx}, indent=1))


def get(host: Host, path: str, *options: str) -> Answer:
    return answers.fetch(host, PLAIN + path, "--path-as-is", *options)


def refused(host: Host, check: Checks) -> None:
    def refuse(code: int, *parts: str) -> None:
        before = listing.untouched(host)
        assert_contains(host.product("install", "--yes", expect=(code,)).err, *parts, "help:")
        listing.assert_equal(before, listing.untouched(host), parts[0])

    with check("locations that take a path of Matrix and a web client that nginx cannot read are refused before any change"):
        configure(host)
        host.write(OWN, "location /_matrix/client/v3/login { return 200; }")
        refuse(64, "own.conf: line 1: `location /_matrix/client/v3/login`")
        host.write(OWN, "location / { return 200; }")
        refuse(64, "own.conf: line 1: `location /`", "nginx.web_root")
        host.write(OWN, LOCATIONS)
        host.shell('chmod 700 "$1"', ROOT)
        refuse(65, f"nginx.web_root: {ROOT} is not readable")
        host.shell('chmod 755 "$1"', ROOT)


def served(host: Host, check: Checks) -> None:
    with check("the web client and the other service are served, and every path of Matrix is Synapse's"):
        for path, start, kind in (("/", "<html>client", "text/html"), ("/config.json", "{}", "application/json"),
                                  ("/bundles/0a1b/bundle.js", "js", "application/javascript"),
                                  ("/service/hello", "hello from the service", "application/octet-stream"),
                                  ("/robots.txt", "one", "text/plain")):
            status, _, headers, body = get(host, path)
            assert_equal((status, body.strip()[:len(start)], headers["content-type"]), (200, start, kind), path)
        assert_equal(get(host, "/")[2]["cache-control"], "no-cache", "caching")
        for path in (VERSIONS, "/_matrix/static/"):
            assert_equal(get(host, path)[0], 200, path)
        talk(host)
    with check("no path leaves the web client, and the admin API stays closed"):
        for path in ("/shadow", "/settings", "/..%2f..%2fetc/passwd", "/bundles/", "/x/..%2f_matrix/client/versions"):
            assert_contains((400, 404), get(host, path)[0])
        through = ("--header", "X-Forwarded-For: 203.0.113.7")
        assert_equal(get(host, "/_synapse/admin/v2/users", *through)[0], 403, "through a proxy")
        assert_equal(get(host, "/service/..%2f_synapse/admin/v2/users", *through)[0], 404, "through the service")


def proxied(host: Host, check: Checks) -> None:
    def ask(source: str, line: str, path: str = VERSIONS) -> str:
        return host.run("python3", "-c", PROXY, source, line, path).out.strip()

    client = "PROXY TCP4 203.0.113.9 192.0.2.1 50000 8444"
    with check("Synapse receives the address of a client from a trusted proxy that forwards TLS"):
        assert_equal(ask("127.0.0.1", client), "200", "status")
        line = wait_until("the request in the journal", lambda: host.run(
            "journalctl", "--quiet", "--output=cat", "--grep=Processed request.*probe-proxied", expect=(0, 1)).out)
        assert_contains(line, " 203.0.113.9 - ")
    with check("another peer, and a connection without the protocol, get no answer; no client of a proxy is this host"):
        assert_equal([ask("127.0.0.2", client), ask("127.0.0.1", "")], ["closed", "closed"], "answers")
        here = "PROXY TCP4 127.0.0.1 127.0.0.1 50000 8444"
        assert_equal(ask("127.0.0.1", here, "/_synapse/admin/v2/users"), "403", "admin API")


def logged(host: Host, check: Checks) -> None:
    with check("the log has addresses and statuses, but no query, and only nginx's group reads it"):
        get(host, "/_matrix/client/v3/login?secret", "--request", "POST", "--data", "{}", "--header", "X-Forwarded-For: 203.0.113.8")
        # nginx logs a request when its connection is closed, so the line of the earlier one may come later.
        lines = ('203.0.113.8 "POST /_matrix/client/v3/login" 400', f'203.0.113.9 "GET {VERSIONS}" 200 ')
        text = wait_until("the lines", lambda: all(line in log for line in lines) and log if (log := host.read(LOG)) else "")
        assert_equal("secret" in text, False, "secret")
        assert_equal(host.run("stat", "--format=%U:%G %a", LOG).out.strip(), "synapse-nginx:synapse-nginx 640", "owner and mode")
    with check("a large log is rotated, and nginx writes to the new one"):
        host.shell(f"truncate -s 70M {LOG}")
        host.run("systemctl", "start", "synapse-logrotate.service")
        get(host, VERSIONS)
        wait_until("a line in the new log", lambda: 0 < int(host.run("stat", "--format=%s", LOG).out) < 1 << 20)
        assert_equal(host.run("stat", "--format=%U %a", LOG).out.strip(), "synapse-nginx 640", "owner and mode")
