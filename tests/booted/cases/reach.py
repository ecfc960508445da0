"""`reach`: a server that other homeservers and clients reach, and faults that are made one by one.

The names lead to addresses of the host itself, through a name server that the case controls: see `harness.pebble`. In the
first half nginx has the certificate; in the second, the distribution's nginx is the reverse proxy in front of it.
"""

from typing import Any

from harness import pebble
from harness.checks import Checks
from harness.deployment import SERVER, add_test_options, purge, write_settings
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.host import Host

NAME = "matrix.example.test"
V4, V6 = "192.0.2.10", "2001:db8::10"
RECORD = "/var/lib/synapse-workers/reach.json"
TRUSTED = "/usr/local/share/ca-certificates"
PROXY, CONFIGURATION = "reach-proxy", "/root/proxy.conf"
LIVE = "/etc/synapse-workers/acme/live/synapse-workers"
HERE = r"""
ip address add "$1/32" dev lo
ip -6 address add "$2/128" dev lo nodad
cp -a /etc/resolv.conf /root/resolv.conf 2>/dev/null || true
rm -f /etc/resolv.conf
echo 'nameserver 127.0.0.1' >/etc/resolv.conf
"""
AWAY = r"""
ip address del "$1/32" dev lo
ip -6 address del "$2/128" dev lo
rm -f /etc/resolv.conf "$3"/*.crt
cp -a /root/resolv.conf /etc/resolv.conf 2>/dev/null || true
rm -f /root/resolv.conf
update-ca-certificates --fresh >/dev/null 2>&1
"""
# A certificate that has expired, of the internal authority of Pebble's server.
EXPIRED = r"""
cd "$1"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout expired.key -out request -subj "/CN=$2" \
    -addext "subjectAltName=DNS:$2,DNS:$3"
openssl x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -out expired.pem \
    -not_before 20240101000000Z -not_after 20250101000000Z
"""
SERVE = """
events {{}}
error_log /dev/null;
pid /run/reach-proxy.pid;
http {{
    access_log off;
    server {{
        listen 443 ssl;
        listen 8448 ssl;
        listen [::]:443 ssl;
        listen [::]:8448 ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        {fault}
        location / {{
            proxy_pass http://127.0.0.1:8008;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header Accept-Encoding "";
        }}
    }}
}}
"""


def test_reach(host: Host, check: Checks) -> None:
    """How others reach the server: all is right, and each fault is found with its remedy."""
    host.shell(HERE, V4, V6)
    pebble.prepare(host, "127.0.0.1:53")
    for name in (NAME, SERVER):
        pebble.names(host, "add-a", host=name, addresses=[V4])
        pebble.names(host, "add-aaaa", host=name, addresses=[V6])
    add_test_options(host)
    with_certificate(host, check)
    behind_proxy(host, check)
    with check("uninstall --purge removes the record"):
        purge(host)
        assert_equal(host.path(RECORD).exists(), False, "record")
    pebble.end(host)
    host.shell(AWAY, V4, V6, TRUSTED)
    host.run("rm", "-f", CONFIGURATION)


def configure(host: Host, acme: dict[str, Any] | None = None, **changes: Any) -> None:
    order = {"email": "admin@example.test", "server": pebble.DIRECTORY, "ca_file": f"{pebble.CA}/ca.pem"} | (acme or {})
    write_settings(host, {"server_name": SERVER, "public_baseurl": f"https://{NAME}/", "serve_server_wellknown": True,
                          "rtc": {"livekit_service_url": f"https://{NAME}/livekit"}, "tls": {"acme": order}} | changes)
    host.product("install", "--yes")


def trust(host: Host, certificate: str, name: str) -> None:
    """Makes the host trust an authority."""
    host.shell('cp "$1" "$2" && update-ca-certificates', certificate, f"{TRUSTED}/{name}.crt")


def faults(host: Host) -> dict[str, list[tuple[str, str]]]:
    """The faults that `reach` finds, each with its remedy, by their step."""
    result = host.json("reach", expect=(0, 1))
    found: dict[str, list[tuple[str, str]]] = {}
    for step in result["steps"]:
        if step["result"] == "fail":
            found.setdefault(step["step"], []).append((step["text"], step["cure"]))
    assert_equal(result["ok"], not found, "ok")
    return found


