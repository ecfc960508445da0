"""A small Matrix client for tests against a running homeserver.

Every request is one HTTP exchange whose path is sent byte for byte as given here, because routing by workers works on
the raw path. Every request has its own User-Agent (`probe-RUN-NUMBER`), which ends Synapse's "Processed request" line:
the journal with the marker is that of the process that answered. Reads after writes may meet a worker that
replication has not reached yet; they wait with `eventually` or `sync_until`.
"""

import http.client
import json
import os
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

API = "/_matrix/client/v3"
# The characters that encodeURIComponent, thus a client in a browser, does not encode in a path segment.
BROWSER_SAFE = "!~*'()"
# Answers of a read while the process has not yet received the write by replication: unknown, or forbidden.
NOT_YET = (200, 403, 404)
# A predicate on the JSON of an answer: true for the expected one.
Found = Callable[[dict[str, Any]], Any]
Query = dict[str, Any] | None
PAUSE = 0.05
DEADLINE = 30.0


class Unexpected(AssertionError):
    """An answer that the step does not expect; names method, path, status and body."""


@dataclass
class Answer:
    """One answered request; `status` 0 is none (connection cut, refused or timed out), and `body` then says why."""

    marker: str
    method: str
    path: str
    status: int
    body: bytes
    headers: dict
    seconds: float

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise self.unexpected("an answer in JSON") from None

    def unexpected(self, wanted: str) -> Unexpected:
        return Unexpected(f"{self.method} {self.path}: wanted {wanted}, got {self.status} {self.body[:2000]!r} ({self.marker})")


@dataclass
class Record:
    """All requests of one run, by any number of clients and threads, in the order of their answers."""

    run: str = field(default_factory=lambda: os.urandom(4).hex())
    step: str = ""
    entries: list = field(default_factory=list)
    issued: int = 0
    last: Answer | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def marker(self) -> str:
        with self.lock:
            self.issued += 1
            return f"probe-{self.run}-{self.issued}"

    def add(self, answer: Answer, ok: bool) -> None:
        self.last = answer
        self.entries.append({
            "marker": answer.marker, "method": answer.method, "path": answer.path, "status": answer.status,
            "seconds": round(answer.seconds, 6), "ok": ok, "step": self.step,
        })

    def save(self, file: Path) -> None:
        with open(file, "w", encoding="utf-8") as out:
            json.dump({"run": self.run, "requests": self.entries}, out, indent=1)


def assert_equal(got: Any, wanted: Any) -> None:
    """Like `assert got == wanted`, but the failure prints both sides."""
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


def of_room(sync: dict[str, Any], room: str, part: str = "timeline", membership: str = "join") -> list[Any]:
    """The events of one room in a sync; `part` is timeline, state, ephemeral, account_data or invite_state."""
    return sync.get("rooms", {}).get(membership, {}).get(room, {}).get(part, {}).get("events", [])


def eventually(read: Callable[[], Answer], found: Callable[[Answer], Any], seconds: float = DEADLINE) -> Any:
    """Repeats `read`, which returns an Answer, until `found` returns a true value for it; returns that value."""
    deadline = time.monotonic() + seconds
    while True:
        answer = read()
        value = found(answer)
        if value:
            return value
        if time.monotonic() > deadline:
            raise answer.unexpected(f"what the step waits for within {seconds:.0f} s")
        time.sleep(PAUSE)


