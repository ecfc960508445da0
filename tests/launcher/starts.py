"""Starts: connections that wait, starts that fail or take long, clients that send nothing, signals."""

import json
import os
import signal
import time
from pathlib import Path

from launched import Client, Launched

# More connections than are refused at the same time.
MANY = 300
LARGE = 1 << 20
# Seconds that a start takes with ease, and not if it gives each of MANY a tenth of one.
SOON = 15
# Descriptors of a process that has few.
LIMIT = 64
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process):
    """What the process has used so far (proc_pid_stat(5))."""
    user, system = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICK


class Starts(Launched):
    def test_a_start_that_fails_answers_those_who_wait(self):
        waiting = self.early()
        process = self.start("--fail", says=None)
        self.assertEqual(process.wait(20), 1)
        status, body = waiting.result()
        self.assertEqual((status, json.loads(body)["errcode"]), (503, "M_UNKNOWN"))

    def test_a_start_that_takes_long_answers_those_who_wait(self):
        process = self.start("--late", "2", says="late", options=("--patience", "0.2"))
        self.assertEqual(Client(self.public, "/quick").result()[0], 503)
        self.says(process, "ready")
        self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))

    def test_without_sockets_of_systemd_it_makes_its_own(self):
        for path in (self.public, self.internal):
            path.unlink()
        process = self.start(held=False)
        self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))
        process.terminate()
        self.assertEqual(process.wait(20), 0)
        self.assertFalse(self.public.exists())

    def test_clients_that_send_nothing_do_not_delay_a_start_nor_the_answers_to_others(self):
        self.silent(MANY)
        begun = time.monotonic()
        process = self.start("--late", "2", says="late", options=("--patience", "0.2"))
        self.assertEqual(Client(self.public, "/quick").result()[0], 503)
        self.says(process, "ready")
        self.assertLess(time.monotonic() - begun, SOON)
        self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))

    def test_clients_that_send_nothing_do_not_keep_a_start_that_has_failed(self):
        self.silent(MANY)
        waiting = self.early()
        process = self.start("--fail", says=None)
        self.assertEqual(process.wait(SOON), 1)
        self.assertEqual(waiting.result()[0], 503)

    def test_a_large_request_is_answered_too_by_a_start_that_takes_long(self):
        self.start("--late", "2", says="late", options=("--patience", "0.2"))
        status, body = Client(self.public, "/quick", "PUT", LARGE * b"l").result()
        self.assertEqual((status, json.loads(body)["errcode"]), (503, "M_UNKNOWN"))

    def test_a_start_without_descriptors_does_not_spin(self):
        process = self.start("--full", "2", says="full", options=("--patience", "0"), descriptors=LIMIT)
        waiting, used = self.early(), cpu_seconds(process)
        waiting.join(1)
        self.assertTrue(waiting.is_alive())
        self.assertLess(cpu_seconds(process) - used, 0.3)
        # The program has closed its descriptors, and takes as long again.
        self.says(process, "late")
        self.assertEqual(waiting.result()[0], 503)

    def test_connections_beyond_the_limit_of_descriptors_are_closed_and_others_served(self):
        self.start(descriptors=LIMIT)
        connections = self.silent(MANY)
        self.assertEqual({connection.recv(1) for connection in connections[LIMIT:]}, {b""})
        for connection in connections:
            connection.close()
        # Until the process has seen that these are closed, it has no descriptor for another one.
        deadline = time.monotonic() + 10
        while Client(self.public, "/quick").result() != (200, b"quick"):
            self.assertLess(time.monotonic(), deadline)

    def test_signals_that_ask_a_running_program_for_something_do_not_end_a_start(self):
        process = self.start("--import", "1", says="importing")
        for asking in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
            process.send_signal(asking)
        self.says(process, "ready")
        self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))

    def test_a_start_that_is_stopped_leaves_connections_to_its_successor(self):
        for ending, arguments, says, code in (
            (signal.SIGTERM, ("--import", "20"), "importing", -signal.SIGTERM),
            (signal.SIGINT, ("--import", "20"), "importing", -signal.SIGINT),
            (signal.SIGINT, ("--late", "20"), "late", -signal.SIGINT),
            (signal.SIGTERM, ("--deaf", "20"), "running", 0),
            (signal.SIGINT, ("--deaf", "20"), "running", 0),
        ):
            with self.subTest(ending=ending, says=says):
                process = self.start(*arguments, says=says)
                waiting = self.early()
                process.send_signal(ending)
                self.assertEqual(process.wait(SOON), code)
                self.start()
                self.assertEqual(waiting.result(), (200, b"quick"))
            self.end()
