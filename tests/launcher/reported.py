"""A fake Synapse that prints what it has inherited as one line of JSON, and ends.

`reported.py [--exit STATUS | --wait] …` then exits with a status, or waits for a signal.
"""
import ctypes
import gc
import json
import os
import random
import secrets
import signal
import ssl
import sys
import tempfile
import threading
import uuid

import drawing
from twisted.internet import reactor

# The standard signals. The C library uses those that follow them for itself.
STANDARD = (1 << 31) - 1
# prctl(2): whether other processes of the same user may read the memory of this one.
GET_DUMPABLE = 3


def client_random():
    """The random bytes of a TLS client's first message (RFC 8446, 4.1.2)."""
    sent = ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="example.org")
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        return sent.read()[11:43].hex()


def drawn():
    """Values that no two processes may have in common."""
    return {
        "random": random.random(), "generator": drawing.GENERATOR.random(), "secrets": secrets.token_hex(),
        "uuid1": str(uuid.uuid1()), "uuid4": str(uuid.uuid4()), "os": os.urandom(16).hex(), "ssl": ssl.RAND_bytes(16).hex(),
        "tls": client_random(), "names": next(tempfile._get_candidate_names()),
    }


def descriptors():
    """The targets of the two held sockets, and the kinds of all later descriptors."""
    found = {}
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            found[number] = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            # The one with which the directory was read.
            continue
    return [found[3], found[4]], sorted(found[number].partition(":[")[0] for number in found if number > 4)


def report():
    status = dict(line.rstrip("\n").split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
    held, others = descriptors()
    return {
        "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "main": sys.modules["__main__"].__name__,
        "file": __file__, "environment": dict(os.environ), "directory": os.getcwd(), "held": held, "descriptors": others,
        "session": os.getsid(0) == os.getpid(), "signals": [int(status[name], 16) & STANDARD for name in ("SigBlk", "SigIgn", "SigCgt")],
        "collects": gc.isenabled(), "threads": threading.active_count(), "oom_score_adj": open("/proc/self/oom_score_adj").read(),
        "reactor": type(reactor).__name__, "readers": len(reactor._reads), "stdout": sys.stdout.encoding,
        "command_line": open("/proc/self/cmdline").read().rstrip("\0"),
    }


if __name__ == "__main__":
    print(json.dumps({"same": report(), "pid": os.getpid(), "listen_pid": os.environ.get("LISTEN_PID"), "drawn": drawn(),
                      "memory_is_open": ctypes.CDLL(None).prctl(GET_DUMPABLE, 0, 0, 0, 0) == 1}), flush=True)
    if "--wait" in sys.argv:
        signal.pause()
    if "--exit" in sys.argv:
        sys.exit(int(sys.argv[sys.argv.index("--exit") + 1]))
