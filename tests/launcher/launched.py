"""A test case that starts a small program behind the launcher as systemd would, and clients of that program."""

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
# Connections that may wait at a socket, as in the socket units.
BACKLOG = 512


def lines_of(file):
    """Returns the lines of a file in fdinfo; none if the process has closed the descriptor."""
    try:
        return file.read_text().splitlines()
    except FileNotFoundError:
        return []


class Client(threading.Thread):
    """A request to a Unix socket, or to ADDRESS:PORT. Its result is `status` and `body`, with the `headers`, or `error`."""

    def __init__(self, path, url, method="GET", body=None, headers=None):
        super().__init__()
        self.path, self.url, self.method, self.content = str(path), url, method, body
        self.asked = {**(headers or {}), "Connection": "close"}
        self.status = self.body = self.headers = self.error = None
        self.sent = threading.Event()
        self.start()

    def run(self):
        connection = http.client.HTTPConnection("localhost", timeout=20)
        address, _, port = self.path.rpartition(":")
        connection.sock = socket.socket(socket.AF_INET if address else socket.AF_UNIX)
        connection.sock.settimeout(20)
        try:
            connection.sock.connect((address, int(port)) if address else self.path)
            connection.request(self.method, self.url, self.content, headers=self.asked)
            self.sent.set()
            answer = connection.getresponse()
            self.status, self.headers, self.body = answer.status, answer.headers, answer.read()
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


class LauncherTestCase(unittest.TestCase):
    """Two listening sockets, and the processes that get them by socket activation."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.public = Path(self.directory.name, "public.sock")
        self.internal = Path(self.directory.name, "replication", "own.sock")
        self.internal.parent.mkdir()
        self.sockets = [self.listener(path) for path in (self.public, self.internal)]
        self.processes = []
        self.addCleanup(self.end)

    def listener(self, path):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(BACKLOG)
        self.addCleanup(listener.close)
        return listener

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()

    def command(self, *arguments, options=(), module="served"):
        """Returns the command line of the program behind the launcher."""
        return [sys.executable, str(LAUNCHER), *options, module, *arguments, str(self.public), str(self.internal)]

    def start(self, *arguments, options=(), module="served", activated=True, prints="ready", descriptors=None,
              session=False):
        """Starts the program behind the launcher as systemd would, and waits for the line `prints` unless it is None."""
        sockets = self.sockets if activated else []

        def inherit():
            # A shell starts its background jobs with SIGINT ignored, which programs inherit.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            # The copies have higher numbers than the targets, so no dup2 overwrites one.
            copies = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 3 + len(sockets)) for one in sockets]
            for target, copy in enumerate(copies, 3):
                os.dup2(copy, target)
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        command = self.command(*arguments, options=options, module=module)
        if activated:
            command = ["sh", "-c", f'LISTEN_PID=$$ LISTEN_FDS={len(sockets)} exec "$@"', "sh", *command]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, close_fds=False, preexec_fn=inherit,
                                   start_new_session=session, env={**os.environ, "PYTHONPATH": str(HERE)})
        self.processes.append(process)
        if prints:
            self.expect(process, prints)
        return process

    def expect(self, process, line):
        """Waits for the next line of the process, which must be this one."""
        self.assertEqual(process.stdout.readline(), line + "\n")

    def client_before_start(self, *arguments):
        """Returns a client that has sent its request while no program serves the socket."""
        client = Client(self.public, "/quick", *arguments)
        client.sent.wait(20)
        return client

    def silent_connections(self, count):
        """Opens connections that send nothing."""
        connections = [socket.socket(socket.AF_UNIX) for _ in range(count)]
        for connection in connections:
            self.addCleanup(connection.close)
            connection.settimeout(20)
            connection.connect(str(self.public))
        return connections

    def wait_until_closed(self, process, listener):
        """Waits until no epoll of the process contains this socket (proc_pid_fdinfo(5))."""
        descriptor = 3 + self.sockets.index(listener)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            watched = [line.split()[1] for file in Path(f"/proc/{process.pid}/fdinfo").iterdir()
                       for line in lines_of(file) if line.startswith("tfd:")]
            if str(descriptor) not in watched:
                return
        self.fail("the process still accepts connections at the socket")

    def wait_until_received(self, *clients):
        """Waits until the program has received these requests: it has answered a later one on another connection."""
        for client in clients:
            client.sent.wait(20)
            self.assertEqual(Client(client.path, "/quick").result(), (200, b"quick"))
