"""Attacks of a compromised account or a local user on root and the server: they gain nothing, and an install repairs the rest.

Each check takes the attacker's steps as that account, then root's ordinary command, and proves that nothing was gained. The
letters are those of the security review that found the attacks.
"""

from cases.attacks import files, input, locks, nginx, probes, processes, programs, state_files
from cases.attacks.common import HOME, LOCAL, PLAIN, settled
from harness import listing
from harness.checks import Checks
from harness.deployment import SETTINGS, add_test_options, purge
from harness.host import Host


def test_attacks(host: Host, check: Checks) -> None:
    """A compromised account or a local user gains nothing from root, and cannot stop the server."""
    add_test_options(host)
    host.write(SETTINGS, PLAIN)
    host.run("useradd", "--no-create-home", "--home-dir", HOME, LOCAL)
    with check("A2: a generator of synapse's own at the first install: root writes the key, and no file of root's changes its owner"):
        files.first_key(host)
    with check("a server with one worker and metrics", vital=True):
        settled(host)
    for theme in (files, programs, locks, nginx, processes, probes, state_files, input):
        theme.run(host, check)
    with check("--purge leaves nothing, and nothing of the attackers is left"):
        purge(host)
        files.forget_account(host)
        host.shell(f"userdel {LOCAL}; rm -rf {HOME}")
        listing.assert_equal(host.before, listing.everything(host), "after --purge")
