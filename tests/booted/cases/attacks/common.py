"""Common parts of the attacks: the server under attack, accounts, victims, bounds, and the state afterwards."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness import deployment, listing
from harness.deployment import SERVER, SETTINGS
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Expected, Host, Result
from harness.listing import Listing

# A local user without any right.
LOCAL = "joe"
HOME = "/tmp/joe"
DATA = "/var/lib/synapse"
KEY = f"{DATA}/signing.key"
OWN = "/etc/synapse-workers/homeserver.d/zz-attack.yaml"
WORKER = "client_reader1"
PLAIN = f"""server_name: {SERVER}
workers: [client_reader, media_repository, synchrotron]
metrics: {{enabled: true}}
log_level: INFO
nginx: {{client_keepalive_timeout: 61s}}
"""
# Synapse's parser refuses it.
REFUSED = "retention: [1]\n"

# Runs a command within a time and a size of memory: both are limits of the attack, not of the product.
MEASURE = """
import json, resource, subprocess, sys, time
seconds, memory, *command = sys.argv[1:]
limit = lambda: resource.setrlimit(resource.RLIMIT_DATA, (int(memory) << 20,) * 2)
begun = time.monotonic()
try:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=float(seconds), preexec_fn=limit)
    code, out = done.returncode, done.stdout + done.stderr
except subprocess.TimeoutExpired:
    code, out = None, "it did not end"
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
print(json.dumps({"code": code, "out": out, "seconds": time.monotonic() - begun, "peak": peak}))
"""


def as_account(host: Host, account: str, script: str, *arguments: str, expect: Expected = (0,), stdin: str | None = None) -> Result:
    """A shell script of an attacker who has this account."""
    return host.run("runuser", "-u", account, "--", "sh", "-euc", script, "sh", *arguments, expect=expect, stdin=stdin)


def bounded(host: Host, seconds: float, *arguments: str, expect: Expected = (0,), place: str = "/") -> Result:
    """Root's command, which ends within this time: exit code 124 means that it did not."""
    script = 'cd "$1"; shift; exec timeout --kill-after=20 "$@"'
    return host.shell(script, place, str(seconds), "synapse-workers", *arguments, expect=expect)


def measured(host: Host, seconds: float, megabytes: int, *arguments: str) -> dict[str, Any]:
    """Root's command with its exit code, output, seconds and peak of memory in MiB. The code is None where it did not end."""
    words = ("-c", MEASURE, str(seconds), str(megabytes), "synapse-workers", *arguments)
    return json.loads(host.run("python3", *words).out)


@contextmanager
def attacker(host: Host, account: str, name: str, *command: str) -> Iterator[None]:
    """A process of the attacker's that goes on beside root's commands."""
    unit = f"case-{name}.service"
    host.run("systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--uid={account}", "--", *command)
    try:
        yield
    finally:
        host.run("systemctl", "kill", "--signal=KILL", unit, expect=None)
        host.run("systemctl", "stop", unit, expect=None)


class Victim:
    """Files of root's where no other account may enter; `place` has some that an attacker would like to have."""

    place, file = "/root/victim", "/root/victim/key"

    def __init__(self, host: Host) -> None:
        self.host = host
        host.shell('mkdir -m 0700 "$1"; cd "$1"; umask 077; for name in .hidden a b c key; do echo secret >"$name"; done', self.place)
        self.before = self._now()

    def filled(self, script: str) -> None:
        """Fills the file with the output of a script, which must not change."""
        self.host.shell(f'{script} >"$1"', self.file)
        self.before = self._now()

    def _now(self) -> Listing:
        return listing.walk(self.host, ["/root"], (), "times")

    def unchanged(self) -> None:
        """The same files with the same contents, ownership and permissions, and no other file in /root."""
        listing.assert_equal(self.before, self._now(), "files of root's")


def settled(host: Host) -> None:
    """A plain install brings everything back to a state that is verified."""
    host.product("install", "--yes")
    wait_until("verify to have no complaint", lambda: host.product("verify", expect=(0, 1)).code == 0)
    host.product("plan", "--detailed-exitcode")
    assert_equal(deployment.services_down(host), "", "failed units of the host")


@contextmanager
def undone(host: Host, script: str) -> Iterator[None]:
    """What the attacker left goes after the attack, whatever came of it, and the settings are as they were."""
    def clean(expect: Expected) -> None:
        host.write(SETTINGS, PLAIN)
        host.shell(f"rm -rf {Victim.place} {OWN}; {script}", expect=expect)
    try:
        yield
    except BaseException:
        clean(None)
        host.product("rollback" if host.path("/var/lib/synapse-workers/trial.json").exists() else "install", "--yes", expect=None)
        raise
    clean((0,))
    settled(host)


def changed(key: str, value: str) -> str:
    """The settings with another value."""
    text, count = re.subn(rf"(\b{key}): [^}}\n]+", rf"\g<1>: {value}", PLAIN)
    assert_equal(count, 1, f"places of {key}")
    return text


def helpful(result: Result, *names: str) -> None:
    """A refusal that names these, one message and no panic."""
    assert_contains(result.err, "error: ", *names)
    assert "panicked" not in result.err, str(result)
