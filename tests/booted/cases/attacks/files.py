"""Files: an account whose directory root works in has root delete, open or read files of others."""

from cases.attacks.common import DATA, KEY, OWN, REFUSED, Victim, as_account, bounded, helpful, undone
from harness.checks import Checks
from harness.deployment import generation
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import Host

MIGRATION = f"{DATA}/migration"
SAVED = "/root/signing.key.saved"
PACKAGE = f"{DATA}/synapse"
# Takes the place of Synapse's generator, and of nothing else, where the current directory is searched first.
GENERATOR = """
cd "$1"; rm -f signing.key; mkdir -p synapse/_scripts; touch synapse/_scripts/__init__.py
echo "__path__ = __import__('pkgutil').extend_path(__path__, __name__)" >synapse/__init__.py
echo "import os; os.symlink('$2', '$1/signing.key')" >synapse/_scripts/generate_signing_key.py
"""
OWNERS = 'stat --format="%U %a" "$@"'


def run(host: Host, check: Checks) -> None:
    with check("A1: a link at /var/lib/synapse/migration and a change that fails: no file of root's goes"):
        deletes(host)
    with check("A1: files of synapse in its directory do not make root believe that a migration was interrupted"):
        pretends(host)
    with check("A2: a signing key that is lost, and a generator of synapse's own: no file of root's is opened to its group"):
        opens(host)


def deletes(host: Host) -> None:
    victim, before = Victim(host), generation(host)
    with undone(host, f"rm -rf {MIGRATION}"):
        as_account(host, "synapse", 'ln -s "$1" "$2"', victim.place, MIGRATION)
        host.write(OWN, REFUSED)
        failed = bounded(host, 120, "install", "--yes", expect=None)
        victim.unchanged()
        assert_equal(failed.code, 1, f"{failed}\nexit code")
        helpful(failed, "the host is as it was before")
        assert_equal(generation(host), before, "generations")
        refused = as_account(host, "synapse", "mkdir -p /var/lib/synapse-workers/migration", expect=(1,))
        assert_contains(refused.err, "Permission denied")


def pretends(host: Host) -> None:
    with undone(host, f"rm -rf {MIGRATION} {DATA}/homeserver.db"):
        as_account(host, "synapse", f"mkdir {MIGRATION}; touch {MIGRATION}/begun {DATA}/homeserver.db")
        assert_contains(bounded(host, 60, "install", "--yes").out, "0 changed")


def opens(host: Host) -> None:
    host.run("cp", "--archive", KEY, SAVED)
    victim, before = Victim(host), generation(host)
    with undone(host, f"rm -rf {PACKAGE} {KEY}; mv {SAVED} {KEY}"):
        as_account(host, "synapse", GENERATOR, DATA, victim.file)
        refused = bounded(host, 120, "install", "--yes", expect=None)
        victim.unchanged()
        if refused.code not in (64, 65):
            raise CheckFailed(f"a lost key is no error\n{refused}")
        helpful(refused, KEY, "backup")
        assert_equal(host.shell(f"ls -d {KEY} 2>/dev/null || true").out, "", "a new key")
        assert_equal(generation(host), before, "generations")


def first_key(host: Host) -> None:
    """Before the first install: the account is there, as Synapse's own guide makes it, and so is its generator."""
    host.run("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", DATA, "--shell", "/usr/sbin/nologin", "synapse")
    host.run("install", "--directory", "--owner=synapse", "--group=synapse", "--mode=0750", DATA)
    victim = Victim(host)
    # A key that Synapse can use, so that nothing else fails where root is deceived.
    victim.filled("/opt/venvs/matrix-synapse/bin/python -I -m synapse._scripts.generate_signing_key")
    as_account(host, "synapse", GENERATOR, DATA, victim.file)
    try:
        done = bounded(host, 180, "install", "--yes", expect=None)
        victim.unchanged()
        assert_equal(done.code, 0, f"{done}\nexit code")
        assert_equal(host.shell(OWNERS, KEY).out.split(), ["root", "640"], "owner and mode of the key")
        assert host.read(KEY) != host.read(victim.file), "the key is the victim's"
    finally:
        host.shell(f"rm -rf {PACKAGE}; if [ -L {KEY} ]; then cp --remove-destination {victim.file} {KEY}; chown root:synapse {KEY}; fi; "
                   f"rm -rf {victim.place}")


def forget_account(host: Host) -> None:
    """Removes the account and directory of `first_key`, which --purge leaves, since they were there before."""
    host.shell(f"userdel synapse; rm -rf {DATA}")
