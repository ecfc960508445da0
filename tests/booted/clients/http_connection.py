"""A persistent HTTP/1.1 connection with little cost for its client.

The load shares its cores with the server it measures; `http.client` needs several times the CPU for the same exchange.
Reads the answers of nginx and Synapse: a body with a length or in chunks, no compression, no continuation.
"""

import select
import socket
from collections.abc import Iterator

# The bytes of a request that nginx reads at once, its `client_header_buffer_size`; of a longer one it may have read a part.
READ_AT_ONCE = 1024


class Unread(ConnectionError):
    """The server closed an idle connection before it read anything of the request."""


class HttpConnection:
    """Sends complete requests and receives their answers, one after the other.

    `reopened` counts kept connections that the server had closed before the next request was sent, `unread` those that it
    closed while the request was on its way.
    """

    def __init__(self, host: str, port: int, timeout: float = 60) -> None:
        self.address, self.timeout = (host, port), timeout
        self.reopened = self.unread = 0
        self.socket = self.reader = None

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Sends `request` (bytes) and returns (status, body). Raises ConnectionError when no whole answer came in time.

        A server may close an idle connection at any time, also just when the next request is on its way. That is no
        fault of either, and clients ask again on a new connection. So does this, but only where the server cannot have
        read the request: a request that was read and then cut is a fault, whatever a client may do about it.
        """
        try:
            if self.socket and select.select([self.socket], [], [], 0)[0]:
                self.reopened += 1
                self.close()
            if self.socket:
                try:
                    return self._answer(self._ask(request))
                except Unread:
                    self.unread += 1
            self._open()
            return self._answer(self._ask(request, new=True))
        except (OSError, ValueError) as error:
            self.close()
            raise ConnectionError(repr(error)) from error

    def _open(self) -> None:
        self.close()
        self.socket = socket.create_connection(self.address, self.timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")

    def _ask(self, request: bytes, new: bool = False) -> bytes:
        """Sends the request and returns the first line of the answer."""
        try:
            self.socket.sendall(request)
            if line := self.reader.readline():
                return line
            # The end of the connection; if a reset came after it, Linux has kept that as an error.
            reset = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except (ConnectionResetError, BrokenPipeError) as error:
            reset = error.errno
        # Its kernel resets a connection for bytes that came too late or were never read, and only then.
        if reset and not new and len(request) <= READ_AT_ONCE:
            raise Unread
        raise ConnectionResetError(
            f"cut on a {'new' if new else 'kept'} connection, the request {'not wholly read' if reset else 'read'}")

    def _answer(self, line: bytes) -> tuple[int, bytes]:
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

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.reader.readline().partition(b";")[0], 16):
            yield self._read(size)
            self.reader.readline()
        while self.reader.readline() not in (b"\r\n", b""):
            pass

    def _read(self, length: int) -> bytes:
        body = self.reader.read(length)
        if len(body) < length:
            raise ConnectionResetError(f"{len(body)} of {length} bytes")
        return body

    def close(self) -> None:
        if self.socket:
            self.reader.close()
            self.socket.close()
            self.socket = self.reader = None
