"""Single sign-on and a module in our venv, and a venv that is damaged in three ways."""

import pytest

from harness import listing
from harness.checks import Checks
from harness.deployment import MODULE, SERVER, SETTINGS, URL, add_test_options, generation, jobs, purge, talk
from harness.expect import assert_contains, assert_equal
from harness.host import Host

OPT = "/opt/synapse-workers"
BASE = f"{OPT}/venv-1.163.2"
VENV = f"{OPT}/venv"
OPTIONS = "/etc/synapse-workers/homeserver.d/modules.yaml"
# A provider without discovery: Synapse does not ask it before a user logs in.
OIDC = """\
oidc_providers:
  - idp_id: example
    idp_name: Example
    issuer: https://id.example.test/
    discover: false
    client_id: synapse
    client_secret: hidden
    authorization_endpoint: https://id.example.test/authorize
    token_endpoint: https://id.example.test/token
    jwks_uri: https://id.example.test/jwks
"""
S3 = """\
media_storage_providers:
  - module: s3_storage_provider.S3StorageProviderBackend
    store_local: false
    store_remote: false
    config: {bucket: media.example.test, region_name: nowhere}
"""
REDIRECT = "/_matrix/client/v3/login/sso/redirect/oidc-example?redirectUrl=https://app.example.test/"
# What a distribution upgrade, a wrong `rm` and a full disk leave of a venv, each with a word of the reason.
DAMAGES = (
    ("a Python that is gone", 'ln -sfn /usr/bin/python3.1 "$1/bin/python3"', "bin/python leads to no program"),
    ("packages for another Python", 'mv "$1"/lib/python3* "$1/lib/python3.1"', "site-packages is missing"),
    ("an empty file", ': >"$(echo "$1"/lib/python3*/site-packages/twisted/web/server.py)"', "twisted/web/server.py is missing or was"),
)


@pytest.mark.bare
def test_modules(host: Host, check: Checks) -> None:
    """Packages for single sign-on and for a module are installed, and a damaged venv is built again."""
    with check("install --preset small, with the packages of every server", vital=True) as note:
        add_test_options(host)
        note(f"{host.product('install', '--server-name', SERVER, '--preset', 'small', '--yes').seconds:.1f} s")
        assert_equal(venv(host), BASE, "venv")
    packages(host, check)
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
        host.shell(f"rm {OPTIONS} && sed -i 's/^  packages:.*/  packages:/' {SETTINGS}")
        host.product("install", "--yes")
        assert_equal(venv(host), BASE, "venv")
        talk(host)
    with check("uninstall --purge removes everything") as note:
        note(f"{purge(host).seconds:.1f} s")
        listing.assert_equal(host.before, listing.everything(host), "after --purge")


def packages(host: Host, check: Checks) -> None:
    with check("a module without its package is refused by Synapse's parser, and nothing restarts"):
        before, number = processes(host), generation(host)
        host.write(OPTIONS, OIDC + S3)
        assert_contains(host.product("install", "--yes", expect=(1,)).err, "No module named 's3_storage_provider'")
        assert_equal((processes(host), generation(host)), (before, number), "processes and generation")
    with check("oidc_providers and synapse.packages: a new venv, validated before the switch, and a restart with its reason",
               vital=True) as note:
        host.shell(f"sed -i 's/^  packages:.*/  packages: [{MODULE}]/' {SETTINGS}")
        plan = host.product("plan").out
        assert_contains(plan, f"+ create  Synapse 1.163.2 with oidc, {MODULE} in {BASE}-", "with Synapse's own configuration parser",
                        "because synapse/packages changed: Synapse imports Python packages only at start")
        assert_equal({verb for verb, *_ in jobs(plan)}, {"restart"}, "verbs of jobs")
        note(f"{host.product('install', '--yes').seconds:.1f} s")
        assert_contains(venv(host), f"{BASE}-")
        host.run(f"{VENV}/bin/python", "-c", "import authlib, s3_storage_provider")
        talk(host)
    with check("clients are offered the provider, and a login is redirected to it"):
        assert_contains(host.net("curl", "--silent", "--show-error", f"{URL}/_matrix/client/v3/login").out, '"oidc-example"')
        # Synapse first redirects a request for another URL than public_baseurl to that one.
        answer = host.net("curl", "--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}",
                          "--header", f"Host: {SERVER}", "--header", "X-Forwarded-Proto: https", f"{URL}{REDIRECT}").out
        assert_contains(answer, "302 https://id.example.test/authorize?", "client_id=synapse")
    with check("a rollback returns to the venv before, and back"):
        link, _ = generation(host)
        host.product("rollback", "--yes")
        assert_equal(venv(host), BASE, "venv")
        host.product("rollback", link.rsplit("/", 1)[-1], "--yes")
        assert_contains(venv(host), f"{BASE}-")
    with check("a second install prints `0 changed`"):
        assert_contains(host.product("install", "--yes").out, "0 changed")


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
