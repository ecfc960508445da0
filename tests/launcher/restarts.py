"""Restarts and draining: every request gets its answer, from the process that stops or from its successor."""

import json
import signal
import socket
import subprocess
import time

from launched import Client, Launched

SYNC = "/_matrix/client/v3/sync?since=s1_2&timeout=30000"
SLIDING = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?pos=7&timeout=30000"


class Restarts(Launched):
    def test_who_connects_before_a_start_or_during_a_restart_is_served(self):
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

    def test_what_is_under_way_comes_to_its_end_and_new_connections_wait(self):
        process = self.start()
        slow = Client(self.public, "/slow/1", "POST")
        self.busy(slow)
        process.terminate()
        # The process closes its doors; what comes later is the successor's.
        self.closed(process, self.held[0])
        late = Client(self.public, "/quick")
        internal = Client(self.internal, "/quick", "POST")
        self.assertEqual(internal.result(), (200, b"quick"), "others that end what they have are served")
        self.assertEqual(slow.result(), (200, b"slow"))
        self.assertEqual(process.wait(20), 0)
        self.assertIsNone(late.status)
        self.start()
        self.assertEqual(late.result(), (200, b"quick"))

    def test_an_answer_that_is_not_read_yet_is_not_cut(self):
        process = self.start()
        with socket.socket(socket.AF_UNIX) as reader:
            reader.settimeout(20)
            reader.connect(str(self.public))
            # Kept open: only what was not sent yet tells that it is busy.
            reader.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = len(reader.recv(1024))
            process.terminate()
            with self.assertRaises(subprocess.TimeoutExpired):
                process.wait(1)
            while more := len(reader.recv(1 << 20)):
                received += more
        self.assertGreater(received, 8 << 20)
        self.assertEqual(process.wait(20), 0)

    def test_what_takes_longer_than_the_bound_is_cut(self):
        process = self.start(options=("--drain", "0.5"))
        slow = Client(self.public, "/slow/15", "POST")
        self.busy(slow)
        begun = time.monotonic()
        process.terminate()
        process.wait(20)
        self.assertLess(time.monotonic() - begun, 10)
        self.assertEqual(slow.result(), (None, None))

    def test_long_polls_are_answered_when_it_stops(self):
        process = self.start()
        polls = [Client(self.public, SYNC), Client(self.public, SLIDING, "POST")]
        self.busy(*polls)
        process.terminate()
        self.assertEqual([json.loads(poll.result()[1]) for poll in polls],
                         [{"next_batch": "s1_2"}, {"pos": "7", "lists": {}, "rooms": {}, "extensions": {}}])
        self.assertEqual(process.wait(20), 0)

    def test_long_polls_are_answered_on_a_signal_and_it_goes_on(self):
        process = self.start()
        poll, first, slow = Client(self.public, SYNC), Client(self.public, "/_matrix/client/v3/sync"), Client(self.public, "/slow/1")
        self.busy(poll, first, slow)
        process.send_signal(signal.SIGWINCH)
        self.assertEqual(json.loads(poll.result()[1]), {"next_batch": "s1_2"})
        self.assertEqual(slow.result(), (200, b"slow"))
        # Somebody's first sync has no place to go on from: it is not answered with nothing.
        self.assertIsNone(first.status)
        self.assertIsNone(process.poll())
