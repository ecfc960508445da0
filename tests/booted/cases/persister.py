"""Another event persister: nginx stops, all workers stop, main restarts, all start; and the plan had said so."""

import time

import pytest

from harness.checks import Checks
from harness.deployment import FULL, FULL_UNITS, URL, all_active, behind_nginx, client, jobs, state, talk, worker
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import Host, Units

MAIN = "synapse-main.service"
OLD = sorted(worker(f"{role}1") for role in FULL)
NEW = worker("event_persister2")


@pytest.mark.installed
def test_persister(host: Host, check: Checks) -> None:
    """Another event persister, in the order that Synapse needs."""
    talk(host)
    before = host.units()
    with check("plan lists the stop of all workers, the restart of main and the start of workers, with reasons", vital=True):
        planned = host.json("plan", "--workers", "full,event_persister")["steps"]
        planned = [step["line"] for step in planned]
        assert_equal(jobs("\n".join(planned)), behind_nginx(OLD, sorted([*OLD, NEW])), "jobs")
        assert_contains("\n".join(planned), "! hold    new connections at nginx's sockets")
        for step in planned:
            if step.startswith("! ") and "nginx" not in step:
                assert_contains(step, "because synapse/shared.d/stream_writers.yaml changed: ")
        assert_equal(host.invocations(), {name: unit["InvocationID"] for name, unit in before.items()}, "invocations after plan")
    with check("scale event_persister=2 runs the jobs of the plan", vital=True) as note:
        result = host.product("scale", "event_persister=2", "--yes")
        assert_equal(jobs(result.out), jobs("\n".join(planned)), "jobs")
        note(f"{result.seconds:.1f} s")
    with check("all workers stop before main, and main is ready before any worker starts"):
        in_order(before, all_active(host, FULL_UNITS | {NEW}))
    with check("messages in old and new rooms arrive, and both persisters store events") as note:
        talk(host)
        note(f"{rooms_until_both(host)} new rooms")
    with check("rollback takes the same steps", vital=True) as note:
        before = host.units()
        result = host.product("rollback", "--yes")
        assert_equal(jobs(result.out), behind_nginx(sorted([*OLD, NEW]), OLD), "jobs")
        note(f"{result.seconds:.1f} s")
    with check("rollback keeps the same order"):
        in_order(before, all_active(host))
        talk(host)


def rooms_until_both(host: Host) -> int:
    """Makes rooms, each with a message that arrives, until both persisters had some: a room's ID decides which it is."""
    since = time.time()
    for number in range(1, 21):
        client(host, "two_users.py", URL, str(state(host, f"room{number}")))
        if all(persisted(host, worker(name), since) for name in ("event_persister1", "event_persister2")):
            return number
    raise CheckFailed(f"{number} rooms, and only one of the two persisted events")


def persisted(host: Host, unit: str, since: float) -> str:
    """Whether another process handed events to this one."""
    return host.run("journalctl", "--quiet", "--unit", unit, f"--since=@{int(since)}", "--lines=1",
                    "--grep=Processed request.*/_synapse/replication/(fed_)?send_events", expect=(0, 1)).out


def in_order(before: Units, after: Units) -> None:
    """Proves the order by systemd's own times: stop of workers, restart of main, start of workers."""
    def at(unit: dict[str, str], name: str) -> int:
        return int(unit[f"{name}TimestampMonotonic"])

    main = after[MAIN]
    assert main["InvocationID"] != before[MAIN]["InvocationID"], "main was not restarted"
    for name, unit in after.items():
        if not name.startswith("synapse-worker@"):
            continue
        if name in before:
            assert unit["InvocationID"] != before[name]["InvocationID"], f"{name} was not restarted"
            if not at(unit, "InactiveEnter") <= at(main, "ActiveExit"):
                raise CheckFailed(f"{name} had not stopped when main began to stop: {unit} {main}")
        if not at(main, "ActiveEnter") <= at(unit, "InactiveExit"):
            raise CheckFailed(f"{name} began to start before main was ready: {unit} {main}")
    nginx, redis = "synapse-nginx.service", "synapse-redis.service"
    assert at(after[nginx], "InactiveEnter") <= at(main, "ActiveExit") <= at(main, "ActiveEnter") <= at(after[nginx], "InactiveExit")
    assert_equal(after[redis]["InvocationID"], before[redis]["InvocationID"], f"{redis}, which this does not concern")
