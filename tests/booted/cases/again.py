"""The same install again."""

from cases.deployment import FULL_UNITS, SERVER, generation, same_but
from hosts import contains, same


def run(host, check):
    before = host.invocations(), generation(host)
    with check("install with the same flags prints `0 changed`") as note:
        result = host.product("install", "--server-name", SERVER, "--workers", "full", "--yes")
        contains(result.out, "0 changed")
        note(result.out.strip())
    with check("plain install prints `0 changed`, within a second") as note:
        result = host.product("install", "--yes")
        contains(result.out, "0 changed")
        note(f"{result.seconds:.2f} s with the way into the host")
        assert result.seconds < 1.0, result
    with check("no unit was started anew, no generation written"):
        same_but(before[0], host.invocations())
        same(set(before[0]), FULL_UNITS, "units")
        same(generation(host), before[1], "generations")
    with check("plan has nothing to do"):
        host.product("plan", "--detailed-exitcode")
        same(host.json("plan"), {"changes": 0, "steps": []}, "plan")
