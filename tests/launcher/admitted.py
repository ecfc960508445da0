"""The first host, which workers on other hosts need."""

import signal
import socket
import subprocess
import sys

from launched import LAUNCHER, Client, LauncherTestCase

# Watches with short times, and says when it has begun.
WATCHING = """
import sys, time
sys.path.insert(0, sys.argv[1])
import first_host
first_host.INTERVAL, first_host.PATIENCE = 0.05, 0.5
first_host.watch(("127.0.0.1", int(sys.argv[2])))
print("watching", flush=True)
time.sleep(60)
"""


class Admitted(LauncherTestCase):
    def setUp(self):
        super().setUp()
        self.first = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.first.close)
        self.number = self.first.getsockname()[1]

    def test_a_worker_starts_when_the_first_host_answers(self):
        self.first.close()
        process = self.start("--import", "0", prints=None, options=("--patience", "0.2", "--first-host", f"127.0.0.1:{self.number}"))
        # The worker has not begun, so its connections are answered by the launcher.
        self.assertEqual(Client(self.public, "/quick").result()[0], 503)
        with socket.create_server(("127.0.0.1", self.number)):
            self.expect(process, "importing")
            self.expect(process, "ready")
            self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))

    def test_a_worker_ends_when_the_first_host_no_longer_answers(self):
        command = [sys.executable, "-c", WATCHING, str(LAUNCHER), str(self.number)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.processes.append(process)
        self.expect(process, "watching")
        # It asks again and again.
        self.first.settimeout(20)
        for _ in range(20):
            self.first.accept()[0].close()
        self.assertIsNone(process.poll())
        self.first.close()
        self.assertEqual(process.wait(20), -signal.SIGKILL)
        self.assertIn(f"127.0.0.1:{self.number} has not answered", process.stderr.read())
