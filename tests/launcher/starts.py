"""Starts: connections that wait, starts that fail or take long, clients that send nothing, signals."""

import json
import os
import signal
import time
from pathlib import Path

from launched import Client, LauncherTestCase

# More connections than the launcher refuses at the same time.
MANY = 300
LARGE = 1 << 20
# A limit in seconds that a start exceeds if it waits a tenth of a second for each of MANY connections.
SOON = 15
# The limit of descriptors for a process with few of them.
LIMIT = 64
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process):
    """Returns the CPU time that the process has used (proc_pid_stat(5))."""
    user, system = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICK


class Starts(LauncherTestCase):
    def test_a_failed_start_answers_waiting_requests_with_503(self):
        waiting = self.client_before_start()
        process = self.start("--fail", prints=None)
        self.assertEqual(process.wait(20), 1)
        status, body = waiting.result()
        self.assertEqual((status, json.loads(body)["errcode"]), (503, "M_UNKNOWN"))

    def test_a_slow_start_answers_waiting_requests_with_503(self):
        process = self.start("--late", "2", prints="late", options=("--patience", "0.2"))
        self.assertEqual(Client(self.public, "/quick").result()[0], 503)
        self.expect(process, "ready")
        self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))

    def test_without_socket_activation_the_program_binds_its_sockets(self):
        for path in (self.public, self.internal):
            path.unlink()
        process = self.start(activated=False)
        self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))
        process.terminate()
        self.assertEqual(process.wait(20), 0)
        self.assertFalse(self.public.exists())

    def test_silent_connections_delay_neither_a_start_nor_other_answers(self):
        self.silent_connections(MANY)
        begun = time.monotonic()
        process = self.start("--late", "2", prints="late", options=("--patience", "0.2"))
        self.assertEqual(Client(self.public, "/quick").result()[0], 503)
        self.expect(process, "ready")
        self.assertLess(time.monotonic() - begun, SOON)
        self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))

    def test_silent_connections_do_not_delay_the_exit_of_a_failed_start(self):
        self.silent_connections(MANY)
        waiting = self.client_before_start()
        process = self.start("--fail", prints=None)
        self.assertEqual(process.wait(SOON), 1)
        self.assertEqual(waiting.result()[0], 503)

    def test_a_slow_start_answers_a_large_request(self):
        self.start("--late", "2", prints="late", options=("--patience", "0.2"))
        status, body = Client(self.public, "/quick", "PUT", LARGE * b"l").result()
        self.assertEqual((status, json.loads(body)["errcode"]), (503, "M_UNKNOWN"))

    def test_a_start_without_descriptors_does_not_spin(self):
        process = self.start("--full", "2", prints="full", options=("--patience", "0"), descriptors=LIMIT)
        waiting, used = self.client_before_start(), cpu_seconds(process)
        waiting.join(1)
        self.assertTrue(waiting.is_alive())
        self.assertLess(cpu_seconds(process) - used, 0.3)
        # The program has closed its descriptors, and sleeps again.
        self.expect(process, "late")
        self.assertEqual(waiting.result()[0], 503)

    def test_connections_beyond_the_limit_of_descriptors_are_closed_and_others_served(self):
        self.start(descriptors=LIMIT)
        connections = self.silent_connections(MANY)
        self.assertEqual({connection.recv(1) for connection in connections[LIMIT:]}, {b""})
        for connection in connections:
            connection.close()
        # The process has no descriptor for another connection until it notices that these are closed.
        deadline = time.monotonic() + 10
        while Client(self.public, "/quick").result() != (200, b"quick"):
            self.assertLess(time.monotonic(), deadline)

    def test_signals_for_a_running_program_do_not_end_a_start(self):
        process = self.start("--import", "1", prints="importing")
        for asking in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
            process.send_signal(asking)
        self.expect(process, "ready")
        self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))

    def test_a_stopped_start_leaves_connections_to_its_successor(self):
        for ending, arguments, prints, code in (
            (signal.SIGTERM, ("--import", "20"), "importing", -signal.SIGTERM),
            (signal.SIGINT, ("--import", "20"), "importing", -signal.SIGINT),
            (signal.SIGINT, ("--late", "20"), "late", -signal.SIGINT),
            (signal.SIGTERM, ("--deaf", "20"), "running", 0),
            (signal.SIGINT, ("--deaf", "20"), "running", 0),
        ):
            with self.subTest(ending=ending, prints=prints):
                process = self.start(*arguments, prints=prints)
                waiting = self.client_before_start()
                process.send_signal(ending)
                self.assertEqual(process.wait(SOON), code)
                self.start()
                self.assertEqual(waiting.result(), (200, b"quick"))
            self.end()
