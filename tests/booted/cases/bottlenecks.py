"""Six bottlenecks made on purpose: the first recommendation is right, and following it brings the promised gain."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from harness.checks import Checks
from harness.deployment import CLIENTS, SETTINGS, URL, add_test_options, prepared_load, psql, purge
from harness.expect import assert_contains, assert_equal
from harness.host import Host

# Requests that the clients do not send while a measurement takes.
ENDLESS = "300000"
LENGTH = "20s"
# Requests that a client_reader can answer. Those for messages would leave work in the background behind them.
KIND = "members"
# Programs that use processors, and connections that use no process of Synapse.
BURNER = "burner"
IDLE_CLIENT = "idle-client"
Advice = dict[str, Any]


@pytest.mark.slow
def test_bottlenecks(host: Host, check: Checks) -> None:
    """Six bottlenecks are recognized, and each recommendation brings the promised gain within a factor of two."""
    add_test_options(host)
    configure(host, {})
    prepared_load(host)
    processors(host, check)
    processes(host, check)
    pool(host, check)
    caches(host, check)
    limit(host, check)
    purge(host)


def processors(host: Host, check: Checks) -> None:
    """Programs that do not belong to the server use all processors."""
    with check("1: other programs use all processors") as note:
        with burners(host):
            advice = measured(host, KIND)
        found = first(advice, "host-processors")
        assert_contains(found["change"]["outside"], "stop or limit the other programs")
        promised = float(re.search(r"can use ([0-9.]+) more processors", found["effect"])[1])
        after = measured(host, KIND)
        gained = used(after) - used(advice) + idle(after)
        note(f"{promised:.1f} processors promised, {gained:.1f} gained; {rate(advice):.0f} → {rate(after):.0f} requests a second")
        within_two(gained, promised, "processors that the server can use")


def processes(host: Host, check: Checks) -> None:
    """One process of Synapse is saturated while a processor is idle."""
    before: Advice = {}
    with check("2: the main process is saturated by one kind of request", vital=True) as note:
        before = measured(host, KIND)
        found = first(before, "main-process")
        assert_equal(found["change"], {"command": "synapse-workers add client_reader"}, "change")
        follow(host, found, {})
        after = measured(host, KIND)
        note(f"{found['effect']}; {demand(after, 'main'):.2f} of a processor, {rate(before):.0f} → {rate(after):.0f} requests a second")
        promised = part_of(found["effect"], "main needs")
        assert demand(after, "main") <= 2 * promised, f"main needs {demand(after, 'main'):.2f}, promised {promised:.2f}"
        within_two(rate(after) / rate(before), found["gain"], "times the requests")
    with check("3: then the worker is saturated") as note:
        before = after
        found = first(before, "workers")
        assert_equal(found["change"], {"command": "synapse-workers scale client_reader=2"}, "change")
        follow(host, found, {})
        after = measured(host, KIND)
        note(f"{found['effect']}; {rate(before):.0f} → {rate(after):.0f} requests a second")
        within_two(rate(after) / rate(before), found["gain"], "times the requests")
        host.product("install", "--workers", "pusher", "--yes")


def pool(host: Host, check: Checks) -> None:
    """Each process has one connection to the database."""
    with check("4: transactions wait for the only connection of their process") as note:
        configure(host, {"database": {"cp_max": 1, "cp_min": 1}})
        found = first(measured(host), "database-pool")
        promised = float(re.search(r"at most (\d+) ms", found["effect"])[1]) / 1000
        follow(host, found, {})
        wait = process(measured(host), "main")["synapse"]["pool_wait"]
        note(f"{found['effect']}; {wait * 1000:.0f} ms")
        assert wait <= 2 * promised, f"transactions wait {wait * 1000:.0f} ms, promised at most {promised * 1000:.0f} ms"


def caches(host: Host, check: Checks) -> None:
    """The caches of Synapse hold almost nothing."""
    with check("5: caches remove what is looked up again") as note:
        configure(host, {"caches": {"global_factor": 0.01}})
        measured(host)
        before = measured(host)
        found = first(before, "caches")
        promised = part_of(found["effect"], "up to")
        follow(host, found, {})
        # Caches fill first.
        measured(host)
        after = measured(host)
        misses = [process(advice, "main")["synapse"]["misses"] for advice in (before, after)]
        fewer = 1 - misses[1] / misses[0]
        note(f"{found['effect']}; misses {misses[0]:.0%} → {misses[1]:.0%}")
        assert fewer >= promised / 2, f"{fewer:.0%} of the lookups that found nothing succeed, promised {promised:.0%}"


def limit(host: Host, check: Checks) -> None:
    """Other clients of PostgreSQL have taken its connections."""
    with check("6: PostgreSQL has hardly any connection left") as note, ExitStack() as clients:
        configure(host, {})
        postgres = host.json("advise", "--for", "2s")["sample"]["postgres"]
        for number in range(postgres["limit"] - postgres["used"] - 3):
            host.run("systemd-run", "--quiet", f"--unit={IDLE_CLIENT}{number}", "runuser", "-u", "postgres", "--",
                     "psql", "-qc", "select pg_sleep(600)")
            clients.callback(host.run, "systemctl", "stop", f"{IDLE_CLIENT}{number}", expect=None)
        found = first(host.json("advise", "--for", "2s"), "database-limit")
        wanted = int(re.search(r"max_connections = (\d+)", found["change"]["outside"])[1])
        promised = int(re.search(r"(\d+) connections are free", found["effect"])[1])
        psql(host, f"alter system set max_connections = {wanted}")
        host.run("systemctl", "restart", f"postgresql@{host.postgresql}-main.service")
        host.product("verify")
        postgres = host.json("advise", "--for", "2s")["sample"]["postgres"]
        free = postgres["limit"] - postgres["used"]
        note(f"{promised} promised, {free} are free")
        within_two(free, promised, "free connections")


def configure(host: Host, sections: dict[str, dict[str, Any]]) -> None:
    """Installs with these sections beside the metrics."""
    text = "server_name: example.test\nworkers: pusher\nmetrics: {enabled: true}\n"
    for section, values in sections.items():
        text += f"{section}: {{{', '.join(f'{key}: {value}' for key, value in values.items())}}}\n"
    host.write(SETTINGS, text)
    host.product("install", "--yes")


def follow(host: Host, recommendation: Advice, sections: dict[str, dict[str, Any]]) -> None:
    """Makes the recommended change."""
    change = recommendation["change"]
    if "command" in change:
        host.run(*change["command"].split(), "--yes")
        return
    section, key = change["setting"]["key"].split(".")
    configure(host, sections | {section: {key: change["setting"]["value"]}})


def measured(host: Host, only: str | None = None) -> Advice:
    """The advice under the mixed load, or under requests of one kind, as fast as they are answered."""
    command = ["python3", str(CLIENTS / "load.py"), URL, "--state", prepared_load(host), "--count", ENDLESS]
    clients = host.talk_to(*command, *(["--only", only] if only else []))
    try:
        return host.json("advise", "--for", LENGTH)
    finally:
        clients.kill()
        clients.communicate()


@contextmanager
def burners(host: Host) -> Iterator[None]:
    """Programs of the host that use more processors than it has."""
    names = [f"{BURNER}{number}" for number in range(4)]
    for name in names:
        host.run("systemd-run", "--quiet", f"--unit={name}", "sha256sum", "/dev/zero")
    try:
        yield
    finally:
        host.run("systemctl", "stop", *names)


def first(advice: Advice, rule: str) -> Advice:
    """The first recommendation, which has to be of this rule."""
    machine, found = advice["sample"]["machine"], advice["recommendations"]
    figures = ", ".join(f"{one['name']} {one['demand'] or 0:.2f}" for one in advice["sample"]["processes"])
    figures += f"; {machine['busy']:.2f} of {machine['processors']:.0f} processors are busy"
    assert_equal([one["rule"] for one in found[:1]], [rule], figures)
    return found[0]


def process(advice: Advice, name: str) -> Any:
    return next(process for process in advice["sample"]["processes"] if process["name"] == name)


def demand(advice: Advice, name: str) -> float:
    return float(process(advice, name)["demand"])


def rate(advice: Advice) -> float:
    """The requests a second of all processes of Synapse."""
    return sum(one["synapse"]["requests"] for one in advice["sample"]["processes"] if one["synapse"])


def used(advice: Advice) -> float:
    """The processors that the server uses."""
    sample = advice["sample"]
    return sum(one["cpu"] or 0 for one in sample["processes"]) + sample["postgres"]["cpu"]


def idle(advice: Advice) -> float:
    machine = advice["sample"]["machine"]
    return float(machine["processors"] - machine["busy"])


def part_of(effect: str, words: str) -> float:
    """The percentage after these words, as a part."""
    return int(re.search(words + r" (\d+) %", effect)[1]) / 100


def within_two(found: float, promised: float, name: str) -> None:
    assert promised / 2 <= found <= promised * 2, f"{found:.2f} {name}, promised {promised:.2f}"
