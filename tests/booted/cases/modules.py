"""Single sign-on by OpenID Connect and a module in our venv, and a venv that is damaged in three ways."""

import json
import re
from typing import Any

import pytest

from harness import listing, provider
from harness.checks import Checks
from harness.deployment import MODULE, SERVER, SETTINGS, URL, add_test_options, client, generation, jobs, purge, talk, worker
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Host

OPT = "/opt/synapse-workers"
BASE = f"{OPT}/venv-1.163.2"
VENV = f"{OPT}/venv"
OPTIONS = "/etc/synapse-workers/homeserver.d/modules.yaml"
S3 = """\
media_storage_providers:
  - module: s3_storage_provider.S3StorageProviderBackend
    store_local: false
    store_remote: false
    config: {bucket: media.example.test, region_name: nowhere}
"""
CERTIFICATE, KEY = "/etc/ssl/private/login.pem", "/etc/ssl/private/login.key"
REDIRECT = "/_matrix/client/v3/login/sso/redirect/oidc-example"
CALLBACK, PICK = "/_synapse/client/oidc/callback", "/_synapse/client/pick_username"
# The process that answers the pages of single sign-on.
SSO = worker("sso_login1")
# What a distribution upgrade, a wrong `rm` and a full disk leave of a venv, each with a word of the reason.
DAMAGES = (
    ("a Python that is gone", 'ln -sfn /usr/bin/python3.1 "$1/bin/python3"', "bin/python leads to no program"),
    ("packages for another Python", 'mv "$1"/lib/python3* "$1/lib/python3.1"', "site-packages is missing"),
    ("an empty file", ': >"$(echo "$1"/lib/python3*/site-packages/twisted/web/server.py)"', "twisted/web/server.py is missing or was"),
)


@pytest.mark.bare
def test_modules(host: Host, check: Checks) -> None:
    """Packages for single sign-on and a module are installed, users log in by it, and a damaged venv is built again."""
    with check("install with HTTPS and a worker for logins, with the packages of every server", vital=True) as note:
        add_test_options(host)
        host.shell(f"""umask 077; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN={SERVER}" \\
            -keyout {KEY} -out {CERTIFICATE} 2>/dev/null""")
        tls = (f"SYNAPSE_TLS_CERT={CERTIFICATE}", f"SYNAPSE_TLS_KEY={KEY}")
        install = ("synapse-workers", "install", "--server-name", SERVER, "--workers", "small, sso_login", "--yes")
        note(f"{host.run('env', *tls, *install).seconds:.1f} s")
        assert_equal(venv(host), BASE, "venv")
    packages(host, check)
    single_sign_on(host, check)
    for what, script, reason in DAMAGES:
        damaged(host, check, what, script, reason)
    with check("if pip fails, the damaged venv is put back and the server runs on"):
        host.shell(DAMAGES[2][1], venv(host))
        before = processes(host)
        host.shell("mv /var/cache/wheels /var/cache/away")
        try:
            failed = host.product("install", "--yes", expect=(1,))
        finally:
            host.shell("mv /var/cache/away /var/cache/wheels")
        assert_contains(failed.err, "installing matrix-synapse[oidc,redis,url-preview]==1.163.2")
        assert_contains(host.product("plan").out, "~ rebuild Synapse 1.163.2")
        assert_equal(processes(host), before, "processes")
        host.shell('test -d "$1" && test ! -e "$1.old"', venv(host))
        host.product("install", "--yes")
    with check("without the options and the module, the venv is that of every server again"):
        host.run("rm", OPTIONS)
        choose(host, "")
        host.product("install", "--yes")
        assert_equal(venv(host), BASE, "venv")
        talk(host)
        provider.forget(host)
    with check("uninstall --purge removes everything") as note:
        note(f"{purge(host).seconds:.1f} s")
        host.run("rm", CERTIFICATE, KEY)
        listing.assert_equal(host.before, listing.everything(host), "after --purge")


def choose(host: Host, packages: str) -> None:
    """Writes `synapse.packages`. A settings file that existed before the first install has no line for it yet."""
    text, count = re.subn(r"(?m)^  packages:.*", f"  packages: [{packages}]", host.read(SETTINGS))
    host.write(SETTINGS, text if count else f"{text}synapse:\n  packages: [{packages}]\n")