def assert_fault(host: Host, step: str, text: str, remedy: str) -> None:
    """Asserts that a step finds this fault, with this remedy, and that `status` shows the first fault."""
    found = faults(host)
    if not any(text in problem and remedy in cure for problem, cure in found.get(step, [])):
        raise CheckFailed(f"{step}: not found: {text!r} with {remedy!r} in {found}")
    first = next(iter(found.values()))[0]
    assert_contains(host.product("status", expect=(0, 1)).out, "reachability: ", first[0], "then: synapse-workers reach")


def assert_right(host: Host) -> str:
    result = host.product("reach", expect=(0, 1))
    if result.code:
        raise CheckFailed(str(result))
    assert_contains(host.product("status").out, "reachability: other homeservers and clients reach this server")
    return result.out


def with_certificate(host: Host, check: Checks) -> None:
    with check("a placeholder is found, and status says that nothing was checked before", vital=True):
        configure(host)
        assert_contains(host.product("status").out, "reachability: not checked yet (synapse-workers reach)")
        assert_fault(host, "connections", "the certificate is signed by no authority", "synapse-workers status")
    with check("a certificate of an authority that this host does not trust"):
        pebble.start(host)
        host.product("install", "--yes")
        # synapse-certificate.service gives nginx the certificate after the run.
        wait_until("nginx has the certificate", lambda: host.run(
            "curl", "--silent", "--cacert", pebble.ROOT, f"https://{NAME}/_matrix/client/versions", expect=None).code == 0)
        assert_fault(host, "connections", "the certificate is not trusted", "update-ca-certificates")
    with check("all is right: every step passes, at both addresses", vital=True) as note:
        trust(host, pebble.ROOT, "pebble")
        out = assert_right(host)
        note(f"{host.product('reach').seconds:.1f} s")
        assert_contains(out, f"{NAME} port 443 ({V4}, {V6})", f"{SERVER} leads to {NAME}:443", f"signed by {SERVER} with ed25519:",
                        "Synapse ", f"clients use https://{NAME}/", "simplified (MSC4186)", "transports: 1 (MSC4143)")
        assert_equal([line for line in out.splitlines() if line.startswith(("FAIL", "-"))],
                     [f"-     SRV records       not used: {NAME}:443 leads to one place"], "steps that did not pass")
        assert_contains(out, f"{V4} is not public")
    with check("an IPv6 address at which nothing listens is named, with the AAAA record"):
        configure(host, bind_addresses=["0.0.0.0"])
        assert_fault(host, "connections", f"{NAME} port 443 ({V6}): the connection is refused", f"remove the AAAA record of {NAME}")
    with check("a certificate without the server name"):
        configure(host, acme={"names": [NAME]})
        assert_fault(host, "connections", f"the certificate is not for {SERVER}", f"add {SERVER} to `names` in tls.acme")
    with check("port 8448 is closed, and nothing leads elsewhere"):
        order = {"server": pebble.DIRECTORY, "ca_file": f"{pebble.CA}/ca.pem"}
        configure(host, serve_server_wellknown=False, tls={"federation_port": 8450, "acme": order | {"names": [NAME, SERVER]}})
        assert_fault(host, "connections", f"{SERVER} port 8448 ({V4}): the connection is refused", "serve_server_wellknown: true")
    with check("a name without a record"):
        configure(host)
        for kind in ("a", "aaaa"):
            pebble.names(host, f"clear-{kind}", host=NAME)
        # Without a record, the name server returns the default address.
        pebble.names(host, "set-default-ipv4", ip="")
        assert_fault(host, "DNS records", f"{NAME} has no A and no AAAA record", f"create an A or AAAA record for {NAME}")
        pebble.names(host, "add-a", host=NAME, addresses=[V4])
        pebble.names(host, "add-aaaa", host=NAME, addresses=[V6])
    with check("the name server is down: a warning, and the addresses of /etc/hosts count"):
        host.shell('cp /etc/resolv.conf /root/other.conf; echo "nameserver 127.0.0.77" >/etc/resolv.conf; '
                   'printf "%s %s %s\\n" "$1" "$2" "$3" >>/etc/hosts', V4, NAME, SERVER)
        out = host.product("reach").out
        assert_contains(out, "warn  DNS records", "the name server 127.0.0.77", f"this host resolves it to {V4}", "/etc/resolv.conf")
        host.shell('cp /root/other.conf /etc/resolv.conf; rm /root/other.conf; sed -i "/ $1 /d" /etc/hosts', NAME)
    with check("a server without federation is checked for clients only"):
        host.write("/etc/synapse-workers/homeserver.d/closed.yaml", "federation_domain_whitelist: []\n")
        host.product("install", "--yes")
        assert_contains(assert_right(host), "-     server keys       not used: federation is disabled")
        host.run("rm", "/etc/synapse-workers/homeserver.d/closed.yaml")


