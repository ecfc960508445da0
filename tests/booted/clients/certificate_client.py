#!/usr/bin/env python3
"""Continuous HTTPS requests while the certificate changes: `certificate_client.py PORT NAME AUTHORITY SERIAL SECONDS`.

Each request has a connection of its own, verified against the authority. Ends when the server shows the certificate of
that serial number, or with `other` a second certificate; prints how many requests were answered. Fails at the first that
is not, or when the time is over.
"""

import http.client
import socket
import ssl
import sys
import time


def main(port: str, name: str, authority: str, serial: str, seconds: str) -> int | str:
    context = ssl.create_default_context(cafile=authority)
    deadline, answered = time.monotonic() + float(seconds), 0
    seen: set[int] = set()

    def is_shown() -> bool:
        return len(seen) > 1 if serial == "other" else int(serial, 16) in seen

    while not is_shown():
        if time.monotonic() > deadline:
            return f"still another certificate after {answered} requests: {[hex(one) for one in seen]}"
        with context.wrap_socket(socket.create_connection(("127.0.0.1", int(port)), 10), server_hostname=name) as wire:
            seen.add(int(wire.getpeercert()["serialNumber"], 16))
            wire.sendall(f"GET /_matrix/client/versions HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            answer = http.client.HTTPResponse(wire)
            answer.begin()
            answer.read()
        if answer.status != 200:
            return f"status {answer.status} after {answered} requests"
        answered += 1
        if answered == 1:
            print("begun", flush=True)
    print(f"{answered} requests, {len(seen)} certificates")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
