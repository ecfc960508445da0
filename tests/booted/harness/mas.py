"""The stand-in for the Matrix Authentication Service on a host: on loopback, and in a network of its own like a container's."""

import json
from dataclasses import dataclass
from typing import Any

from harness.deployment import CLIENTS, SERVER
from harness.expect import CheckFailed, wait_until
from harness.host import Host

SCRIPT = "/srv/mas_stand_in.py"
SECRET_FILE = "/srv/mas_secret"
SECRET = "hidden-shared-secret-of-mas"
# The address of the host and that of the container on the bridge between them.
BRIDGE, CONTAINER = "172.17.0.1", "172.17.0.2"
NAMESPACE = "box"


@dataclass
class StandIn:
    """A running stand-in. `url` is that in the settings."""

    host: Host
    unit: str
    url: str
    # Words in front of a command that runs beside it.
    beside: tuple[str, ...] = ()

    def ask(self, path: str, **asked: Any) -> dict[str, Any]:
        """Sends Synapse a request from where it runs, with the shared secret; returns status and body."""
        return self.steer("ask", path=path, body=asked or None)

    def steer(self, verb: str, **asked: Any) -> dict[str, Any]:
        """See mas_stand_in.py."""
        text = self.curl("--data", json.dumps(asked), f"{self.url}stand-in/{verb}")
        try:
            return json.loads(text)
        except ValueError:
            raise CheckFailed(f"the stand-in answers {text!r}") from None

    def curl(self, *arguments: str) -> str:
        return self.host.run(*self.beside, "curl", "--silent", "--show-error", "--max-time", "20", *arguments).out

    def stop(self) -> None:
        self.host.run("systemctl", "stop", self.unit)


def prepare(host: Host) -> None:
    """Writes what a stand-in needs: its program, and the secret that it shares with Synapse."""
    host.push(CLIENTS / "mas_stand_in.py", SCRIPT)
    host.shell('umask 077; cat >"$1"', SECRET_FILE, stdin=f"{SECRET}\n")


def near(host: Host, port: int = 8090) -> StandIn:
    """A stand-in on loopback, as a unit of the administrator."""
    return start(host, "outside-mas", "127.0.0.1", port, "http://127.0.0.1:8008", ())


def container(host: Host, port: int = 8080) -> StandIn:
    """A stand-in in a network namespace, which reaches the host over a bridge address only."""
    host.shell(f"""
        ip netns add {NAMESPACE}
        ip link add {NAMESPACE}0 type veth peer name eth0 netns {NAMESPACE}
        ip address add {BRIDGE}/16 dev {NAMESPACE}0
        ip link set {NAMESPACE}0 up
        ip -n {NAMESPACE} address add {CONTAINER}/16 dev eth0
        ip -n {NAMESPACE} link set lo up
        ip -n {NAMESPACE} link set eth0 up""")
    return start(host, "outside-mas-container", CONTAINER, port, f"http://{BRIDGE}:8008", ("ip", "netns", "exec", NAMESPACE))


def remove_container(host: Host) -> None:
    host.run("ip", "netns", "delete", NAMESPACE)


def start(host: Host, unit: str, address: str, port: int, synapse: str, beside: tuple[str, ...]) -> StandIn:
    host.run("systemd-run", "--quiet", "--collect", f"--unit={unit}", *beside, "python3", SCRIPT, address, str(port), synapse, SERVER,
             SECRET_FILE)
    stand_in = StandIn(host, unit, f"http://{address}:{port}/", beside)
    metadata = f"{stand_in.url}.well-known/openid-configuration"
    wait_until("the stand-in answers", lambda: host.run(*beside, "curl", "--silent", metadata, expect=None).code == 0)
    return stand_in
