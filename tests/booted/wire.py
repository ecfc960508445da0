"""One kept-open HTTP/1.1 connection that costs its client next to nothing.

The load shares its cores with the server it measures; `http.client` needs several times the CPU for the same exchange.
Knows what nginx and Synapse answer: a body with a length or in chunks, no compression, no continuation.
"""

import select
import socket


class Unanswered(ConnectionError):
    """The connection was closed before a byte of the answer came."""


class Wire:
    """Exchanges complete requests for answers, one after the other; `reconnected` counts requests that were asked again."""

    def __init__(self, host, port, timeout=60):
        self.address, self.timeout = (host, port), timeout
        self.reconnected = 0
        self.socket = self.reader = None

    def exchange(self, request):
        """Sends `request` (bytes) and returns (status, body). Raises ConnectionError when no whole answer came in time.

        A server may close an idle connection just when the next request is on its way. That is no fault of either, and
        clients ask again: so does this, once, if the connection was used before and not a byte of an answer came.
        """
        try:
            if self.socket and not select.select([self.socket], [], [], 0)[0]:
                try:
                    return self._answer(self._ask(request))
                except Unanswered:
                    self.reconnected += 1
            self._open()
            return self._answer(self._ask(request))
        except (OSError, ValueError) as error:
            self.close()
            raise ConnectionError(repr(error)) from error

    def _open(self):
        self.close()
        self.socket = socket.create_connection(self.address, self.timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")

    def _ask(self, request):
        """Sends the request and returns the first line of the answer."""
        try:
            self.socket.sendall(request)
            line = self.reader.readline()
        except ConnectionError as error:
            raise Unanswered(repr(error)) from error
        if not line:
            raise Unanswered("closed without an answer")
        return line

    def _answer(self, line):
        version, _, rest = line.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            raise ValueError(f"not a status line: {line!r}")
        status, length, chunked, last = int(rest[:3]), None, False, version == b"HTTP/1.0"
        while (header := self.reader.readline()) != b"\r\n":
            name, found, value = header.partition(b":")
            if not found:
                raise ValueError(f"not a header: {header!r}")
            name, value = name.lower(), value.strip().lower()
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                chunked = value == b"chunked"
            elif name == b"connection":
                last = value == b"close"
        if chunked:
            body = b"".join(self._chunks())
        elif length is None:
            body, last = self.reader.read(), True
        else:
            body = self._read(length)
        if last:
            self.close()
        return status, body

    def _chunks(self):
        while size := int(self.reader.readline().partition(b";")[0], 16):
            yield self._read(size)
            self.reader.readline()
        while self.reader.readline() not in (b"\r\n", b""):
            pass

    def _read(self, length):
        body = self.reader.read(length)
        if len(body) < length:
            raise ConnectionResetError(f"{len(body)} of {length} bytes")
        return body

    def close(self):
        if self.socket:
            self.reader.close()
            self.socket.close()
            self.socket = self.reader = None
