"""A provider of single sign-on (OpenID Connect) on a host: oidc-provider-mock, which is in the tree (tests/host/recipe)."""

import json

from harness.expect import wait_until
from harness.host import Host

PROGRAM = "/opt/oidc-provider/bin/oidc-provider-mock"
UNIT = "oidc-provider.service"
ISSUER = "http://localhost:9400"
SECRET = "/etc/oidc-client-secret"


def start(host: Host) -> None:
    """Starts the provider, which forgets its clients when it ends."""
    host.run("systemd-run", "--quiet", f"--unit={UNIT}", "--property=DynamicUser=yes", PROGRAM, "--require-registration", "true")
    wait_until("the provider answers", lambda: host.run("curl", "--silent", "--fail", f"{ISSUER}/jwks", expect=None).code == 0)


def stop(host: Host) -> None:
    host.run("systemctl", "stop", UNIT)


def register(host: Host, server: str) -> str:
    """Registers a homeserver, writes its secret where Synapse can read it, and returns the options of Synapse."""
    body = json.dumps({"redirect_uris": [f"https://{server}/_synapse/client/oidc/callback"]})
    client = json.loads(host.run("curl", "--silent", "--fail", "--json", body, f"{ISSUER}/oauth2/clients").out)
    host.shell('umask 077; cat >"$1"; chgrp synapse "$1"; chmod 640 "$1"', SECRET, stdin=client["client_secret"])
    # Synapse requires https unless `skip_verification` is set. Without a template for the name, the user chooses it.
    return f"""\
oidc_providers:
  - idp_id: example
    idp_name: Example
    issuer: {ISSUER}
    skip_verification: true
    client_id: {client["client_id"]}
    client_secret_path: {SECRET}
    scopes: [openid, profile, email]
sso:
  client_whitelist: [https://app.example.test/]
"""


def forget(host: Host) -> None:
    """Removes everything about the provider from the host."""
    stop(host)
    host.run("rm", "--force", SECRET)
