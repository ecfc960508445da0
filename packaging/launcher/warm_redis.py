"""A Redis for the pilot: a server of Redis' protocol (RESP 2) that passes on what is published, and stores nothing."""
from twisted.internet import protocol

END = b"\r\n"
# What other processes publish for the streams (Synapse's docs/tcp_replication.md).
PUBLISHED = (
    b"POSITION caches other 1 1", b"POSITION events other 1 1", b"POSITION typing other 1 1", b'RDATA typing other 2 ["!a", []]',
)


class Redis(protocol.Protocol):
    """A connection. Commands contain no line ends of their own."""

    def connectionMade(self):
        self.waiting = b""

    def dataReceived(self, data):
        *lines, self.waiting = (self.waiting + data).split(END)
        while lines and lines[0][:1] == b"*":
            length = 1 + 2 * int(lines[0][1:])
            if len(lines) < length:
                break
            self.answer(*lines[2:length:2])
            del lines[:length]
        self.waiting = END.join((*lines, self.waiting))

    def answer(self, command, *words):
        subscribers = self.factory.subscribers
        if command == b"SUBSCRIBE":
            for channel in words:
                subscribers.append(self)
                self.transport.write(array(b"subscribe", channel) + b":1" + END)
                for line in PUBLISHED:
                    self.transport.write(array(b"message", channel, line))
        elif command == b"PUBLISH":
            for one in subscribers:
                one.transport.write(array(b"message", *words))
            self.transport.write(b":1" + END)
        else:
            self.transport.write((b"$-1" if command == b"GET" else b"+OK") + END)


def array(*words):
    """An array of three elements that starts with these strings."""
    return b"*3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def factory():
    """Makes connections which know all that subscribed."""
    made = protocol.Factory.forProtocol(Redis)
    made.subscribers = []
    return made