def packages(host: Host, check: Checks) -> None:
    with check("a module without its package is refused by Synapse's parser, and nothing restarts"):
        before, number = processes(host), generation(host)
        provider.start(host)
        host.write(OPTIONS, provider.register(host, SERVER) + S3)
        assert_contains(host.product("install", "--yes", expect=(1,)).err, "No module named 's3_storage_provider'")
        assert_equal((processes(host), generation(host)), (before, number), "processes and generation")
    with check("oidc_providers and synapse.packages: a new venv, validated before the switch, and a restart with its reason",
               vital=True) as note:
        choose(host, MODULE)
        plan = host.product("plan").out
        assert_contains(plan, f"+ create  Synapse 1.163.2 with oidc, {MODULE} in {BASE}-", "with Synapse's own configuration parser",
                        "because synapse/packages changed: Synapse imports Python packages only at start")
        assert_equal({verb for verb, *_ in jobs(plan)}, {"restart"}, "verbs of jobs")
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        assert_contains(venv(host), f"{BASE}-")
        host.run(f"{VENV}/bin/python", "-c", "import authlib, s3_storage_provider")
        talk(host)
    with check("a rollback returns to the venv before, and back"):
        link, _ = generation(host)
        host.product("rollback", "--yes")
        assert_equal(venv(host), BASE, "venv")
        host.product("rollback", link.rsplit("/", 1)[-1], "--yes")
        assert_contains(venv(host), f"{BASE}-")
    with check("a second install prints `0 changed`"):
        assert_contains(host.product("install", "--yes").out, "0 changed")


def single_sign_on(host: Host, check: Checks) -> None:
    with check("a user logs in at the provider, over HTTPS, and chooses a name", vital=True) as note:
        assert_contains(host.net("curl", "--silent", "--show-error", f"{URL}/_matrix/client/v3/login").out, '"oidc-example"')
        login = log_in(host)
        assert_equal(login["user"], f"@alice:{SERVER}", "user")
        assert_contains(login["cookies"], "oidc_session: Max-Age=3600; Path=/_synapse/client/oidc; HttpOnly; Secure; SameSite=None")
        assert login["headers"] > 4096, login["headers"]
        note(f"{login['headers']} bytes of headers")
    with check("one process answers the pages of a login, whose session it has in memory"):
        marked = {path: marker for path, marker in login["markers"].items() if path.startswith(("/_synapse/client", REDIRECT))}
        assert {REDIRECT, CALLBACK} < set(marked) and any(path.startswith(PICK) for path in marked), marked
        units = wait_until("every request in a journal", lambda: answered(host, set(marked.values())))
        assert_equal({path: units[marker] for path, marker in marked.items()}, {path: {SSO} for path in marked}, "units")
    with check("a second login of the same user asks for no name"):
        login = log_in(host)
        assert_equal((login["user"], [path for path in login["markers"] if path.startswith(PICK)]), (f"@alice:{SERVER}", []), "login")
    with check("if the provider is down, the server starts, and a login is answered with the reason"):
        provider.stop(host)
        host.run("systemctl", "restart", SSO)
        assert_contains(login_page(host), "503 text/html", "This login provider is unavailable right now.")
        wait_until("a message in the journal", lambda: "Error while preloading OIDC provider" in host.run(
            "journalctl", "--quiet", "--unit", SSO, "--priority=crit", expect=None).out)
        host.product("verify")
        talk(host)
    with check("as soon as the provider is back, a login is redirected to it"):
        provider.start(host)
        assert_contains(login_page(host), f"302 {provider.ISSUER}/oauth2/authorize?")


def log_in(host: Host) -> dict[str, Any]:
    return json.loads(client(host, "single_sign_on.py", SERVER, "alice").out)


def answered(host: Host, markers: set[str]) -> dict[str, set[str]] | None:
    units = host.processed("|".join(sorted(markers)))
    return units if markers <= units.keys() else None


def login_page(host: Host) -> str:
    """The status of the first page of a login, then its target or its type and text."""
    return host.net("curl", "--silent", "--show-error", "--insecure", "--connect-to", "::127.0.0.1:", "--write-out",
                    "\\n%{http_code} %{redirect_url}%{content_type}", f"https://{SERVER}{REDIRECT}?redirectUrl=https://app.example.test/").out


def damaged(host: Host, check: Checks, what: str, script: str, reason: str) -> None:
    with check(f"{what}: doctor, status and plan name it, and install builds the venv again") as note:
        before, place = processes(host), venv(host)
        host.shell(script, place)
        findings = {row["check"]: row for row in host.json("doctor")}
        row = findings["Synapse and the state compressor are intact"]
        assert_equal(row["result"], "warn", "result of doctor")
        assert_contains(row["problem"], reason)
        assert_contains(host.product("status", expect=None).out, "damaged: Synapse 1.163.2", reason)
        plan = host.product("plan").out
        assert_contains(plan, "~ rebuild Synapse 1.163.2", reason, f"because {place} changed: ")
        result = host.product("install", "--yes")
        note(f"{result.seconds:.1f} s")
        after = processes(host)
        assert_equal([unit for unit in before if before[unit] == after.get(unit)], [], "processes that did not restart")
        assert_equal(venv(host), place, "venv")
        host.shell('test ! -e "$1.old"', place)
        host.product("verify")
        assert_contains(host.product("install", "--yes").out, "0 changed")
        talk(host)


def venv(host: Host) -> str:
    """The venv in use, to which the link for administrators leads."""
    return host.run("readlink", VENV).out.strip()


def processes(host: Host) -> dict[str, str]:
    """The invocations of Synapse's processes by unit."""
    return host.invocations(*(unit for unit in host.units("synapse-main.service", "synapse-worker@*.service")))
