"""Processes that are killed, as when memory runs out, or stopped: their clients are served."""

import json

import pytest

from harness.checks import Checks
from harness.deployment import URL, all_active, talk, worker
from harness.expect import assert_equal, wait_until
from harness.host import Host

KILLED = ("synapse-main.service", worker("client_reader1"), worker("event_persister1"), "synapse-redis.service", "synapse-nginx.service")
# A worker, the answer while it is stopped, and the request to it. No process can stand in for the one with the media.
ASKED = (
    ("client_reader1", 403, "/_matrix/client/v3/login", {"type": "m.login.password", "user": "nobody", "password": "none"}),
    ("client_reader1", 401, "/_matrix/client/v3/joined_rooms", None),
    ("media_repository1", 502, "/_matrix/client/v1/media/config", None),
)


@pytest.mark.installed
def test_crashes(host: Host, check: Checks) -> None:
    """Processes that are killed are restarted."""
    with check("users exchange messages before the crashes", vital=True):
        talk(host)
    away(host, check)
    before = host.invocations()
    with check("systemd restarts each process", vital=True) as note:
        for unit in KILLED:
            host.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", unit)
        # A unit that has restarted has another invocation.
        wait_until("all restarted and active", lambda: all(
            unit["ActiveState"] == "active" and unit["InvocationID"] != before[name]
            for name, unit in host.units(*KILLED).items()), seconds=90)
        note(", ".join(KILLED))
    with check("no other process restarted"):
        all_active(host)
        after = host.invocations()
        assert_equal({name for name in before if before[name] != after[name]}, set(KILLED), "units that started")
    with check("earlier tokens, messages and media work"):
        talk(host)
    with check("verify succeeds, and install changes nothing"):
        host.product("verify")
        assert_equal(host.json("plan")["steps"], [], "plan")


def away(host: Host, check: Checks) -> None:
    """Workers that an administrator stopped: systemd has closed their sockets."""
    workers = sorted({name for name, *_ in ASKED})
    units = [worker(name) for name in workers]
    with check(f"without {' and '.join(workers)} main answers the requests that it can serve, including those with a body"):
        host.run("systemctl", "stop", *units)
        try:
            assert_equal([asked(host, path, body) for _, _, path, body in ASKED], [code for _, code, *_ in ASKED], "answers")
        finally:
            host.run("systemctl", "start", *units)
        all_active(host)
    with check("the workers answer again after their start"):
        assert_equal([asked(host, path, body) for _, _, path, body in ASKED], [403, 401, 401], "answers")


def asked(host: Host, path: str, body: dict[str, str] | None) -> int:
    """The status of an answer."""
    words = ("--data", json.dumps(body)) if body else ()
    return int(host.net("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *words, URL + path).out)
