"""A reboot of the host."""

from cases.deployment import all_active, services_down, talk
from hosts import await_, same


def run(host, check):
    with check("users talk before", vital=True):
        talk(host)
        before = host.invocations()
    with check("the host reboots", vital=True) as note:
        note(host.reboot().err.strip())
    with check("all units are active again, and none is the one from before"):
        await_("all units active", lambda: all(
            unit["ActiveState"] == "active" for unit in host.units().values()), seconds=120)
        all_active(host)
        after = host.invocations()
        same({name for name in before if before[name] == after[name]}, set(), "units of before")
        same(services_down(host), "", "failed units of the host")
    with check("tokens, messages and media from before are there"):
        talk(host)
    with check("verify has no complaint, install nothing to do"):
        host.product("verify")
        same(host.json("plan"), {"changes": 0, "steps": []}, "plan")
