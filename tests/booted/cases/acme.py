"""Certificates by ACME: from a placeholder to an issued and a renewed certificate, and authorities that issue none.

The authority is Pebble: see `harness.pebble`.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cases import sandbox
from harness import answers, listing, pebble
from harness.checks import Checks
from harness.deployment import CLIENTS, SERVER, URL, add_test_options, prepared_load, purge, services_down, talk, write_settings
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.host import SCRIPT, Host, Result
from harness.pebble import CA, ROOT

NAME, AUTHORITY, LOST = "matrix.example.test", pebble.NAME, "lost.example.test"
DIRECTORY, LIMITED = pebble.DIRECTORY, f"https://{AUTHORITY}:14001/dir"
DISTRIBUTION = "nginx.service"
NGINX, SERVICE, TIMER, HAND_OVER = "synapse-nginx.service", "synapse-acme.service", "synapse-acme.timer", "synapse-certificate.service"
ETC = "/etc/synapse-workers"
STORE, PAIR = f"{ETC}/acme", "/var/lib/synapse-workers/acme/pair/certificate.pem"
VERSIONS = "/_matrix/client/versions"
# The first certificate that a server shows at a port: issuer, serial number, names.
SHOWN = r"""
openssl s_client -connect 127.0.0.1:"$1" -servername "$2" </dev/null 2>/dev/null |
    openssl x509 -noout -issuer -serial -ext subjectAltName
