"""Restarts and draining: every request gets an answer from the process that stops or from its successor."""

import json
import signal
import socket
import subprocess
import time

from launched import Client, LauncherTestCase

SYNC = "/_matrix/client/v3/sync?since=s1_2&timeout=30000"
SLIDING = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?pos=7&timeout=30000"


class Restarts(LauncherTestCase):
    def test_connections_before_a_start_and_during_a_restart_are_served(self):
        early = Client(self.public, "/quick")
        early.sent.wait(20)
        first = self.start()
        self.assertEqual(early.result(), (200, b"quick"))
        first.terminate()
        first.wait(20)
        between = [Client(self.public, "/quick"), Client(self.internal, "/quick", "POST")]
        for client in between:
            client.sent.wait(20)
        self.start()
        self.assertEqual([client.result() for client in between], [(200, b"quick")] * 2)
        self.assertTrue(self.public.exists())

    def test_in_flight_requests_finish_and_new_connections_wait(self):
        process = self.start()
        slow = Client(self.public, "/slow/1", "POST")
        self.wait_until_received(slow)
        process.terminate()
        # The process no longer accepts connections; later ones wait for the successor.
        self.wait_until_closed(process, self.sockets[0])
        late = Client(self.public, "/quick")
        internal = Client(self.internal, "/quick", "POST")
        self.assertEqual(internal.result(), (200, b"quick"), "a draining process still serves internal requests")
        self.assertEqual(slow.result(), (200, b"slow"))
        self.assertEqual(process.wait(20), 0)
        self.assertIsNone(late.status)
        self.start()
        self.assertEqual(late.result(), (200, b"quick"))

    def test_an_answer_that_is_still_being_read_is_not_cut(self):
        process = self.start()
        with socket.socket(socket.AF_UNIX) as reader:
            reader.settimeout(20)
            reader.connect(str(self.public))
            # The connection is kept open, so only the unsent part of the answer shows that the process is busy.
            reader.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = len(reader.recv(1024))
            process.terminate()
            with self.assertRaises(subprocess.TimeoutExpired):
                process.wait(1)
            while more := len(reader.recv(1 << 20)):
                received += more
        self.assertGreater(received, 8 << 20)
        self.assertEqual(process.wait(20), 0)

    def test_a_request_longer_than_the_drain_limit_is_cut(self):
        process = self.start(options=("--drain", "0.5"))
        slow = Client(self.public, "/slow/15", "POST")
        self.wait_until_received(slow)
        begun = time.monotonic()
        process.terminate()
        process.wait(20)
        self.assertLess(time.monotonic() - begun, 10)
        self.assertEqual(slow.result(), (None, None))

    def test_long_polls_are_answered_when_the_process_stops(self):
        process = self.start()
        polls = [Client(self.public, SYNC), Client(self.public, SLIDING, "POST")]
        self.wait_until_received(*polls)
        process.terminate()
        self.assertEqual([json.loads(poll.result()[1]) for poll in polls],
                         [{"next_batch": "s1_2"}, {"pos": "7", "lists": {}, "rooms": {}, "extensions": {}}])
        self.assertEqual(process.wait(20), 0)

    def test_sigwinch_answers_long_polls_and_the_process_continues(self):
        process = self.start()
        poll, first, slow = Client(self.public, SYNC), Client(self.public, "/_matrix/client/v3/sync"), Client(self.public, "/slow/1")
        self.wait_until_received(poll, first, slow)
        process.send_signal(signal.SIGWINCH)
        self.assertEqual(json.loads(poll.result()[1]), {"next_batch": "s1_2"})
        self.assertEqual(slow.result(), (200, b"slow"))
        # A first sync has no position to continue from, so it gets no empty answer.
        self.assertIsNone(first.status)
        self.assertIsNone(process.poll())
