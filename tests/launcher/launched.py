"""The launcher with a small program in Synapse's place, started as systemd starts it, and clients of that program."""

import fcntl
import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
LAUNCHER = HERE.parents[1] / "packaging/launcher"
# As many connections wait at a socket that systemd holds.
BACKLOG = 512


def lines_of(file):
    """The lines of a descriptor's file; none once the process has closed the descriptor."""
    try:
        return file.read_text().splitlines()
    except FileNotFoundError:
        return []


class Client(threading.Thread):
    """One request over a Unix socket; `status` and `body`, or `error`."""

    def __init__(self, path, url, method="GET", body=None):
        super().__init__()
        self.path, self.url, self.method, self.content = str(path), url, method, body
        self.status = self.body = self.error = None
        self.sent = threading.Event()
        self.start()

    def run(self):
        connection = http.client.HTTPConnection("localhost", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        try:
            connection.sock.connect(self.path)
            connection.request(self.method, self.url, self.content, headers={"Connection": "close"})
            self.sent.set()
            answer = connection.getresponse()
            self.status, self.body = answer.status, answer.read()
        except OSError as error:
            self.error = error
        except http.client.HTTPException as error:
            self.error = error
        finally:
            self.sent.set()
            connection.close()

    def result(self):
        self.join(20)
        return self.status, self.body


class Launched(unittest.TestCase):
    """Two sockets that are held, and processes that serve there."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.public = Path(self.directory.name, "public.sock")
        self.internal = Path(self.directory.name, "replication", "own.sock")
        self.internal.parent.mkdir()
        self.held = [self.listener(path) for path in (self.public, self.internal)]
        self.processes = []
        self.addCleanup(self.end)

    def listener(self, path):
        held = socket.socket(socket.AF_UNIX)
        held.bind(str(path))
        held.listen(BACKLOG)
        self.addCleanup(held.close)
        return held

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()

    def start(self, *arguments, options=(), held=True, says="ready", descriptors=None):
        """The program behind the launcher, as systemd starts it, once it has printed this line; at once if that is None."""
        sockets = self.held if held else []

        def inherit():
            # A shell starts its background jobs with SIGINT ignored, which programs inherit.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            # Out of the way of the places that they get.
            numbers = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 3 + len(sockets)) for one in sockets]
            for place, number in enumerate(numbers, 3):
                os.dup2(number, place)
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        command = [sys.executable, str(LAUNCHER), *options, "served", *arguments, str(self.public), str(self.internal)]
        if held:
            command = ["sh", "-c", f'LISTEN_PID=$$ LISTEN_FDS={len(sockets)} exec "$@"', "sh", *command]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, close_fds=False, preexec_fn=inherit,
                                   env={**os.environ, "PYTHONPATH": str(HERE)})
        self.processes.append(process)
        if says:
            self.says(process, says)
        return process

    def says(self, process, line):
        """Waits for the next line of the process, which is this one."""
        self.assertEqual(process.stdout.readline(), line + "\n")

    def early(self, *arguments):
        """A client that has sent its request while no program serves the socket."""
        client = Client(self.public, "/quick", *arguments)
        client.sent.wait(20)
        return client

    def silent(self, count):
        """Connections that send nothing."""
        connections = [socket.socket(socket.AF_UNIX) for _ in range(count)]
        for connection in connections:
            self.addCleanup(connection.close)
            connection.settimeout(20)
            connection.connect(str(self.public))
        return connections

    def closed(self, process, held):
        """Waits until the process does not look at this socket any more: no epoll of its has it (proc_pid_fdinfo(5))."""
        place = 3 + self.held.index(held)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            looked_at = [line.split()[1] for file in Path(f"/proc/{process.pid}/fdinfo").iterdir()
                         for line in lines_of(file) if line.startswith("tfd:")]
            if str(place) not in looked_at:
                return
        self.fail("it still looks at the socket")

    def busy(self, *clients):
        """Waits until the program has these requests: one after them, on another connection, has come through."""
        for client in clients:
            client.sent.wait(20)
            self.assertEqual(Client(client.path, "/quick").result(), (200, b"quick"))
