"""Processes that are killed, as when memory runs out: systemd starts them again, and whoever they served is served."""

from cases.deployment import all_active, talk, worker
from hosts import await_, same

KILLED = ("synapse-main.service", worker("client_reader1"), worker("event_persister1"), "synapse-redis.service", "synapse-nginx.service")


def run(host, check):
    with check("users talk before", vital=True):
        talk(host)
    before = host.invocations()
    with check("each of them comes back by itself", vital=True) as note:
        for unit in KILLED:
            host.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", unit)
        # A unit that starts anew has another invocation.
        await_("all started anew and active", lambda: all(
            unit["ActiveState"] == "active" and unit["InvocationID"] != before[name]
            for name, unit in host.units(*KILLED).items()), seconds=90)
        note(", ".join(KILLED))
    with check("and nothing else had to start again"):
        all_active(host)
        after = host.invocations()
        same({name for name in before if before[name] != after[name]}, set(KILLED), "units that started")
    with check("tokens, messages and media from before are there"):
        talk(host)
    with check("verify has no complaint, install nothing to do"):
        host.product("verify")
        same(set(host.json("plan")["steps"]), set(), "plan")
