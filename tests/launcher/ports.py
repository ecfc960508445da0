"""Ports between hosts: they are held and drained like Unix sockets."""

import socket

from launched import BACKLOG, Client, LauncherTestCase


class Ports(LauncherTestCase):
    def setUp(self):
        super().setUp()
        self.sockets = [self.port(), self.port()]
        self.public, self.internal = ("{}:{}".format(*one.getsockname()) for one in self.sockets)
        number = self.sockets[1].getsockname()[1]
        self.options = ("--internal-ports", f"{number}-{number}")

    def port(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.addCleanup(listener.close)
        return listener

    def test_connections_before_a_start_and_during_a_restart_are_served(self):
        early = Client(self.public, "/quick")
        early.sent.wait(20)
        first = self.start(options=self.options)
        self.assertEqual(early.result(), (200, b"quick"))
        first.terminate()
        first.wait(20)
        between = [Client(self.public, "/quick"), Client(self.internal, "/quick", "POST")]
        for client in between:
            client.sent.wait(20)
        self.start(options=self.options)
        self.assertEqual([client.result() for client in between], [(200, b"quick")] * 2)

    def test_internal_ports_are_served_while_the_process_drains(self):
        process = self.start(options=self.options)
        slow = Client(self.public, "/slow/1", "POST")
        self.wait_until_received(slow)
        process.terminate()
        self.wait_until_closed(process, self.sockets[0])
        late = Client(self.public, "/quick")
        internal = Client(self.internal, "/quick", "POST")
        self.assertEqual(internal.result(), (200, b"quick"))
        self.assertEqual(slow.result(), (200, b"slow"))
        self.assertEqual(process.wait(20), 0)
        self.assertIsNone(late.status)
        self.start(options=self.options)
        self.assertEqual(late.result(), (200, b"quick"))

    def test_a_port_that_was_not_passed_is_opened(self):
        for one in self.sockets:
            one.close()
        self.start(activated=False)
        self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))


class UnixAndPort(LauncherTestCase):
    def test_a_port_is_served_by_the_listener_at_the_internal_socket(self):
        port = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.addCleanup(port.close)
        self.sockets.append(port)
        address, number = port.getsockname()
        early = Client(f"{address}:{number}", "/quick")
        early.sent.wait(20)
        process = self.start(options=("--internal-ports", f"{number}-{number}"))
        self.assertEqual(early.result(), (200, b"quick"))
        slow = Client(self.public, "/slow/1", "POST")
        self.wait_until_received(slow)
        process.terminate()
        self.wait_until_closed(process, self.sockets[0])
        self.assertEqual(Client(f"{address}:{number}", "/quick").result(), (200, b"quick"))
        self.assertEqual(slow.result(), (200, b"slow"))
        self.assertEqual(process.wait(20), 0)
