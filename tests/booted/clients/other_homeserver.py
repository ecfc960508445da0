#!/usr/bin/env python3
"""Stands in for another homeserver: `other_homeserver.py ADDRESS PORT CERTIFICATE KEY LOG`.

It answers what tests have ours ask, and writes for each request a line: its path, and the process that sent it.
"""

import json
import re
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        host, port = self.client_address
        # The process at the other end of the connection.
        found = subprocess.run(["ss", "-Htnp", f"src {host}:{port}"], capture_output=True, text=True, check=True).stdout
        process = re.search(r"pid=([0-9]+)", found)
        path = self.path.partition("?")[0]
        with open(sys.argv[5], "a", encoding="utf-8") as log:
            log.write(f"{path} {process[1] if process else 0}\n")
        name = self.headers["Host"]
        answer = json.dumps({"room_id": f"!room:{name}", "servers": [name]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def main() -> None:
    server = ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
