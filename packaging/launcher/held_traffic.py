"""Serves on inherited sockets, and drains: in-flight requests finish before a process stops."""
import json
import re
import signal

from twisted.internet import task, tcp, unix

# Replication requests of other processes come here (the directory of their sockets). They are served while the process
# finishes its own, which may need others that stop at the same time.
INTERNAL = "/replication/"
# Seconds without any such request after which none is expected.
QUIET = 0.1
# How often what is under way is looked at while the process stops.
INTERVAL = 0.02

# Long polls that say: nothing new, ask again from where you are. With the argument that tells from where, and what such an
# answer is (Client-Server API, /sync and /events; MSC4186).
POLLS = (
    (b"GET", re.compile(rb"/_matrix/client/(r0|v3)/sync"), b"since", lambda since: {"next_batch": since}),
    (b"GET", re.compile(rb"/_matrix/client/(r0|v3|api/v1)/events"), b"from",
     lambda start: {"start": start, "end": start, "chunk": []}),
    (b"POST", re.compile(rb"/_matrix/client/unstable/org\.matrix\.simplified_msc3575/sync"), b"pos",
     lambda position: {"pos": position, "lists": {}, "rooms": {}, "extensions": {}}),
)
# As Synapse sets them for browsers (http/server.py, set_cors_headers).
HEADERS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-cache, no-store, must-revalidate\r\n"
    b"Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET, HEAD, POST, PUT, DELETE, OPTIONS\r\n"
    b"Access-Control-Allow-Headers: X-Requested-With, Content-Type, Authorization, Date\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n"
)


class HeldPort(unix.Port):
    """A port on a socket that exists already, and outlives the process."""

    # That would end systemd's copy as well.
    _shouldShutdown = False

    def __init__(self, held, factory, reactor):
        super().__init__(held.getsockname(), factory, reactor=reactor)
        self.held = held

    def startListening(self):
        """Neither binds nor changes the path's mode or the length of the queue."""
        # As Twisted's own ports do: once no descriptor is left, this one is closed for a moment, to accept the connections
        # that wait and close them. They would keep the socket readable, and the reactor busy, for as long as they wait.
        tcp._reservedFD.reserve()
        self.factory.doStart()
        self.socket = self.held
        self.fileno = self.socket.fileno
        self.numberAccepts = 100
        self.connected = True
        self.startReading()

    def connectionLost(self, reason):
        """Unlike a Unix port's own, leaves the path."""
        tcp.Port.connectionLost(self, reason)


class Connection:
    """One connection of a client: busy from the moment it is there until its request has got an answer, to the last byte."""

    def __init__(self, internal):
        self.internal = internal
        self.requests = set()
        self.transport = None

    def busy(self, writers):
        return bool(self.requests) or self.transport is None or self.transport in writers


class Traffic:
    """All connections to held sockets."""

    def __init__(self, reactor, waiting, drain):
        self.reactor, self.waiting, self.drain = reactor, waiting, drain
        self.ports, self.connections = [], set()
        self.last_internal = 0.0
        self.stopping = None
        self.listen_plainly, self.stop_now = reactor.listenUNIX, reactor.stop

    def take_over(self):
        """Puts itself before the reactor's ways to listen and to stop."""
        self.reactor.listenUNIX = self.listen
        self.reactor.stop = self.stop
        # Sent when nginx has to let go of its connections.
        signal.signal(signal.SIGWINCH, lambda *_: self.reactor.callFromThread(self.answer_polls))

    def listen(self, path, factory, *arguments, **options):
        """As `reactor.listenUNIX`."""
        held = self.waiting.take(path)
        if held is None:
            return self.listen_plainly(path, factory, *arguments, **options)
        internal = INTERNAL in path
        self.watch(factory, internal)
        port = HeldPort(held, factory, self.reactor)
        port.startListening()
        self.ports.append((port, internal))
        return port

    def watch(self, factory, internal):
        """Has connections and requests of a site noted."""
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
        """As `reactor.stop`, but what is under way comes to its end, within the bound; at once when asked again."""
        if self.stopping or not self.ports:
            self.stop_now()
            return
        self.close(internal=False)
        deadline = self.reactor.seconds() + self.drain
        self.last_internal = self.reactor.seconds()
        self.stopping = task.LoopingCall(self.check, deadline)
        self.stopping.clock = self.reactor
        # A fault here must not keep the process.
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
        """Takes no new connections: they wait for the successor."""
        for port, kind in self.ports:
            if kind == internal:
                port.stopReading()

    def answer_polls(self):
        """Answers long polls as if their time were over."""
        for connection in self.connections:
            for request in tuple(connection.requests):
                answer = poll_answer(request)
                if answer is not None:
                    request.channel.transport.write(HEADERS % len(answer) + answer)
                    request.channel.loseConnection()


def poll_answer(request):
    """What ends this request, if it is a long poll that has no answer yet."""
    if request.path is None or request.startedWriting or request.channel is None:
        return None
    for method, path, argument, answer in POLLS:
        start, waits = request.args.get(argument), request.args.get(b"timeout", [b"0"])
        if request.method == method and path.fullmatch(request.path) and start and waits != [b"0"]:
            if b"full_state" not in request.args:
                return json.dumps(answer(start[0].decode("utf-8", "replace"))).encode()
    return None
