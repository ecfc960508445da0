"""Serves on inherited sockets, and drains: in-flight requests finish before a process stops."""
import json
import re
import signal

from twisted.internet import task, tcp, unix

# The directory of the sockets for replication requests of other processes; those of other hosts come to ports that the
# command line names, and a process with such a Unix socket serves them as if they came there. These requests are served
# while the process drains, because in-flight requests may depend on other processes that stop at the same time.
INTERNAL = "/replication/"
# After this many seconds without a replication request, no further one is expected.
QUIET = 0.1
# The interval in seconds at which in-flight requests are checked while the process stops.
INTERVAL = 0.02

# Long polls: method, path, the argument with the client's position, and the response that means "nothing new", so that
# the client polls again from the same position (Client-Server API, /sync and /events; MSC4186).
POLLS = (
    (b"GET", re.compile(rb"/_matrix/client/(r0|v3)/sync"), b"since", lambda since: {"next_batch": since}),
    (b"GET", re.compile(rb"/_matrix/client/(r0|v3|api/v1)/events"), b"from",
     lambda start: {"start": start, "end": start, "chunk": []}),
    (b"POST", re.compile(rb"/_matrix/client/unstable/org\.matrix\.simplified_msc3575/sync"), b"pos",
     lambda position: {"pos": position, "lists": {}, "rooms": {}, "extensions": {}}),
)
# The same CORS headers as Synapse's (http/server.py, set_cors_headers).
HEADERS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-cache, no-store, must-revalidate\r\n"
    b"Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET, HEAD, POST, PUT, DELETE, OPTIONS\r\n"
    b"Access-Control-Allow-Headers: X-Requested-With, Content-Type, Authorization, Date\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n"
)


class Held:
    """A port on an inherited socket, which outlives the process."""

    # A shutdown would affect systemd's copy of the socket as well.
    _shouldShutdown = False

    def startListening(self):
        """Starts without bind(), chmod() and listen(), which systemd has done."""
        # As in Twisted's own ports: when no file descriptor is left, the reserved one is closed for a moment, so that
        # waiting connections can be accepted and closed. Otherwise they keep the socket readable and the reactor busy.
        tcp._reservedFD.reserve()
        self.factory.doStart()
        self.socket = self.held
        self.fileno = self.socket.fileno
        self.numberAccepts = 100
        self.connected = True
        self.startReading()

    def connectionLost(self, reason):
        """Closes the port, but keeps the socket file, unlike `unix.Port`."""
        tcp.Port.connectionLost(self, reason)


class HeldPath(Held, unix.Port):
    """A port on a Unix socket."""

    def __init__(self, held, factory, reactor):
        super().__init__(held.getsockname(), factory, reactor=reactor)
        self.held = held


class HeldAddress(Held, tcp.Port):
    """A port on an address of this host."""

    def __init__(self, held, factory, reactor):
        address, port = held.getsockname()[:2]
        super().__init__(port, factory, interface=address, reactor=reactor)
        self.held, self._realPortNumber = held, port


class Connection:
    """A connection of a client. It is busy until the last byte of the response to its request is sent."""

    def __init__(self, internal):
        self.internal = internal
        self.requests = set()
        self.transport = None

    def busy(self, writers):
        return bool(self.requests) or self.transport is None or self.transport in writers


