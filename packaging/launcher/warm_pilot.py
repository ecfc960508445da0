"""The pilot: a process that runs Synapse before the first fork, to find out what a worker does, and is thrown away.

It starts threads, opens sockets and answers requests, all of which the fork server must not do. The fork server gets from it
only the addresses of the code objects that ran, which are the same in both processes, and results (warm_results.py). Without
these, everything works and takes more memory and time.
"""
import gc
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback

import warm_child
import warm_code
import warm_script

# Seconds after which the pilot has failed. It takes about one on a host that has nothing else to do.
PATIENCE = 120
# Seconds that it waits for an answer to a request.
SLOWNESS = 30
# Seconds between two attempts to reach it while it starts.
GLANCE = 0.01
# Requests of each kind: the second one finds full caches.
TIMES = 2


def fly(reactor, results, sandbox):
    """Adds the results that the pilot computes. Returns why it failed, or None, and the addresses of the code that ran."""
    ours, theirs = os.pipe()
    parent, pilot = os.getpid(), os.fork()
    if not pilot:
        try:
            os.close(ours)
            signal.alarm(PATIENCE)
            if warm_child.end_with(parent):
                report(theirs, reactor, results, sandbox)
        finally:
            os._exit(1)
    os.close(theirs)
    with open(ours) as opened:
        said = opened.read()
    _, status = os.waitpid(pilot, 0)
    if not said:
        return f"its pilot ended with {os.waitstatus_to_exitcode(status)}", []
    problem, code, found = json.loads(said)
    results.add(found)
    return problem, code


def report(pipe, reactor, results, sandbox):
    """Runs a worker, and writes the result."""
    # Neither systemd nor the reader of the server's log expects a word from this Synapse.
    os.environ.pop("NOTIFY_SOCKET", None)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(null, stream)
    problem, code = None, warm_code.Ran()
    # Synapse collects garbage twice while it starts. In the other processes, too, the image is no part of that.
    gc.freeze()
    results.recording = True
    try:
        sandbox.close()
        reactor.renew()
        run()
    except BaseException:
        problem = traceback.format_exc(limit=-1).splitlines()[-1]
    with open(pipe, "w") as opened:
        json.dump((problem, code.now(), results.report()), opened)


def run():
    """Runs a worker until it has answered all requests."""
    import synapse.app.generic_worker as program
    import warm_redis
    from twisted.internet import reactor

    with tempfile.TemporaryDirectory() as directory, warm_script.without_database():
        options, address, redis = warm_script.write(directory)
        sys.argv[:] = [warm_script.WORKER, "-c", options]
        reactor.listenUNIX(redis, warm_redis.factory())
        failures = []
        client = threading.Thread(target=ask, args=(reactor, address, failures))
        reactor.callWhenRunning(client.start)
        program.main()
        if failures:
            raise failures[0]


def ask(reactor, address, failures):
    """Sends all requests, then stops the reactor."""
    try:
        for request in TIMES * warm_script.REQUESTS:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(SLOWNESS)
                connect(connection, address)
                connection.sendall(warm_script.formatted(*request))
                while connection.recv(1 << 16):
                    pass
    except OSError as error:
        failures.append(error)
    finally:
        reactor.callFromThread(reactor.stop)


def connect(connection, address):
    """Connects as soon as the worker listens."""
    end = time.monotonic() + SLOWNESS
    while True:
        try:
            return connection.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > end:
                raise
            time.sleep(GLANCE)
