"""The fork server: imports Synapse once, and forks a process for each unit that asks for one (warm start).

    python launcher/warm_server.py [--age S] [--also MODULE]… [--immortal] [--isolated SOCKET --hide DIRECTORY…] SOCKET MODULE…

A forked process shares the memory of the imported modules with its siblings, and starts in a fraction of the time. It
goes on in the launcher, with the descriptors, environment and arguments of its unit, as if the unit had started it.

Protocol, one message per packet at the Unix socket SOCKET (SOCK_SEQPACKET):

    unit → server    the request: JSON (warm_request.py) with the descriptors 0, 1, 2 and the held sockets
    server → unit    `no REASON`: the unit starts plainly
    child  → unit    `pid NUMBER`: a process waits; its parent is PID 1
    unit   → child   `go`, after the unit has made the process its own. If the connection ends first, the process ends.

With --isolated, a second server with the same image, without network access, answers at another socket.

The server refuses all requests that a forked process could not fulfil exactly as a plain start would: another
environment, other limits, changed files.
"""
import gc

# As in the launcher: the image is collected and frozen when it is complete.
gc.disable()

import argparse
import contextlib
import math
import os
import select
import socket
import sys
import time

import warm_child
import warm_image
import warm_request
import warm_sandbox

# Seconds that a unit has to send its request. Requests are read one after the other.
SLOWNESS = 2
# Seconds after which the server ends, and systemd starts another one: what its processes have in common, such as the
# layout of their addresses, should not stay the same for ever.
AGE = 7 * 24 * 60 * 60
# The length in bytes of the longest command line.
ROOM = 4096
# Requests that may wait: more than a host has processes of Synapse.
BACKLOG = 512


def main():
    parser = argparse.ArgumentParser(prog="warm_server")
    parser.add_argument("--also", action="append", default=[], metavar="MODULE", help="a module to import if it exists")
    parser.add_argument("--immortal", action="store_true", help="make all objects immortal, if Python is known for it")
    parser.add_argument("--age", type=float, default=AGE, help="seconds after which the server ends")
    parser.add_argument("--isolated", metavar="SOCKET", help="the path of the socket for processes without network access")
    parser.add_argument("--hide", action="append", default=[], metavar="DIRECTORY", help="a directory that these do not see")
    parser.add_argument("socket", help="the path of the Unix socket at which units ask for processes")
    parser.add_argument("module", nargs="+", help="a module that processes run")
    *arguments, room = sys.argv[1:] or [""]
    if room.strip() or not arguments:
        parser.parse_args()
        # A forked process shows its own command line, for which it has no more room than this one takes.
        os.execve(sys.executable, [*sys.orig_argv, ROOM * " "], warm_request.initial_environment())
    options = parser.parse_args(arguments)
    warm_child.show_command_line(sys.orig_argv[:-1])

    sandbox = warm_sandbox.Sandbox(bool(options.isolated))
    image = warm_image.Image(options.module, options.also, options.immortal, sandbox)
    # The last look at files that belong to root as soon as the memory is closed.
    warm_request.initial_environment()
    score = warm_child.open_score()
    warm_child.set_memory_open(False)
    isolated, summary = None, image.summary
    if options.isolated and not image.problem:
        isolated = start_isolated(options, image)
        if isolated is None:
            summary += "; processes without network access start plainly, because their fork server did not start"
    sandbox.close()
    listener = listen(options.socket)
    print(summary, file=sys.stderr, flush=True)
    notify(f"READY=1\nSTATUS={summary}")
    forked = serve(listener, image, score, time.monotonic() + options.age, isolated)
    if forked:
        warm_child.run(*forked)


def start_isolated(options, image):
    """Starts the server of processes without network access, which ends with this one.

    Returns a descriptor that becomes readable when it has ended; None if it did not start, which its log explains.
    """
    ours, theirs = os.pipe()
    parent, child = os.getpid(), os.fork()
    if child:
        os.close(theirs)
        if os.read(ours, 1):
            return ours
        os.close(ours)
        os.waitpid(child, 0)
        return None
    os.close(ours)
    if not warm_child.end_with(parent):
        sys.exit(1)
    # No other process is in its namespaces yet.
    warm_child.set_memory_open(True)
    image.sandbox.isolate(options.hide)
    score = warm_child.open_score()
    warm_child.set_memory_open(False)
    image.sandbox.close(network=False)
    listener = listen(options.isolated)
    os.write(theirs, b"1")
    forked = serve(listener, image, score, math.inf)
    if forked:
        # Only the server itself holds the other end.
        os.close(theirs)
        warm_child.run(*forked)
    sys.exit()


def listen(path):
    """A socket that only the user of the server can reach."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # No client can connect before listen().
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(BACKLOG)
    return listener


def serve(listener, image, score, end, isolated=None):
    """Answers requests until this monotonic time; then returns None. Exits when the other server has ended.

    `score` is the file with this process's OOM score.

    In a forked process it returns at once: the request, the image, and the connection to the unit.
    """
    watched = [listener] if isolated is None else [listener, isolated]
    while True:
        ready, _, _ = select.select(watched, [], [], None if math.isinf(end) else max(0.001, end - time.monotonic()))
        if not ready:
            return None
        if isolated in ready:
            sys.exit("the fork server of processes without network access has ended")
        connection, _ = listener.accept()
        connection.settimeout(SLOWNESS)
        request = None
        try:
            request = warm_request.receive(connection)
            refusal = image.refusal(request) or request.refusal(image.sandbox.filters)
            if not refusal:
                if warm_child.fork_twice(score, request.oom_score_adj):
                    listener.close()
                    return request, image, connection
            else:
                connection.send(f"no {refusal}".encode())
        except warm_request.BAD as error:
            print(f"a request failed: {error}", file=sys.stderr, flush=True)
            with contextlib.suppress(OSError):
                connection.send(f"no the fork server failed: {error}".encode())
        if request:
            request.close()
        connection.close()


def notify(message):
    """Sends a state to systemd (sd_notify(3)), if it started this server."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(message.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


if __name__ == "__main__":
    main()
