"""From a plain host to `full`, and the work of users through it, request by request."""

import json
from typing import Any

import pytest

from harness.checks import Checks
from harness.deployment import FULL_UNITS, SHARED_SECRET, URL, all_active, client, install, services_down, state
from harness.expect import CheckFailed, assert_equal, wait_until
from harness.host import Host, unit_of


@pytest.mark.lane(1)
def test_full(host: Host, check: Checks) -> None:
    """Twenty workers serve two users, each request by the process that `routes` names."""
    with check("install exits 0", vital=True) as note:
        note(f"{install(host).seconds:.1f} s")
    with check("target, main, nginx, Redis and 20 workers are active"):
        all_active(host)
        assert_equal(services_down(host), "", "failed units of the host")
    with check("verify succeeds"):
        host.product("verify")
    with check("status --json: every process is active and healthy"):
        processes = host.json("status")["processes"]
        ill = [one for one in processes if one["state"] != "active" or one["health"] not in ("ok", "-")]
        services = {unit for unit in host.units() if unit.endswith(".service")}
        assert services >= {unit for unit in FULL_UNITS if unit.endswith(".service")}
        assert_equal((ill, len(processes)), ([], len(services)), "unhealthy, processes")
    record = state(host, "record")
    with check("the scenario of two users succeeds", vital=True) as note:
        note(client(host, "scenario.py", URL, "--shared-secret-file", str(host.path(SHARED_SECRET)),
                    "--record", str(record)).out.splitlines()[-1])
    with check("each request was answered by a process that `routes` names") as note:
        note(answered_as_routed(host, json.loads(record.read_text(encoding="utf-8"))))


def answered_as_routed(host: Host, record: dict[str, Any]) -> str:
    """Compares `routes` for every recorded request with the journals that name it."""
    requests = record["requests"]
    marker = f"probe-{record['run']}-[0-9]+"
    wanted = {one["marker"] for one in requests}
    units = wait_until("every request in a journal", lambda: complete(host.processed(marker), wanted))
    wrong = []
    for one, processes in zip(requests, routes(host, requests), strict=True):
        named = {unit_of(process) for process in processes}
        if not units[one["marker"]] <= named:
            wrong.append(f"{one['method']} {one['path']}: answered by {units[one['marker']]}, routes names {named}")
    if wrong:
        raise CheckFailed("\n".join(wrong))
    return f"{len(requests)} requests by {len(set().union(*units.values()))} processes"


def complete(units: dict[str, set[str]], wanted: set[str]) -> dict[str, set[str]] | None:
    return units if wanted <= units.keys() else None


def routes(host: Host, requests: list[dict[str, Any]]) -> list[list[str]]:
    """The processes that `routes METHOD PATH` names, for each request: one shell in the host asks for all."""
    script = 'while IFS="$(printf "\\t")" read -r method path; do synapse-workers routes "$method" "$path" --json; done'
    text = host.shell(script, stdin="".join(f"{one['method']}\t{one['path']}\n" for one in requests)).out
    return [json.loads(line)["processes"] for line in text.splitlines()]
