"""The fork server: imports Synapse once, and forks a process for each unit that asks for one (warm start).

    python launcher/warm_server.py [--age S] [--also MODULE]… [--immortal] SOCKET MODULE…

A forked process shares the memory of the imported modules with its siblings, and starts in a fraction of the time. It
goes on in the launcher, with the descriptors, environment and arguments of its unit, as if the unit had started it.

Protocol, one message per packet at the Unix socket SOCKET (SOCK_SEQPACKET):

    unit → server    the request: JSON (warm_request.py) with the descriptors 0, 1, 2 and the held sockets
    server → unit    `no REASON`: the unit starts plainly
    child  → unit    `pid NUMBER`: a process waits; its parent is PID 1
    unit   → child   `go`, after the unit has made the process its own. If the connection ends first, the process ends.

The server refuses all requests that a forked process could not fulfil exactly as a plain start would: another
environment, other limits, changed files.
"""
import gc

# As in the launcher: the image is collected and frozen when it is complete.
gc.disable()

import argparse
import contextlib
import os
import socket
import sys
import time

import warm_child
import warm_image
import warm_request

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
    parser.add_argument("socket", help="the path of the Unix socket at which units ask for processes")
    parser.add_argument("module", nargs="+", help="a module that processes run")
    *arguments, room = sys.argv[1:] or [""]
    if room.strip() or not arguments:
        parser.parse_args()
        # A forked process shows its own command line, for which it has no more room than this one takes.
        os.execve(sys.executable, [*sys.orig_argv, ROOM * " "], warm_request.initial_environment())
    options = parser.parse_args(arguments)
    warm_child.show_command_line(sys.orig_argv[:-1])

    image = warm_image.Image(options.module, options.also, options.immortal)
    # The last look at files that belong to root as soon as the memory is closed.
    warm_request.initial_environment()
    warm_child.set_memory_open(False)
    listener = listen(options.socket)
    print(image.summary, file=sys.stderr, flush=True)
    notify(f"READY=1\nSTATUS={image.summary}")
    forked = serve(listener, image, time.monotonic() + options.age)
    if forked:
        warm_child.run(*forked)


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


def serve(listener, image, end):
    """Answers requests until this monotonic time; then returns None.

    In a forked process it returns at once: the request, the image, and the connection to the unit.
    """
    while True:
        try:
            listener.settimeout(max(0.001, end - time.monotonic()))
            connection, _ = listener.accept()
        except TimeoutError:
            return None
        connection.settimeout(SLOWNESS)
        request = None
        try:
            request = warm_request.receive(connection)
            refusal = image.refusal(request) or request.refusal()
            if not refusal:
                if warm_child.fork_twice():
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
