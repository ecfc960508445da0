"""The first host, as a worker on another host sees it. The worker runs only while the first host admits it.

A host that is cut off may have been left out since: other processes then write its streams and do its work. Its workers
still reach PostgreSQL, and would work beside them. The port of the main process tells: it drops packets from a host that is
left out.
"""
import os
import signal
import socket
import sys
import threading
import time

# Seconds between two connections, and for a connection to be established.
INTERVAL = 10.0
TIMEOUT = 5.0
# Seconds without a connection after which the worker ends. docs/cluster.md has the longest time until then.
PATIENCE = 60.0


def admits(place):
    """Whether the first host accepts a connection at this address and port. systemd does so while main restarts."""
    try:
        socket.create_connection(place, TIMEOUT).close()
    except OSError:
        return False
    return True


def wait(place):
    """Waits until the first host admits this host."""
    if admits(place):
        return
    say(place, "does not answer, or has left this host out; the worker starts when it answers")
    while not admits(place):
        time.sleep(1)


def watch(place):
    """Ends the process at once when the first host has not admitted this host for some time."""
    threading.Thread(target=_watch, args=(place,), name="first-host", daemon=True).start()


def _watch(place):
    admitted = now()
    while now() - admitted < PATIENCE:
        time.sleep(INTERVAL)
        if admits(place):
            admitted = now()
    say(place, f"has not answered for {PATIENCE:.0f} s; the worker ends, because others may do its work")
    # Nothing is finished: what is in flight may contradict the others.
    os.kill(os.getpid(), signal.SIGKILL)


def now():
    """The time in seconds, including that in which the host was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def say(place, text):
    print("The first host at {}:{} {}.".format(*place, text), file=sys.stderr, flush=True)
