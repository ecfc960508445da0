"""Listening sockets that systemd passes on (sd_listen_fds(3)), and who waits there while nobody serves them."""
import os
import select
import socket
import threading
import time

FIRST = 3
# The answer for those who waited in vain, in Matrix's words, for browsers too.
REFUSAL = b'{"errcode":"M_UNKNOWN","error":"This part of the server is starting; try again"}'
HEADERS = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\n"
    b"Access-Control-Allow-Origin: *\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
)


def inherited():
    """The sockets by their path."""
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
        sockets[held.getsockname()] = held
    return sockets


class Waiting:
    """Sockets that nobody serves yet.

    Connections wait there for some seconds, and are answered once it takes longer or the start fails: else nginx would run
    out of connections that all wait.
    """

    def __init__(self, sockets, patience):
        self.sockets = sockets
        self.lock = threading.Lock()
        self.changed, self.change = os.pipe()
        if sockets:
            threading.Thread(target=self._watch, args=(patience,), name="waiting", daemon=True).start()

    def take(self, path):
        """The socket of this path for somebody who serves it from now on."""
        with self.lock:
            held = self.sockets.pop(path, None)
        os.write(self.change, b".")
        return held

    def refuse(self):
        """Answers everybody who waits where nobody took the socket."""
        with self.lock:
            for held in self.sockets.values():
                while refuse_one(held):
                    pass

    def _watch(self, patience):
        deadline = time.monotonic() + patience
        while self.sockets:
            left = deadline - time.monotonic()
            late = left <= 0
            waited = list(self.sockets.values()) if late else []
            ready = select.select([self.changed, *waited], [], [], None if late else left)[0]
            if self.changed in ready:
                os.read(self.changed, 64)
            elif ready:
                self.refuse()


def refuse_one(held):
    """Answers one connection; whether there was one."""
    try:
        connection, _ = held.accept()
    except OSError:
        return False
    with connection:
        connection.settimeout(0.1)
        try:
            connection.recv(65536)
            connection.sendall(HEADERS % len(REFUSAL) + REFUSAL)
        except OSError:
            pass
    return True
