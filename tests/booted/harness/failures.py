"""A record of the host before a change, and homeserver.d options that make a change fail."""

from harness.deployment import SETTINGS, all_active, assert_equal_except, generation
from harness.expect import assert_equal
from harness.host import Host

OWN = "/etc/synapse-workers/homeserver.d/zz-case.yaml"
# Options that Synapse's parser refuses: a wrong type, a missing file, invalid YAML.
REFUSED = {
    "a wrong type": ("retention: [1]\n", (1,)),
    "a module that does not exist": ("modules:\n  - module: no.such.Module\n    config: {}\n", (1,)),
    "not YAML": ("a: [\n", (64,)),
    "a key that the settings own": ("listeners: []\n", (64,)),
}
# Synapse's parser accepts the class; Synapse calls it with arguments it does not have when it starts.
FAILS_AT_START = "modules:\n  - module: json.JSONDecoder\n    config: {}\n"


class Before:
    """A record of the host before a change."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.settings, self.generation = host.read(SETTINGS), generation(host)
        self.invocations, self.routes = host.invocations(), host.json("routes")

    def compare(self, restarted: bool = False) -> None:
        """Asserts the same settings, generation, routes and units, and the same processes unless some were restarted."""
        all_active(self.host)
        assert_equal(self.host.read(SETTINGS), self.settings, "settings file")
        assert_equal(generation(self.host), self.generation, "generations")
        assert_equal(self.host.json("routes"), self.routes, "routes")
        if not restarted:
            assert_equal_except(self.invocations, self.host.invocations())
        assert_equal(self.host.run("systemctl", "is-system-running").out.strip(), "running", "the host")
