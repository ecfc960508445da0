"""Another event persister: all workers stop, main restarts, all workers start; and the plan had said so."""

from cases.deployment import FULL, FULL_UNITS, all_active, talk, worker
from hosts import Unmet, contains, same

MAIN = "synapse-main.service"
OLD = sorted(worker(f"{role}1") for role in FULL)
NEW = worker("event_persister2")


def run(host, check):
    talk(host)
    before = host.units()
    with check("plan names stop of all workers, restart of main, start of workers, with reasons", vital=True):
        planned = host.json("plan", "--workers", "full,event_persister")["steps"]
        same(jobs(planned), [("stop", *OLD), ("restart", MAIN), ("start", *sorted([*OLD, NEW]))], "jobs")
        for step in planned:
            if step.startswith("! "):
                contains(step, "because synapse/shared.d/stream_writers.yaml changed: ")
        same(host.invocations(), {name: unit["InvocationID"] for name, unit in before.items()}, "invocations after plan")
    with check("scale event_persister=2 does what the plan said", vital=True) as note:
        result = host.product("scale", "event_persister=2", "--yes")
        same(jobs(result.out.splitlines()), jobs(planned), "jobs")
        note(f"{result.seconds:.1f} s")
    with check("every worker had stopped before main, and main was ready before any worker started"):
        in_order(before, all_active(host, FULL_UNITS | {NEW}))
    with check("both persist events: messages in twelve rooms arrive"):
        same(host.json("routes", "PUT", "/_matrix/client/v3/rooms/!x/send/m.room.message/1")["upstream"], "event_creator", "upstream")
        talk(host)
    with check("rollback takes the same way back", vital=True) as note:
        before = host.units()
        result = host.product("rollback", "--yes")
        same(jobs(result.out.splitlines()), [("stop", *sorted([*OLD, NEW])), ("restart", MAIN), ("start", *OLD)], "jobs")
        note(f"{result.seconds:.1f} s")
    with check("in the same order"):
        in_order(before, all_active(host))
        talk(host)


def jobs(lines):
    """Verb and units of each step that is a job."""
    first = [line.splitlines()[0] for line in lines if line.startswith("! ")]
    return [tuple(word for word in line.split()[1:]) for line in first]


def in_order(before, after):
    """Proves the order by systemd's own times: stop of workers, restart of main, start of workers."""
    def time(unit, name):
        return int(unit[f"{name}TimestampMonotonic"])

    main = after[MAIN]
    assert main["InvocationID"] != before[MAIN]["InvocationID"], "main was not restarted"
    for name, unit in after.items():
        if not name.startswith("synapse-worker@"):
            continue
        if name in before:
            assert unit["InvocationID"] != before[name]["InvocationID"], f"{name} was not restarted"
            if not time(unit, "InactiveEnter") <= time(main, "ActiveExit"):
                raise Unmet(f"{name} had not stopped when main began to stop: {unit} {main}")
        if not time(main, "ActiveEnter") <= time(unit, "InactiveExit"):
            raise Unmet(f"{name} began to start before main was ready: {unit} {main}")
    for name in ("synapse-redis.service", "synapse-nginx.service"):
        same(after[name]["InvocationID"], before[name]["InvocationID"], f"{name}, which this does not concern")
