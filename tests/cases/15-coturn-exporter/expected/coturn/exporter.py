"""Tells Prometheus how much coturn relays. Made by synapse-workers.

A coturn that was built without Prometheus, as Debian's is, has no metrics of its own. The kernel knows its sockets, and
each relay is one. Arguments: the port to answer on, coturn's user, its own ports for clients, the first and the last port
for relays.
"""

import http.server
import pwd
import sys

ESTABLISHED = "01"


def sockets(protocol, uid):
    """Local port and state of each socket of a user (proc_pid_net(5))."""
    for path in (f"/proc/net/{protocol}", f"/proc/net/{protocol}6"):
        try:
            with open(path, encoding="ascii") as file:
                lines = file.read().splitlines()[1:]
        except FileNotFoundError:
            continue
        for fields in map(str.split, lines):
            if int(fields[7]) == uid:
                yield int(fields[1].rpartition(":")[2], 16), fields[3]


def metrics(user, clients, first, last):
    """The page; the first name is that of coturn's own metrics."""
    uid = pwd.getpwnam(user).pw_uid
    relays = sum(first <= port <= last for port, _ in sockets("udp", uid))
    connections = sum(port in clients and state == ESTABLISHED for port, state in sockets("tcp", uid))
    return "".join((
        "# HELP turn_total_allocations Relays in use.\n# TYPE turn_total_allocations gauge\n",
        'turn_total_allocations{type="UDP"} %d\n' % relays,
        "# HELP turn_relay_ports Ports for relays, which is how many can be in use.\n# TYPE turn_relay_ports gauge\n",
        f"turn_relay_ports {last - first + 1}\n",
        "# HELP turn_client_connections Clients that are connected over TCP or TLS.\n# TYPE turn_client_connections gauge\n",
        f"turn_client_connections {connections}\n",
    ))


class Handler(http.server.BaseHTTPRequestHandler):
    page = None

    def do_GET(self):
        if self.path != "/metrics":
            self.send_error(404)
            return
        body = self.page().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """One request every few seconds is nothing to log."""


def main(port, user, clients, first, last):
    clients = {int(client) for client in clients.split(",")}
    Handler.page = staticmethod(lambda: metrics(user, clients, int(first), int(last)))
    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
