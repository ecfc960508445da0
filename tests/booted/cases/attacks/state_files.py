"""State files of the product that are damaged: named with the remedy, and repaired by install where that is safe."""

from cases.attacks.common import bounded, changed, helpful, settled, undone
from harness.checks import Checks
from harness.deployment import CURRENT, SETTINGS, generation
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import Host

PLACE = "/var/lib/synapse-workers"
GENERATIONS = f"{PLACE}/generations"
MADE, TRIAL, SWITCHED = "/etc/synapse-workers/made.json", f"{PLACE}/trial.json", f"{PLACE}/switched"
# Each with its damaged contents, the commands that read it, and the codes of an install: the record of created resources is
# not replaced by a guess.
DAMAGED = {
    "the manifest of the current generation": (f"{CURRENT}/manifest.json", "x", ("plan", "status"), (0,)),
    "the note of a trial": (TRIAL, "x", ("status", "confirm"), (0, 64, 65)),
    "the record of created resources": (MADE, "x", ("plan",), (0, 64, 65)),
    "the list of generations that were switched to": (SWITCHED, r"\377", ("plan",), (0, 64, 65)),
}
# No number of a generation, or none that another could follow.
NAMES = ("007", "4294967295")
SAVED = "/root/saved"


def run(host: Host, check: Checks) -> None:
    for what, row in DAMAGED.items():
        with check(f"B7: {what} is damaged: named with the remedy, and install repairs it or names the command that does") as note:
            note(damaged(host, *row))
    with check("B7: names in generations/ that are no generation's: generations lists the others, and the next one follows them"):
        foreign(host)


def damaged(host: Host, path: str, contents: str, commands: tuple[str, ...], codes: tuple[int, ...]) -> str:
    # The name that lasts: `current` may be another generation afterwards.
    path = host.run("readlink", "--canonicalize-missing", path).out.strip()
    with undone(host, f"if [ -e {SAVED} ]; then mv {SAVED} {path}; else rm -f {path}; fi"):
        host.shell('if [ -e "$1" ]; then cp -a "$1" "$2"; fi; printf "$3" >"$1"', path, SAVED, contents)
        for command in commands:
            result = bounded(host, 60, command, expect=None)
            assert result.code in (0, 1, 64, 65), str(result)
            assert_contains(result.out + result.err, path)
            if not any(remedy in result.out + result.err for remedy in ("help: ", "synapse-workers install")):
                raise CheckFailed(f"no remedy is named\n{result}")
        result = bounded(host, 120, "install", "--yes", expect=codes)
        if result.code == 0:
            settled(host)
            return "repaired"
        helpful(result, path, "help: ")
        return f"refused, exit code {result.code}"


def foreign(host: Host) -> None:
    with undone(host, f"cd {GENERATIONS}; rm -rf {' '.join(NAMES)}"):
        before = int(generation(host)[0].split("/")[1])
        listed = [one["number"] for one in host.json("generations")]
        host.shell('cd "$1"; shift; mkdir "$@"', GENERATIONS, *NAMES)
        assert_equal([one["number"] for one in host.json("generations")], listed, "generations that are listed")
        assert_contains(host.product("plan").out, "0 to change")
        host.write(SETTINGS, changed("client_keepalive_timeout", "62s"))
        bounded(host, 120, "install", "--yes")
        assert_equal(generation(host)[0], f"generations/{max(*listed, before) + 1}", "current")