def serve(host: Host, fault: str = "", certificate: str = f"{LIVE}/fullchain.pem", key: str = f"{LIVE}/privkey.pem") -> None:
    """Runs the reverse proxy with a fault."""
    host.write(CONFIGURATION, SERVE.format(certificate=certificate, key=key, fault=fault))
    host.shell('systemctl stop "$1" 2>/dev/null || true; systemd-run --quiet --collect --unit="$1" --property=Type=forking '
               '--property=PIDFile=/run/reach-proxy.pid nginx -c "$2"', PROXY, CONFIGURATION)


def behind_proxy(host: Host, check: Checks) -> None:
    with check("behind a reverse proxy that does not run: its port is named"):
        write_settings(host, {"server_name": SERVER, "public_baseurl": f"https://{NAME}/", "serve_server_wellknown": True,
                              "bind_addresses": ["127.0.0.1"]})
        host.product("install", "--yes")
        assert_fault(host, "connections", f"{NAME} port 443 ({V4}): the connection is refused", "let a reverse proxy serve port 443")
    with check("behind a reverse proxy, all is right", vital=True):
        serve(host)
        assert_right(host)
    for habit, fault, step, text, remedy in (
        ("does not pass on the file for servers", "location = /.well-known/matrix/server { return 404; }",
         "file for servers", "answers 404", f"let https://{SERVER}:443/.well-known/matrix/server lead to this host"),
        ("does not pass on the file for clients", "location = /.well-known/matrix/client { return 404; }",
         "file for clients", "is missing, so clients do not find", f"https://{SERVER}:443/.well-known/matrix/client lead to this host"),
        ("removes the CORS headers", "proxy_hide_header Access-Control-Allow-Origin;",
         "client API", "no header Access-Control-Allow-Origin", "pass on the headers"),
        ("adds CORS headers of its own", "add_header Access-Control-Allow-Origin * always;",
         "client API", "has 2 values in Access-Control-Allow-Origin", "remove the header that the reverse proxy adds"),
        ("refuses OPTIONS", "if ($request_method = OPTIONS) { return 405; }", "CORS", "has status 405", "pass on OPTIONS"),
        ("does not pass on the keys", "location /_matrix/key { return 404; }", "server keys", "has status 404", "reverse proxy"),
        ("leads to another homeserver", "sub_filter_types application/json; sub_filter_once off; "
         f"sub_filter '\"server_name\":\"{SERVER}\"' '\"server_name\":\"other.test\"';",
         "server keys", f"is about other.test and not about {SERVER}", "another homeserver may answer there"),
        ("changes the signed text", "sub_filter_types application/json; sub_filter_once off; sub_filter '\"old_verify_keys\":{}' "
         "'\"old_verify_keys\":{\"a\":{}}';", "server keys", "has a wrong signature with the key ed25519:", "another homeserver"),
        ("does not reach nginx", "location /_matrix { return 502; }", "server API", "has status 502", "synapse-workers status"),
    ):
        with check(f"a reverse proxy that {habit}"):
            serve(host, fault)
            assert_fault(host, step, text, remedy)
    with check("an expired certificate"):
        host.shell(EXPIRED, pebble.CA, NAME, SERVER)
        trust(host, f"{pebble.CA}/ca.pem", "internal")
        serve(host, certificate=f"{pebble.CA}/expired.pem", key=f"{pebble.CA}/expired.key")
        assert_fault(host, "connections", "the certificate is not valid at this time", "give the reverse proxy a valid certificate")
    with check("a certificate without its chain"):
        serve(host, certificate=f"{LIVE}/cert.pem")
        assert_fault(host, "connections", "the certificate is not trusted", "with its chain")
    host.run("systemctl", "stop", PROXY)
