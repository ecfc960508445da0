#!/usr/bin/env python3
"""An authority that refuses every order because of a rate limit: `acme_limits.py PORT CERTIFICATE KEY`.

It speaks as much of ACME (RFC 8555) as certbot needs until then, and verifies no signature. Prints a line for each order.
"""

import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DETAIL = "too many certificates already issued for this exact set of identifiers, retry after 2026-12-24 18:00:00 UTC"


class Authority(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        base = f"https://{self.headers['Host']}"
        self.answer(200, {name: f"{base}/{name}" for name in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")})

    def do_HEAD(self) -> None:
        self.answer(200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/newAccount":
            self.answer(201, {"status": "valid"}, Location=f"https://{self.headers['Host']}/account/1")
        else:
            print("order", flush=True)
            self.answer(429, {"type": "urn:ietf:params:acme:error:rateLimited", "detail": DETAIL, "status": 429},
                        kind="application/problem+json")

    def answer(self, status: int, body: Any = None, kind: str = "application/json", **headers: str) -> None:
        text = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(text)), "Replay-Nonce": "bm9uY2U", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Only orders are printed."""


def main(port: str, certificate: str, key: str) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Authority)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("up", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
