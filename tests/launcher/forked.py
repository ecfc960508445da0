"""A test case with a fork server, and requests to it as a unit makes them."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from launched import HERE, LAUNCHER, LauncherTestCase

# Seconds after which a test has failed.
LIMIT = 20
# prctl(2): processes whose parent ends become children of this process, as they become children of PID 1 on a host.
SUBREAPER = 36


def of_self(file):
    return Path(f"/proc/self/{file}").read_text()


class Forked:
    """The answer to a request, and the process that was forked for it."""

    def __init__(self, connection, output):
        self.connection, self.output = connection, output
        self.answer = connection.recv(4096).decode()
        self.pid = int(self.answer.removeprefix("pid ")) if self.answer.startswith("pid ") else None

    def go(self):
        self.connection.send(b"go")
        return self

    def line(self):
        return self.output.readline()

    def status(self):
        """Returns the exit status as `subprocess` does: negative for a signal."""
        _, status = os.waitpid(self.pid, 0)
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    # The names that `Popen` has for the same.
    stdout = property(lambda self: self.output)

    def wait(self, _limit):
        return self.status()

    def terminate(self):
        os.kill(self.pid, signal.SIGTERM)

    def send_signal(self, number):
        os.kill(self.pid, number)


class ForkTestCase(LauncherTestCase):
    """A fork server that has imported both fake programs."""

    def setUp(self):
        super().setUp()
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        self.address = str(Path(self.directory.name, "warm.sock"))
        self.environment = {**os.environ, "PYTHONPATH": f"{HERE}"}
        self.forked = []
        self.server = None

    def module(self, name, code):
        """Writes a module that the fork server can import."""
        path = Path(self.directory.name, f"{name}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
        self.environment["PYTHONPATH"] = f"{HERE}:{self.directory.name}"
        return path

    def serve(self, *arguments, modules=("served", "reported")):
        """Starts the fork server, and returns the line that it prints when it is ready."""
        command = [sys.executable, str(LAUNCHER / "warm_server.py"), *arguments, self.address, *modules]
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                       text=True, env=self.environment)
        self.processes.append(self.server)
        self.addCleanup(self.server.stderr.close)
        return self.server.stderr.readline()

    def connect(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(connection.close)
        connection.settimeout(LIMIT)
        connection.connect(self.address)
        return connection

    def request(self, command):
        """Returns the fields of a request from a unit that differs in nothing from the server."""
        return {
            "arguments": command, "directory": os.getcwd(), "status": of_self("status"), "limits": of_self("limits"),
            "environment": {**self.environment, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(self.sockets))},
            "oom_score_adj": int(of_self("oom_score_adj")),
        }

    def ask(self, *arguments, options=(), module="served", **changes):
        """Asks for a process. `changes` replaces fields of the request."""
        command = self.command(*arguments, options=options, module=module)
        connection = self.connect()
        ours, theirs = os.pipe()
        output = os.fdopen(ours)
        self.addCleanup(output.close)
        with open(os.devnull) as null:
            sent = [null.fileno(), theirs, 2, *(held.fileno() for held in self.sockets)]
            socket.send_fds(connection, [json.dumps({**self.request(command), **changes}).encode()], sent)
        os.close(theirs)
        forked = Forked(connection, output)
        self.forked.append(forked)
        return forked

    def start_forked(self, *arguments, prints="ready", **more):
        """Asks for a process, lets it run, and waits for the line `prints` unless it is None."""
        forked = self.ask(*arguments, **more)
        self.assertIsNotNone(forked.pid, forked.answer)
        forked.go()
        if prints:
            self.expect(forked, prints)
        return forked

    def report(self, *arguments, **more):
        """Returns what a forked process says about itself."""
        return json.loads(self.start_forked(*arguments, module="reported", prints=None, **more).line())

    def end(self):
        for forked in self.forked:
            if forked.pid:
                os.kill(forked.pid, signal.SIGKILL)
                forked.status()
        self.forked.clear()
        super().end()

