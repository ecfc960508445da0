"""Sockets passed by systemd (sd_listen_fds(3)), and the connections that wait on them until the program serves them."""
import contextlib
import math
import os
import select
import socket
import threading
import time

FIRST = 3
# The maximum number of connections that are refused at the same time. The start itself needs the rest of the 1024 file
# descriptors, the usual limit.
MOST = 256
# Seconds that a client has to send its request and to read the response.
SLOWNESS = 0.5
# Seconds until the next accept() after the process ran out of file descriptors.
PAUSE = 0.1
# The maximum number of seconds that a failed start spends on responses.
PARTING = 2.0
# The response to clients that waited for a process that did not start: a Matrix error with CORS headers.
REFUSAL = b'{"errcode":"M_UNKNOWN","error":"This part of the server is starting; try again"}'
HEADERS = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\n"
    b"Access-Control-Allow-Origin: *\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
)


def inherited():
    """The inherited sockets by their place: a path, or an address and a port."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = int(os.environ.get("LISTEN_FDS", "0"))
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    sockets = {}
    for number in range(FIRST, FIRST + count):
        held = socket.socket(fileno=number)
        held.setblocking(False)
        held.set_inheritable(False)
        sockets[place_of(held)] = held
    return sockets


def place_of(held):
    """The path of a Unix socket; the address and the port of any other."""
    name = held.getsockname()
    return name if held.family == socket.AF_UNIX else name[:2]


class Waiting:
    """Sockets that the program does not serve yet.

    Connections wait for `patience` seconds. If the start takes longer or fails, a thread answers them; otherwise
    waiting connections could exhaust those of nginx. The lock is never held during a blocking call, so a client that sends
    nothing delays neither the start nor other clients.
    """

    def __init__(self, sockets, patience):
        self.sockets = sockets
        self.lock = threading.Lock()
        self.changed, self.change = os.pipe()
        self.late, self.end = time.monotonic() + patience, math.inf
        self.thread = threading.Thread(target=self._watch, name="waiting", daemon=True)
        if sockets:
            self.thread.start()

    def take(self, place):
        """Hands the socket at this place to the program; None if systemd opened none there."""
        with self.lock:
            held = self.sockets.pop(place, None)
        os.write(self.change, b".")
        return held

    def take_ports(self, numbers):
        """Hands the sockets at these ports to the program."""
        with self.lock:
            places = [place for place in self.sockets if isinstance(place, tuple) and place[1] in numbers]
            held = [self.sockets.pop(place) for place in places]
        os.write(self.change, b".")
        return held

    def refuse(self):
        """Answers all connections at sockets that were not handed over, and returns within `PARTING` seconds."""
        now = time.monotonic()
        self.late, self.end = now, now + PARTING
        os.write(self.change, b".")
        # A forked process has a copy of this object, but not of the thread.
        if self.thread.is_alive():
            self.thread.join(PARTING)

    def _watch(self):
        refusals, pause = [], 0.0
        while self.sockets or refusals:
            now = time.monotonic()
            if now >= self.late and now >= pause:
                pause = self._accept(refusals, now)
            done = self.end < math.inf and not refusals and now >= pause
            if done or now >= self.end:
                return
            refusals = self._wait(refusals, max(self.late, pause))

    def _accept(self, refusals, now):
        """Accepts connections until `MOST` are open. Returns the monotonic time at which the next can be accepted."""
        with self.lock:
            for held in self.sockets.values():
                while len(refusals) < MOST:
                    try:
                        connection, _ = held.accept()
                    except BlockingIOError:
                        break
                    except OSError:
                        # Most likely no file descriptor is left. The socket stays readable meanwhile.
                        return now + PAUSE
                    connection.setblocking(False)
                    refusals.append(Refusal(connection, now + SLOWNESS))
        return now

    def _wait(self, refusals, acceptable):
        """Waits for an event, serves the connections, and returns those that are still open."""
        now = time.monotonic()
        wakes = [acceptable] if acceptable > now else []
        waker = select.poll()
        waker.register(self.changed, select.POLLIN)
        for refusal in refusals:
            waker.register(refusal.connection, select.POLLIN)
            wakes.append(refusal.deadline)
        if acceptable <= now and len(refusals) < MOST:
            for held in list(self.sockets.values()):
                waker.register(held, select.POLLIN)
        wake = min([*wakes, self.end])
        ready = {number for number, _ in waker.poll(None if wake == math.inf else max(0, math.ceil(1000 * (wake - now))))}
        if self.changed in ready:
            os.read(self.changed, 4096)
        now = time.monotonic()
        return [refusal for refusal in refusals if not refusal.ended(refusal.connection.fileno() in ready, now)]


class Refusal:
    """A connection that gets the response 503 after its request, at the latest at its deadline."""

    def __init__(self, connection, deadline):
        self.connection, self.deadline, self.answered = connection, deadline, False

    def ended(self, readable, now):
        """Reads and responds without blocking. Returns whether the connection is finished, and closes it then."""
        over = now >= self.deadline
        if not readable and not over:
            return False
        with contextlib.suppress(OSError):
            # The rest of the request is read too: a client that cannot send it does not read the response.
            over = (readable and not self.connection.recv(65536)) or over
            if not self.answered:
                self.answered = True
                self.connection.sendall(HEADERS % len(REFUSAL) + REFUSAL)
                self.connection.shutdown(socket.SHUT_WR)
            if not over:
                return False
        self.connection.close()
        return True