"""


def test_acme(host: Host, check: Checks) -> None:
    """A certificate by ACME: first issue, renewal under load, authorities that issue none, and removal."""
    pebble.prepare(host)
    add_test_options(host)
    with check("port 80 in use by the distribution's nginx with a site of the administrator is refused with the command that stops it"):
        configure(host)
        for path in ("/etc/nginx/conf.d/own.conf", "/var/www/html/index.html"):
            host.write(path, "")
            refused = host.product("install", "--yes", expect=(65,))
            assert_contains(refused.err, "0.0.0.0 port 80 (tls.acme)", "systemctl disable --now nginx.service", "remove tls.acme")
            host.run("rm", path)
    with check("an nginx that serves only the page of its package stops in the plan"):
        assert_contains(host.product("plan").out, f"! stop    {DISTRIBUTION}", "only the page of its package", f"- disable {DISTRIBUTION}")
    host.before = {path: entry for path, entry in listing.everything(host).items() if not path.startswith(ETC)}
    without_authority(host, check)
    issued(host, check)
    renewed(host, check)
    unreachable_names(host, check)
    limited(host, check)
    switched(host, check)
    with check(f"{SERVICE}: systemd-analyze security at most 2.0") as note:
        note(sandbox.exposure(host, SERVICE, 2.0))
    removed(host, check)


def configure(host: Host, server: str = DIRECTORY, acme: dict[str, Any] | None = None, **changes: Any) -> None:
    order = {"email": "admin@example.test", "server": server, "ca_file": f"{CA}/ca.pem"} | (acme or {})
    write_settings(host, {"server_name": SERVER, "public_baseurl": f"https://{NAME}/", "serve_server_wellknown": True,
                          "tls": {"acme": order}} | changes)


def shown(host: Host, port: int = 443) -> str:
    return host.shell(SHOWN, str(port), NAME).out


def serial(host: Host) -> str:
    return next(line for line in shown(host).splitlines() if line.startswith("serial="))


def https(host: Host, path: str = VERSIONS, name: str = NAME, port: int = 443) -> answers.Answer:
    """The answer over HTTPS to a client that trusts the authority."""
    return answers.fetch(host, f"https://{name}:{port}{path}", "--cacert", ROOT, "--connect-to", f"{name}::127.0.0.1:")


def certificate(host: Host) -> dict[str, Any]:
    return host.json("status")["certificate"]


def without_authority(host: Host, check: Checks) -> None:
    with check("while the authority is down, install succeeds with a placeholder, and says what to do", vital=True) as note:
        configure(host)
        result = host.product("install", "--yes")
        note(f"{result.seconds:.1f} s")
        assert_equal(host.run("systemctl", "is-enabled", DISTRIBUTION, expect=(1,)).out, "disabled\n", DISTRIBUTION)
        assert_contains(result.out, f"certificate for {NAME}, {SERVER} from {AUTHORITY}:14000", "certificate: placeholder",
                        f"{AUTHORITY}:14000 is not reached: ", "Connection refused", "synapse-workers install")
        assert_contains(shown(host), "placeholder of synapse-workers", NAME, SERVER)
        assert_equal(host.run("curl", "--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code}",
                              f"https://127.0.0.1{VERSIONS}").out, "200", "status over HTTPS")
    with check("status, doctor and plan show the pending certificate, each with the command that repeats the attempt"):
        state = certificate(host)
        assert_equal((state["valid_until"], state["pause"]), (None, None), "certificate in status")
        assert_contains(state["failed"]["problem"], "Connection refused")
        assert_contains(host.product("status").out, "certificate: placeholder, because", "synapse-workers install")
        assert_contains(host.product("doctor").out, "warn  the authority issues the certificate", "then: synapse-workers install")
        assert_contains(host.product("plan").out, "~ obtain  certificate for")
        assert_equal(host.units(SERVICE)[SERVICE]["ActiveState"], "failed", "service")
    with check("the timer makes the next attempt after an hour") as note:
        after = seconds_to_next_attempt(host)
        note(f"in {after:.0f} s")
        if not 3000 < after < 5400:
            raise CheckFailed(f"in {after:.0f} s")


def seconds_to_next_attempt(host: Host) -> float:
    text = host.run("systemctl", "list-timers", "--output=json", TIMER).out
    return json.loads(text)[0]["next"] / 1e6 - time.time()


def issued(host: Host, check: Checks) -> None:
    with check("install obtains the certificate, and clients and servers get it at once", vital=True) as note:
        pebble.start(host)
        before = host.invocations(NGINX)
        result = host.product("install", "--yes")
        note(f"{result.seconds:.1f} s")
        assert_contains(result.out, "certificate: issued, valid until ", "1 changed")
        for name, port in ((NAME, 443), (SERVER, 443), (NAME, 8448), (SERVER, 8448)):
            assert_equal(wait_until("the certificate", lambda name=name, port=port: verified(host, name, port)), 200, f"{name}:{port}")
        assert_equal(host.invocations(NGINX), before, "starts of nginx")
    with check("a second install changes nothing"):
        assert_contains(host.product("install", "--yes").out, "0 changed")
        assert_equal(host.json("plan")["steps"], [], "plan")
        host.product("verify")
        state = certificate(host)
        assert_equal((state["failed"], bool(state["valid_until"])), (None, True), "certificate in status")
        assert_contains(host.product("doctor").out, "ok    the authority issues the certificate")
    with check("only root can read account, certificate and key; only nginx its copy"):
        for path, mode in ((STORE, "root:root 700"), (PAIR.rsplit("/", 1)[0], "root:root 700"), (PAIR, "root:root 600"),
                           ("/var/lib/synapse-workers/tls/synapse-nginx.pem", "synapse-nginx:synapse-nginx 600")):
            assert_equal(host.run("stat", "--format=%U:%G %a", path).out.strip(), mode, path)
    with check("port 80 leads everything to HTTPS, and lists no file"):
        status, _, headers, _ = answers.fetch(host, f"http://127.0.0.1{VERSIONS}", "--header", f"Host: {NAME}")
        assert_equal((status, headers["location"]), (308, f"https://{NAME}{VERSIONS}"), "redirect")
        for path in ("", "nothing"):
            assert_equal(answers.fetch(host, f"http://127.0.0.1/.well-known/acme-challenge/{path}")[0], 404, path or "directory")
    with check("users exchange messages"):
        talk(host)


def assert_issued(result: Result) -> None:
    if "certificate: issued, valid until " not in result.out or "the last attempt failed" in result.out:
        raise CheckFailed(str(result))


def verified(host: Host, name: str, port: int) -> int | None:
    """The status of a request over HTTPS; `None` if the certificate is not that of the authority."""
    try:
        return https(host, name=name, port=port)[0]
    except CheckFailed:
        return None


def renewed(host: Host, check: Checks) -> None:
    with check("a certificate that is not due is not renewed, and the authority is not asked"):
        before = serial(host)
        host.run("systemctl", "kill", "--signal=STOP", "pebble")
        host.run("systemctl", "start", SERVICE)
        host.run("systemctl", "kill", "--signal=CONT", "pebble")
        assert_equal(serial(host), before, "certificate")
    with check("a renewal under load fails no request and restarts nothing") as note:
        users, before = prepared_load(host), host.invocations()
        # Pebble's certificates are valid for five years.
        host.run("sed", "--in-place", r"s/^#\? *renew_before_expiry.*/renew_before_expiry = 3650 days/",
                 f"{STORE}/renewal/synapse-workers.conf")
        secure = ["python3", str(CLIENTS / "certificate_client.py"), "443", NAME, str(host.path(ROOT)), "other", "60"]
        load = ["python3", str(CLIENTS / "load.py"), URL, "--state", users, "--seconds", "20", "--rate", "20"]
        with started(host, *secure) as asking, started(host, *load) as loading:
            asking.stdout.readline()
            host.run("systemctl", "start", SERVICE)
            said, loaded = asking.communicate()[0], loading.communicate()[0]
        if asking.returncode or loading.returncode:
            raise CheckFailed(f"{said}\n{loaded}")
        note(f"{said.strip().splitlines()[-1]} over HTTPS, {json.loads(loaded)['total']} of users")
        after = host.invocations()
        assert_equal({unit for unit in after if after[unit] != before.get(unit)} - {SERVICE, HAND_OVER}, set(), "restarted units")
    host.run("sed", "--in-place", "s/^renew_before_expiry.*/# renew_before_expiry = 30 days/", f"{STORE}/renewal/synapse-workers.conf")


@contextmanager
def started(host: Host, *command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([SCRIPT, "net", host.name, "--", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as one:
        yield one


def pending(host: Host, *parts: str) -> Result:
    """Installs although the authority issues no certificate; the one that nginx has stays in use."""
    before = serial(host)
    result = host.product("install", "--yes")
    assert_contains(result.out, "certificate: issued, valid until ", "; the last attempt failed: ", "synapse-workers install", *parts)
    assert_equal(serial(host), before, "certificate")
    assert_equal(https(host)[0], 200, "status over HTTPS")
    return result


def unreachable_names(host: Host, check: Checks) -> None:
    more = {"names": [NAME, SERVER, LOST]}
    with check("a name that does not resolve: the message has the name, the port and the answer of the authority"):
        pebble.names(host, "set-servfail", host=LOST)
        configure(host, acme=more)
        pending(host, f"{LOST} port 80 (", "could not resolve", f"let {LOST} lead to this host")
        assert_contains(host.product("status").out, "certificate: issued, valid until ", f"{LOST} port 80 (")
    with check("a name whose port 80 is closed"):
        pebble.names(host, "clear-servfail", host=LOST)
        pebble.names(host, "add-a", host=LOST, addresses=["192.0.2.7"])
        pending(host, f"{LOST} port 80 (connection)", "192.0.2.7:80", "firewall")
    with check("when the name leads here, install obtains a certificate with it"):
        pebble.names(host, "clear-a", host=LOST)
        assert_issued(host.product("install", "--yes"))
        wait_until("the new name", lambda: LOST in shown(host))
        assert_equal(https(host, name=LOST)[0], 200, "status")
        assert_contains(host.product("install", "--yes").out, "0 changed")


def limited(host: Host, check: Checks) -> None:
    command = ["python3", str(CLIENTS / "acme_limits.py"), "14001", *(str(host.path(f"{CA}/{name}.pem")) for name in ("cert", "key"))]
    with check("a rate limit: the message has the answer of the authority") as note, host.talk_to(*command) as authority:
        authority.stdout.readline()
        configure(host, server=LIMITED)
        pending(host, f"{AUTHORITY}:14001 answers: ", "retry after 2026-12-24 18:00:00 UTC", "wait until the time")
        for _ in range(3):
            pending(host)
        result = pending(host)
        assert_contains(result.out, "wait ", " minutes, then synapse-workers install")
        assert_contains(host.run("journalctl", "--unit", SERVICE, "--lines=8", "--output=cat").out, "4 attempts have failed within an hour")
        authority.terminate()
        orders = authority.communicate()[0].count("order")
        assert_equal(orders, 4, "orders that reached the authority")
        note(f"{orders} orders in five runs")
    with check("with the earlier authority, install obtains the certificate"):
        configure(host)
        assert_issued(host.product("install", "--yes"))
        wait_until("the certificate without the other name", lambda: LOST not in shown(host))
        assert_equal((https(host)[0], certificate(host)["failed"]), (200, None), "status, failure")


def switched(host: Host, check: Checks) -> None:
    with check("without tls.acme, port 80 belongs to the distribution's nginx again, and certbot's directory remains"):
        write_settings(host, {"server_name": SERVER, "public_baseurl": f"https://{NAME}/", "serve_server_wellknown": True})
        assert_contains(host.product("install", "--yes").out, f"! start   {DISTRIBUTION}", f"+ enable  {DISTRIBUTION}")
        assert_equal(host.run("systemctl", "is-active", DISTRIBUTION).out, "active\n", DISTRIBUTION)
        assert_equal(host.run("ss", "-Hltn", "sport = :443").out, "", "listeners")
        assert_equal([host.path(path).exists() for path in (STORE, "/var/lib/synapse-workers/acme")], [True, False], "directories")
        assert_equal(host.units(TIMER), {}, "timer")
        assert_equal(host.json("status")["certificate"], None, "certificate in status")
    with check("with tls.acme again, the certificate is used again without the authority"):
        host.run("systemctl", "stop", "pebble")
        configure(host)
        result = host.product("install", "--yes")
        assert_equal("obtain" in result.out, False, "asked")
        assert_equal(https(host)[0], 200, "status over HTTPS")


def removed(host: Host, check: Checks) -> None:
    with check("uninstall retains certbot's directory, and leaves no failed unit"):
        # The failed state of a unit must go with it.
        host.run("rm", "-r", f"{STORE}/live")
        host.run("systemctl", "start", SERVICE, expect=(1,))
        assert_contains(services_down(host), SERVICE)
        assert_contains(host.product("uninstall", "--yes").out, f"directory {STORE}")
        assert_equal(services_down(host), "", "failed units")
        assert_equal(host.path(f"{STORE}/accounts").exists(), True, "account")
        assert_equal(host.run("systemctl", "is-active", DISTRIBUTION).out, "active\n", DISTRIBUTION)
    with check("--purge leaves nothing"):
        purge(host)
        listing.assert_equal(host.before, listing.everything(host), "after --purge")
    pebble.end(host)
