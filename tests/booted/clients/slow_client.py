"""A client that keeps as many connections open as it can: `slow_client.py SOURCE ADDRESS PORT HALF COUNT SECONDS`.

HALF is `header` or `body`: how far each request gets before nothing more is sent. A connection that the server closes is
opened again at once. Prints at the end how many connections it held on average, and how they ended.
"""

import resource
import selectors
import socket
import sys
import time
from collections import Counter

HALVES = {
    "header": b"GET /_matrix/client/versions HTTP/1.1\r\nHost: example.test\r\nX-Half",
    "body": b"PUT /_matrix/federation/v1/send/1 HTTP/1.1\r\nHost: example.test\r\nContent-Length: 100000\r\n\r\n{",
}
# The number of connections that are opened between two counts.
AT_ONCE = 64


class SlowClient:
    def __init__(self, source: str, place: tuple[str, int], half: bytes, count: int) -> None:
        self.source, self.place, self.half, self.count = source, place, half, count
        self.open, self.seen, self.selector = 0, Counter(), selectors.DefaultSelector()

    def fill(self) -> None:
        """Opens some of the missing connections."""
        for _ in range(min(AT_ONCE, self.count - self.open)):
            connection = socket.socket()
            connection.setblocking(False)
            connection.bind((self.source, 0))
            connection.connect_ex(self.place)
            self.selector.register(connection, selectors.EVENT_WRITE)
            self.open += 1
            self.seen["opened"] += 1

    def turn(self) -> None:
        for key, events in self.selector.select(0.01):
            connection = key.fileobj
            try:
                if events & selectors.EVENT_WRITE:
                    connection.send(self.half)
                    self.selector.modify(connection, selectors.EVENT_READ)
                elif answer := connection.recv(4096):
                    self.seen[answer.split(b" ")[1].decode()] += 1
                else:
                    self.close(connection, "closed")
            except OSError as error:
                self.close(connection, type(error).__name__)

    def close(self, connection: socket.socket, how: str) -> None:
        self.seen[how] += 1
        self.open -= 1
        self.selector.unregister(connection)
        connection.close()


def main() -> None:
    source, address, port, half, count, seconds = sys.argv[1:]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    slow = SlowClient(source, (address, int(port)), HALVES[half], int(count))
    begun, held = time.monotonic(), []
    while time.monotonic() < begun + float(seconds):
        slow.fill()
        slow.turn()
        held.append(slow.open)
    seen = ", ".join(f"{what} {times}" for what, times in sorted(slow.seen.items()))
    print(f"half a {half}: {sum(held) // len(held)} held, {seen}")


main()
