"""Sends Redis one command and prints the reply; or publishes a question on a channel, listens there for the expected
answers (the first three words of each message), and prints those that did not arrive.

All parameters arrive on standard input, so that no password is visible in a process list. The server's certificate is
checked, which Synapse itself does not do (replication/tcp/context.py). The alarm limits every wait: for the name
server, the connection, the TLS handshake, and a reply that arrives one byte at a time. Lengths and depth are limited as
in resp.rs.
"""
import json
import signal
import socket
import ssl
import sys

LONGEST, ELEMENTS, DEPTH = 1 << 20, 1024, 4

at = json.load(sys.stdin)


def late(*_):
    raise TimeoutError("no complete answer in time")


signal.signal(signal.SIGALRM, late)


def within(seconds):
    signal.setitimer(signal.ITIMER_REAL, seconds)


def refuse(what):
    sys.exit("the server is not a Redis, or it requires TLS: " + what)


class Redis:
    def __init__(self):
        if at["path"]:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(at["path"])
        else:
            connection = socket.create_connection((at["host"], at["port"]))
        if at["tls"]:
            context = ssl.create_default_context(cafile=at["ca_file"])
            # Chain and name are checked, as by Python before 3.13: private authorities often lack extensions of
            # RFC 5280.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            connection = context.wrap_socket(connection, server_hostname=at["host"])
        self.stream = connection.makefile("rwb")
        if at["password"] is not None:
            self.ask("AUTH", *([at["username"]] if at["username"] else []), at["password"])

    def reply(self):
        self.left = LONGEST
        return self.nested(DEPTH)

    def nested(self, depth):
        line = self.stream.readline(self.left)
        self.left -= len(line)
        if not line.endswith(b"\r\n"):
            refuse("a line without its end")
        line = line[:-2].decode(errors="replace")
        kind, rest = line[:1], line[1:]
        if kind == "-":
            sys.exit("Redis answers " + rest)
        if kind == "*":
            if not depth:
                refuse("arrays in too many levels")
            return [self.nested(depth - 1) for _ in range(self.length(rest, ELEMENTS))]
        if kind == "$":
            if rest == "-1":
                return ""
            length = self.length(rest, self.left) + 2
            self.left -= length
            text = self.stream.read(length)
            if len(text) < length:
                refuse("a string that ends before")
            return text[:-2].decode(errors="replace")
        if kind not in ("+", ":"):
            refuse("another beginning")
        return rest

    def length(self, text, most):
        if len(text) > 7 or not text.isdecimal() or int(text) > most:
            refuse("the length " + text[:20])
        return int(text)

    def ask(self, *words):
        words = [word.encode() for word in words]
        parts = (b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self.stream.write(b"*%d\r\n" % len(words) + b"".join(parts))
        self.stream.flush()
        return self.reply()

    def converse(self, channel, question, due, timeout):
        due = set(due)
        self.ask("SUBSCRIBE", channel)
        Redis().ask("PUBLISH", channel, question)
        try:
            within(timeout)
            while due:
                due.discard(" ".join(self.reply()[-1].split(" ")[:3]))
            within(0)
        except TimeoutError:
            pass
        return sorted(due)


try:
    within(at["timeout"])
    answer = Redis().converse(*at["converse"]) if at["converse"] else Redis().ask(*at["command"])
    within(0)
except OSError as error:
    sys.exit(str(error))
print(json.dumps([str(word) for word in answer] if isinstance(answer, list) else [answer]))
