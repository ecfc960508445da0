#!/usr/bin/env python3
"""A stand-in for the Matrix Authentication Service: `mas_stand_in.py ADDRESS PORT SYNAPSE_URL SERVER_NAME SECRET_FILE`.

No distribution packages the real one. This one speaks the part of its protocol that this server meets: its metadata, token
introspection with the shared secret, login, logout and refresh as its compatibility layer has them, and requests to
Synapse's API below /_synapse/mas/ that make users and devices. It keeps everything in memory and checks nothing else.

Tests steer it at paths that the real one does not have:

    POST /stand-in/user {"name", "password"}  makes the user and a device in Synapse, and returns a token
    POST /stand-in/token {"name"}             returns another token for the same user and device
    POST /stand-in/adopt {"name", "token"}    makes a token of Synapse valid, as a migration with syn2mas does
    POST /stand-in/ask {"path", "body"}       sends Synapse a request with the shared secret, and returns status and body
    GET  /stand-in/seen                       returns the number of requests, by path without its version
"""

import json
import secrets
import sys
import threading
import urllib.error
import urllib.request
import zlib
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import ascii_letters, digits
from typing import Any
from urllib.parse import parse_qs

# The time for which an access token is valid, in seconds.
LIFETIME = 300
Answer = tuple[int, dict[str, Any]]


def new_token(kind: str) -> str:
    """A token in the form of the real service: 30 random characters and a checksum, which nobody here checks."""
    random = "".join(secrets.choice(ascii_letters + digits) for _ in range(30))
    return f"{kind}_{random}_{zlib.crc32(random.encode()) % 10**6:06}"


class State:
    """Users with their devices and tokens, and the homeserver to which they belong."""

    def __init__(self, synapse: str, server: str, secret: str) -> None:
        self.synapse, self.server, self.secret = synapse.rstrip("/"), server, secret
        self.passwords: dict[str, str] = {}
        self.devices: dict[str, str] = {}
        # User and device of each token that is valid.
        self.tokens: dict[str, tuple[str, str | None]] = {}
        self.refresh: dict[str, tuple[str, str | None]] = {}
        self.seen: Counter[str] = Counter()
        self.lock = threading.Lock()

    def ask(self, path: str, body: dict[str, Any] | None) -> Answer:
        """Sends Synapse a request with the shared secret: a POST if there is a body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.synapse}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, {"error": error.read().decode(errors="replace")}

    def demand(self, path: str, body: dict[str, Any]) -> None:
        status, answer = self.ask(path, body)
        if status not in (200, 201, 204):
            raise RuntimeError(f"Synapse answers {status} to {path}: {answer}")

    def add_user(self, name: str, password: str) -> dict[str, Any]:
        self.demand("/_synapse/mas/provision_user", {"localpart": name, "set_displayname": name.title()})
        self.passwords[name] = password
        return self.log_in(name)

    def log_in(self, name: str) -> dict[str, Any]:
        """Makes a device and its first tokens."""
        self.devices[name] = secrets.token_hex(5).upper()
        self.demand("/_synapse/mas/upsert_device", {"localpart": name, "device_id": self.devices[name], "display_name": "stand-in"})
        return self.issue(name, self.devices[name])

    def issue(self, name: str, device: str | None) -> dict[str, Any]:
        access, refresh = new_token("mat"), new_token("mar")
        self.tokens[access] = self.refresh[refresh] = (name, device)
        return {"user_id": f"@{name}:{self.server}", "device_id": device, "access_token": access, "refresh_token": refresh,
                "expires_in_ms": LIFETIME * 1000}

    def introspect(self, token: str) -> dict[str, Any]:
        """RFC 7662, with the claims that Synapse reads (api/auth/mas.py)."""
        if token not in self.tokens:
            return {"active": False}
        name, device = self.tokens[token]
        scope = "urn:matrix:client:api:*" + (f" urn:matrix:client:device:{device}" if device else "")
        return {"active": True, "scope": scope, "username": name, "sub": f"stand-in-{name}", "expires_in": LIFETIME}

    def log_out(self, token: str) -> None:
        name, device = self.tokens[token]
        gone = [one for one, owner in self.tokens.items() if owner == (name, device)]
        for one in gone:
            del self.tokens[one]
        self.demand("/_synapse/mas/delete_device", {"localpart": name, "device_id": device})


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    state: State

    def do_GET(self) -> None:
        self.respond()

    def do_POST(self) -> None:
        self.respond()

    def log_message(self, *_: Any) -> None:
        """Prints nothing, because request lines may contain tokens."""

    def respond(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        path = self.path.split("?")[0]
        if path.startswith("/_matrix/client/"):
            path = "/" + path.split("/", 4)[4]
        with self.state.lock:
            self.state.seen[path] += 1
        try:
            status, answer = self.answer(path, body)
        except (KeyError, ValueError, RuntimeError, OSError) as error:
            status, answer = 500, {"errcode": "M_UNKNOWN", "error": f"{type(error).__name__}: {error}"}
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        # Marks the answers of this process for the tests.
        self.send_header("X-Stand-In", "mas")
        self.end_headers()
        self.wfile.write(data)

    def answer(self, path: str, body: str) -> Answer:
        state, is_post = self.state, self.command == "POST"
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        forbidden = 403, {"errcode": "M_FORBIDDEN", "error": "wrong password or secret"}
        unknown = 401, {"errcode": "M_UNKNOWN_TOKEN", "error": "unknown token"}
        if path == "/.well-known/openid-configuration":
            base = "https://auth.example.test/"
            return 200, {"issuer": base, "account_management_uri": f"{base}account/", "token_endpoint": f"{base}oauth2/token",
                         "introspection_endpoint": f"{base}oauth2/introspect"}
        if path == "/oauth2/introspect" and is_post:
            return (200, state.introspect(parse_qs(body)["token"][0])) if token == state.secret else forbidden
        if path == "/login" and not is_post:
            return 200, {"flows": [{"type": "m.login.password"}]}
        if path == "/login":
            asked = json.loads(body)
            name = asked["identifier"]["user"]
            return (200, state.log_in(name)) if state.passwords.get(name) == asked["password"] else forbidden
        if path in ("/logout", "/logout/all") and is_post:
            if token not in state.tokens:
                return unknown
            state.log_out(token)
            return 200, {}
        if path == "/refresh" and is_post:
            owner = state.refresh.pop(json.loads(body)["refresh_token"], None)
            return (200, state.issue(*owner)) if owner else unknown
        if path.startswith("/stand-in/"):
            return self.steered(path.removeprefix("/stand-in/"), json.loads(body or "{}"))
        return 404, {"errcode": "M_UNRECOGNIZED", "error": "the stand-in does not serve this"}

    def steered(self, verb: str, asked: dict[str, Any]) -> Answer:
        state = self.state
        if verb == "user":
            return 200, state.add_user(asked["name"], asked["password"])
        if verb == "token":
            return 200, state.issue(asked["name"], state.devices[asked["name"]])
        if verb == "adopt":
            state.tokens[asked["token"]] = (asked["name"], None)
            return 200, {}
        if verb == "ask":
            status, answer = state.ask(asked["path"], asked.get("body"))
            return 200, {"status": status, "body": answer}
        return 200, dict(state.seen)


def main(address: str, port: str, synapse: str, server: str, secret_file: str) -> None:
    Handler.state = State(synapse, server, Path(secret_file).read_text(encoding="utf-8").strip())
    ThreadingHTTPServer((address, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
