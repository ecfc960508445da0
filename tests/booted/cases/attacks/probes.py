"""Answers: an account that owns a socket's directory puts a server of its own there, which feeds or holds root's commands."""

from cases.attacks.common import WORKER, attacker, measured, undone
from harness.checks import Checks
from harness.expect import CheckFailed, assert_contains, wait_until
from harness.host import Host

PUBLIC, REDIS = f"/run/synapse-workers/public/{WORKER}.sock", "/run/synapse-workers/redis/redis.sock"
# Megabytes that root's command may have, and seconds that it may take: it is well below both without an attacker.
MEMORY, SECONDS, PEAK = 1024, 45, 128
SERVE = """
import os, socket, sys, threading, time
path, way = sys.argv[1:]
os.rename(path, path + ".aside")
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o666)
listener.listen(64)
block, pause = {"feeds": (b"a" * 65536, 0), "holds": (b"H", 0.5)}[way]
def serve(connection):
    try:
        while True:
            connection.sendall(block)
            time.sleep(pause)
    except OSError:
        pass
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""
ROWS = (
    ("synapse", PUBLIC, "feeds", "sends without end", WORKER),
    ("synapse", PUBLIC, "holds", "sends a byte now and then", WORKER),
    ("synapse-redis", REDIS, "feeds", "sends one line without end", "redis"),
    ("synapse-redis", REDIS, "holds", "sends a byte now and then", "redis"),
)


def run(host: Host, check: Checks) -> None:
    for account, path, way, what, name in ROWS:
        with check(f"B6: a socket of {account}'s that {what}: verify ends, with bounded memory, and names it") as note:
            note(answers(host, account, path, way, name))


def answers(host: Host, account: str, path: str, way: str, name: str) -> str:
    with undone(host, f"if [ -e {path}.aside ]; then mv {path}.aside {path}; fi"):
        with attacker(host, account, "socket", "python3", "-c", SERVE, path, way):
            wait_until("the attacker's socket", lambda: host.run("test", "-e", f"{path}.aside", expect=(0, 1)).code == 0)
            done = measured(host, SECONDS, MEMORY, "verify")
    figures = f"{done['seconds']:.1f} s, {done['peak']} MiB"
    if done["code"] != 1 or done["peak"] > PEAK:
        raise CheckFailed(f"exit code {done['code']}, {figures}\n{done['out'][-2000:]}")
    assert_contains(done["out"], name)
    return figures