class Client:
    """One user's persistent connection, for one thread at a time. `safe` are the characters that its paths leave unencoded."""

    def __init__(self, base_url: str, record: Record | None = None, safe: str = BROWSER_SAFE, timeout: float = 60) -> None:
        url = urlsplit(base_url)
        self.connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=timeout)
        self.record = record or Record()
        self.safe = safe
        self.user = self.device = ""
        self.token: str | None = None
        self.since: str | None = None

    def path(self, template: str, *segments: str, query: Query = None) -> str:
        """A raw path: `{}` filled with encoded segments, `/_matrix/client/v3` in front unless it starts with `/_` or `/.`."""
        path = template.format(*(quote(segment, safe=self.safe) for segment in segments))
        if not path.startswith(("/_", "/.")):
            path = API + path
        return f"{path}?{urlencode(query)}" if query else path

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json",
                expect: tuple[int, ...] = (200,)) -> Answer:
        """Sends one request to a raw path and records it; `body` is bytes, or a value that JSON can represent."""
        marker = self.record.marker()
        headers = {"User-Agent": marker}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["Content-Type"] = content_type
        begun = time.monotonic()
        try:
            self._drop_connection_closed_while_idle()
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
            status, content, answered = response.status, response.read(), dict(response.getheaders())
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            status, content, answered = 0, repr(error).encode(), {}
        answer = Answer(marker, method, path, status, content, answered, time.monotonic() - begun)
        self.record.add(answer, status in expect)
        if status not in expect:
            raise answer.unexpected(f"status {' or '.join(map(str, expect))}")
        return answer

    def _drop_connection_closed_while_idle(self) -> None:
        """A server may close an idle connection at any time; only one cut during a request is a fault."""
        if self.connection.sock and select.select([self.connection.sock], [], [], 0)[0]:
            self.connection.close()

    def fetch(self, template: str, *segments: str, query: Query = None) -> Answer:
        """A GET whose answer is not JSON."""
        return self.request("GET", self.path(template, *segments, query=query))

    def get(self, template: str, *segments: str, query: Query = None, expect: tuple[int, ...] = (200,)) -> Any:
        return self.request("GET", self.path(template, *segments, query=query), expect=expect).json()

    def put(self, template: str, *segments: str, body: Any, query: Query = None, expect: tuple[int, ...] = (200,)) -> Any:
        return self.request("PUT", self.path(template, *segments, query=query), body, expect=expect).json()

    def post(self, template: str, *segments: str, body: Any, query: Query = None, expect: tuple[int, ...] = (200,)) -> Any:
        return self.request("POST", self.path(template, *segments, query=query), body, expect=expect).json()

    def delete(self, template: str, *segments: str, body: Any = None, query: Query = None, expect: tuple[int, ...] = (200,)) -> Any:
        return self.request("DELETE", self.path(template, *segments, query=query), body, expect=expect).json()

    def await_get(self, template: str, *segments: str, found: Found, query: Query = None) -> Any:
        """Repeats a GET until `found` accepts its JSON; returns what `found` returned."""
        return self._await("GET", self.path(template, *segments, query=query), None, found)

    def await_post(self, template: str, *segments: str, body: Any, found: Found, query: Query = None,
                   not_yet: tuple[int, ...] = NOT_YET) -> Any:
        """Repeats a POST that is harmless to repeat until `found` accepts its JSON; returns what `found` returned."""
        return self._await("POST", self.path(template, *segments, query=query), body, found, not_yet)

    def _await(self, method: str, path: str, body: Any, found: Found, not_yet: tuple[int, ...] = NOT_YET) -> Any:
        return eventually(lambda: self.request(method, path, body, expect=not_yet),
                          lambda answer: answer.status == 200 and found(answer.json()))

    def await_refused(self, template: str, *segments: str, status: int) -> Any:
        """Repeats a GET that may still succeed until it is refused with `status`; returns that answer's JSON."""
        path = self.path(template, *segments)
        return eventually(lambda: self.request("GET", path, expect=(200, status)),
                          lambda answer: answer.status == status and answer.json())

    def register(self, name: str, password: str) -> dict[str, Any]:
        """Registers by the two requests of user-interactive authentication and stays logged in."""
        body = {"username": name, "password": password, "initial_device_display_name": "first"}
        session = self.post("/register", body=body, expect=(401,))["session"]
        return self._logged_in(self.post("/register", body=body | {"auth": {"type": "m.login.dummy", "session": session}}))

    def login(self, name: str, password: str) -> dict[str, Any]:
        """Logs in as a new device."""
        self.token = None
        identifier = {"type": "m.id.user", "user": name}
        return self._logged_in(self.post(
            "/login", body={"type": "m.login.password", "identifier": identifier, "password": password}))

    def _logged_in(self, answer: dict[str, Any]) -> dict[str, Any]:
        self.token, self.user, self.device = answer["access_token"], answer["user_id"], answer["device_id"]
        return answer

    def sync(self, wait: float = 0, **query: Any) -> dict[str, Any]:
        """One sync from the position of the last one, waiting at most `wait` seconds for new data."""
        if self.since:
            query["since"] = self.since
        answer = self.get("/sync", query={"timeout": int(wait * 1000), **query})
        self.since = answer["next_batch"]
        return answer

    def sync_until(self, found: Found, seconds: float = DEADLINE) -> Any:
        """Long-polls until `found` returns a true value for a sync, and returns it. Other data of these syncs is discarded."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = self.sync(wait=2)
            value = found(answer)
            if value:
                return value
        raise Unexpected(f"sync of {self.user}: not what the step waits for within {seconds:.0f} s, last {json.dumps(answer)[:2000]}")

    def close(self) -> None:
        self.connection.close()