class Traffic:
    """All connections to held sockets."""

    def __init__(self, reactor, waiting, drain, internal_ports=range(0)):
        self.reactor, self.waiting, self.drain = reactor, waiting, drain
        self.internal_ports = internal_ports
        self.ports, self.connections = [], set()
        self.last_internal = 0.0
        self.stopping = None
        self.listen_plainly, self.listen_at_port, self.stop_now = reactor.listenUNIX, reactor.listenTCP, reactor.stop

    def take_over(self):
        """Replaces the reactor's methods to listen and to stop."""
        self.reactor.listenUNIX = self.listen
        self.reactor.listenTCP = self.listen_tcp
        self.reactor.stop = self.stop
        # Sent while nginx drains its connections.
        signal.signal(signal.SIGWINCH, lambda *_: self.reactor.callFromThread(self.answer_polls))

    def listen(self, path, factory, *arguments, **options):
        """Replaces `reactor.listenUNIX`."""
        held = self.waiting.take(path)
        if held is None:
            return self.listen_plainly(path, factory, *arguments, **options)
        internal = INTERNAL in path
        self.watch(factory, internal)
        if internal:
            # Synapse would create everything behind a second listener again, and complains about it (util/metrics.py).
            for other in self.waiting.take_ports(self.internal_ports):
                self.serve(HeldAddress(other, factory, self.reactor), internal)
        return self.serve(HeldPath(held, factory, self.reactor), internal)

    def listen_tcp(self, port, factory, backlog=50, interface=""):
        """Replaces `reactor.listenTCP`."""
        held = self.waiting.take((interface, port))
        if held is None:
            return self.listen_at_port(port, factory, backlog, interface)
        internal = port in self.internal_ports
        self.watch(factory, internal)
        return self.serve(HeldAddress(held, factory, self.reactor), internal)

    def serve(self, port, internal):
        port.startListening()
        self.ports.append((port, internal))
        return port

    def watch(self, factory, internal):
        """Records the connections and requests of a site."""
        build = factory.buildProtocol

        def built(address):
            channel = build(address)
            if channel is None:
                return None
            connection = Connection(internal)
            self.connections.add(connection)
            make, lost = channel.requestFactory, channel.connectionLost

            def request(*arguments, **options):
                return self.began(connection, make(*arguments, **options))

            def connection_lost(reason):
                self.connections.discard(connection)
                lost(reason)

            channel.requestFactory, channel.connectionLost = request, connection_lost
            return channel

        factory.buildProtocol = built

    def began(self, connection, request):
        connection.transport = request.channel.transport
        connection.requests.add(request)
        request.notifyFinish().addBoth(lambda _: self.ended(connection, request))
        return request

    def ended(self, connection, request):
        connection.requests.discard(request)
        if connection.internal:
            self.last_internal = self.reactor.seconds()

    def stop(self):
        """Replaces `reactor.stop`: drains first, for at most `drain` seconds. A second call stops at once."""
        if self.stopping or not self.ports:
            self.stop_now()
            return
        self.close(internal=False)
        deadline = self.reactor.seconds() + self.drain
        self.last_internal = self.reactor.seconds()
        self.stopping = task.LoopingCall(self.check, deadline)
        self.stopping.clock = self.reactor
        # A fault here must not keep the process running.
        self.stopping.start(INTERVAL).addErrback(lambda failure: (failure.printTraceback(), self.stop_now()))

    def check(self, deadline):
        now = self.reactor.seconds()
        self.answer_polls()
        if now < deadline:
            if self.is_busy(internal=False) or self.is_busy(internal=True):
                return
            if any(internal for _, internal in self.ports) and now - self.last_internal < QUIET:
                return
        self.close(internal=True)
        self.stopping.stop()
        self.stop_now()

    def is_busy(self, internal):
        writers = self.reactor.getWriters()
        return any(connection.internal == internal and connection.busy(writers) for connection in self.connections)

    def close(self, internal):
        """Stops accepting connections, which then wait for the successor."""
        for port, kind in self.ports:
            if kind == internal:
                port.stopReading()

    def answer_polls(self):
        """Answers long polls as if their timeout had expired."""
        for connection in self.connections:
            for request in tuple(connection.requests):
                answer = poll_answer(request)
                if answer is not None:
                    request.channel.transport.write(HEADERS % len(answer) + answer)
                    request.channel.loseConnection()


def poll_answer(request):
    """The response that ends this request, if it is a long poll without a response."""
    if request.path is None or request.startedWriting or request.channel is None:
        return None
    for method, path, argument, answer in POLLS:
        start, waits = request.args.get(argument), request.args.get(b"timeout", [b"0"])
        if request.method == method and path.fullmatch(request.path) and start and waits != [b"0"]:
            if b"full_state" not in request.args:
                return json.dumps(answer(start[0].decode("utf-8", "replace"))).encode()
    return None
