"""Rendering on an empty machine: an unprivileged user, no systemd, no network."""

import os
import shutil
import tempfile
from pathlib import Path

from harness.checks import Checks
from harness.deployment import PROGRAM, outside
from harness.expect import assert_contains, assert_equal
from harness.host import Host

# An empty /run: no systemd, no D-Bus. No network either. Then the user that owns nothing.
BARE = ["unshare", "--net", "--mount", "sh", "-euc",
        'mount -t tmpfs tmpfs /run; exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"', "sh"]
# Roles that send nothing: their workers have no network, by a drop-in.
CLOSED = ("account_data", "appservice", "presence", "push_rules", "receipts", "sliding_sync", "synchrotron", "to_device", "typing")


def test_render(host: Host, check: Checks) -> None:
    """The desired state as files, without root, systemd or network."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        program = Path(place) / "synapse-workers"
        shutil.copy(host.path(PROGRAM), program)
        trees = [Path(place) / name for name in ("one", "two")]
        for tree in trees:
            tree.mkdir()
            os.chown(tree, 65534, 65534)
        with check("render --root works as the account nobody, without systemd and network", vital=True) as note:
            for tree in trees:
                result = outside(*BARE, program, "render", "--root", tree, "--server-name", "example.test", "--workers", "full")
            note(f"{result.out.strip().split(' below')[0]}, {result.seconds:.2f} s")
        with check("two renderings are identical"):
            outside("diff", "--recursive", "--no-dereference", *trees)
            assert_equal(modes(trees[0]), modes(trees[1]), "modes and links")
        with check("rendering over an existing tree changes nothing"):
            before = modes(trees[0])
            outside(*BARE, program, "render", "--root", trees[0])
            assert_equal(modes(trees[0]), before, "modes and links")
            outside("diff", "--recursive", "--no-dereference", *trees)
        with check("the rendered tree contains the settings and the unit files"):
            assert_contains((trees[0] / "etc/synapse-workers/settings.yaml").read_text(encoding="utf-8"), "server_name: example.test")
            assert_equal(sorted(path.name for path in (trees[0] / "etc/systemd/system").iterdir()), [
                "synapse-hold.service", "synapse-main.service", "synapse-main.service.d", "synapse-main.socket",
                "synapse-nginx.service", "synapse-nginx.socket", "synapse-redis.service", "synapse-worker@.service",
                "synapse-worker@.service.d", "synapse-worker@.socket",
                *(f"synapse-worker@{name}1.service.d" for name in CLOSED), "synapse-workers.target"], "unit files")


def modes(tree: Path) -> dict[str, tuple[int, str | None]]:
    return {str(path.relative_to(tree)): (path.lstat().st_mode, os.readlink(path) if path.is_symlink() else None)
            for path in sorted(tree.rglob("*"))}
