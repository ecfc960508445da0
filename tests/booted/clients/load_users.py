"""Users with their clients: each long-polls on one connection and sends its other requests on another.

They speak HTTP as `http_connection` does and ask nothing twice. Every answer is looked at; one that is not right is a failure.
"""

import itertools
import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from http_connection import HttpConnection
from matrix import API, of_room
from request_log import Message, RequestLog

# The number of requests of each kind in 100 requests of an active user, long polls excepted.
MIX = {
    "send": 22, "to_device": 6, "typing": 8, "receipt": 8, "messages": 8, "context": 8, "keys_query": 10, "upload": 4,
    "download": 6, "sliding_sync": 6, "profile": 6, "members": 4, "joined_rooms": 4,
}
POLL_SECONDS = 30
# The timeout of clients: Element ends a long poll 80 s after its answer was due.
CLIENT_TIMEOUT = 80
# Seconds between a failed long poll and the next one.
BREATH = 1.0
FILTER = json.dumps({"room": {"timeline": {"limit": 50}}}, separators=(",", ":"))
SLIDING = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0"
WINDOW = {"conn_id": "load", "lists": {"all": {"ranges": [[0, 9]], "required_state": [], "timeline_limit": 5}}}
NAME = "test.label"


class User:
    """One user of a prepared state (see `load.prepare`); `neighbours` are the users of the room, including this one."""

    def __init__(self, address: tuple[str, int], state: dict[str, Any], neighbours: list[str], ledger: RequestLog, run: str) -> None:
        self.user, self.room, self.token, self.since = state["user"], state["room"], state["token"], state["long_poll"]
        self.neighbours, self.ledger, self.run = neighbours, ledger, run
        self.host = f"{address[0]}:{address[1]}"
        self.plain = HttpConnection(*address, timeout=CLIENT_TIMEOUT)
        self.poll = HttpConnection(*address, timeout=POLL_SECONDS + CLIENT_TIMEOUT)
        # Random choices are the same in each run. Messages have labels that no other run has.
        self.random, self.numbers = random.Random(self.user.partition("n")[2]), itertools.count(1)
        self.event = self.media = self.position = None

    def ask(self, wire: HttpConnection, kind: str, method: str, path: str, body: Any = None,
            right: Callable[[Any], Any] = lambda answer: True, binary: bool = False, waits: bool = True) -> Any:
        """One request. Returns its answer, or None for one that failed; `right` looks at it."""
        number, begun = self.ledger.sent(waits), time.monotonic()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.token}\r\n"
        if body is not None:
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            content_type = "application/octet-stream" if kind == "upload" else "application/json"
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        status, answer, error = 0, None, ""
        try:
            status, raw = wire.exchange(head.encode() + b"\r\n" + (body or b""))
            answer = raw if binary else json.loads(raw)
            if status != 200 or not right(answer):
                error = raw[:300].decode(errors="replace") or "nothing"
        except OSError as caught:
            error = str(caught)
        except (ValueError, KeyError, TypeError) as caught:
            error = f"{caught!r}: {raw[:200]!r}"
        self.ledger.ended(number, (kind, method, path), status, error, time.monotonic() - begun)
        return None if error else answer

    def live(self, interval: float, stopped: threading.Event) -> None:
        """Sends one request after the other, every `interval` seconds on average."""
        todo = []
        while not stopped.wait(self.random.uniform(0, 2 * interval)):
            if not todo:
                todo = self.random.sample(list(MIX), counts=MIX.values(), k=sum(MIX.values()))
            getattr(self, todo.pop())()

    def listen(self, ending: threading.Event, complete: threading.Event) -> None:
        """Long-polls, with a shorter timeout from `ending` on, until all expected messages are known (`complete`) and received."""
        while not complete.is_set() or self.ledger.misses(self.user):
            wait = 1 if ending.is_set() else POLL_SECONDS
            since = self.since
            answer = self.ask(self.poll, "sync", "GET", f"{API}/sync?timeout={wait * 1000}&since={quote(since, safe='')}"
                              f"&filter={quote(FILTER, safe='')}", right=lambda answer: answer["next_batch"], waits=False)
            if answer is None:
                time.sleep(BREATH)
                continue
            self.since = answer["next_batch"]
            self.ledger.moved(self.user, since, self.since)
            room = answer.get("rooms", {}).get("join", {}).get(self.room, {}).get("timeline", {})
            self.hear(of_room(answer, self.room))
            if room.get("limited"):
                self.fill(room["prev_batch"], since)
            for event in answer.get("to_device", {}).get("events", []):
                self.ledger.got(self.user, event["content"][NAME])

    def fill(self, begin: str | None, end: str) -> None:
        """Reads the events that a sync left out between its `since` and its timeline, as clients do."""
        while begin:
            answer = self.page(self.poll, "gap", begin, end)
            if answer is None:
                time.sleep(BREATH)
                continue
            self.hear(answer["chunk"])
            begin = answer.get("end") if answer["chunk"] else None

    def hear(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            if NAME in event["content"]:
                self.event = event["event_id"]
                self.ledger.got(self.user, event["content"][NAME])

    def page(self, wire: HttpConnection, kind: str, begin: str | None = None, end: str | None = None, limit: int = 100) -> Any:
        """One page of the room's messages, from the newest to older ones."""
        query = "".join(f"&{name}={quote(token, safe='')}" for name, token in (("from", begin), ("to", end)) if token)
        return self.ask(wire, kind, "GET", f"{self.in_room('messages')}?dir=b&limit={limit}{query}",
                        right=lambda answer: isinstance(answer["chunk"], list))

    def read_back(self) -> bool:
        """Counts all messages of the room; returns False after a failure."""
        begin = None
        while answer := self.page(self.plain, "read back", begin):
            for event in answer["chunk"]:
                if NAME in event["content"]:
                    self.ledger.stored["", event["content"][NAME]] += 1
            begin = answer.get("end")
            if not begin or not answer["chunk"]:
                return True
        return False

    def in_room(self, *parts: str) -> str:
        return f"{API}/rooms/" + "/".join(quote(part, safe="") for part in (self.room, *parts))

    def deliver(self, kind: str, path: str, body: Callable[[str], Any], room: str, readers: list[str]) -> None:
        """Sends a message in its own transaction, and records it once the server has accepted it."""
        label, begun = f"{self.run}-{self.user.partition(':')[0][1:]}-{next(self.numbers)}", time.monotonic()
        right = (lambda answer: answer["event_id"]) if room else (lambda answer: answer == {})
        if self.ask(self.plain, kind, "PUT", f"{path}/{label}", body(label), right) is not None:
            self.ledger.taken(label, Message(kind, room, readers, begun, ""))

    def send(self) -> None:
        self.deliver("send", self.in_room("send", "m.room.message"), lambda label: {
            "msgtype": "m.text", "body": "load", NAME: label}, self.room, self.neighbours)

    def to_device(self) -> None:
        reader = self.random.choice(self.neighbours)
        self.deliver("to_device", f"{API}/sendToDevice/test.message", lambda label: {
            "messages": {reader: {"*": {NAME: label}}}}, "", [reader])

    def typing(self) -> None:
        self.ask(self.plain, "typing", "PUT", self.in_room("typing", self.user), {"typing": True, "timeout": 5000})

    def receipt(self) -> None:
        if self.event:
            self.ask(self.plain, "receipt", "POST", self.in_room("receipt", "m.read", self.event), {})

    def messages(self) -> None:
        self.page(self.plain, "messages", limit=20)

    def context(self) -> None:
        if event := self.event:
            self.ask(self.plain, "context", "GET", f"{self.in_room('context', event)}?limit=6",
                     right=lambda answer: answer["event"]["event_id"] == event)

    def keys_query(self) -> None:
        self.ask(self.plain, "keys_query", "POST", f"{API}/keys/query", {"device_keys": {user: [] for user in self.neighbours}},
                 right=lambda answer: set(answer["device_keys"]) == set(self.neighbours))

    def upload(self) -> None:
        content = self.random.randbytes(self.random.randint(1_000, 60_000))
        answer = self.ask(self.plain, "upload", "POST", "/_matrix/media/v3/upload", content,
                          right=lambda answer: answer["content_uri"])
        if answer:
            self.media = answer["content_uri"].removeprefix("mxc://"), content

    def download(self) -> None:
        if self.media:
            path, content = self.media
            self.ask(self.plain, "download", "GET", f"/_matrix/client/v1/media/download/{path}", binary=True,
                     right=lambda answer: answer == content)

    def sliding_sync(self) -> None:
        position = f"&pos={quote(self.position, safe='')}" if self.position else ""
        answer = self.ask(self.plain, "sliding_sync", "POST", SLIDING + position, WINDOW, right=lambda answer: answer["pos"])
        if answer:
            self.position = answer["pos"]

    def profile(self) -> None:
        self.ask(self.plain, "profile", "GET", f"{API}/profile/{quote(self.random.choice(self.neighbours), safe='')}")

    def members(self) -> None:
        self.ask(self.plain, "members", "GET", self.in_room("members"),
                 right=lambda answer: set(self.neighbours) <= {event["state_key"] for event in answer["chunk"]})

    def joined_rooms(self) -> None:
        self.ask(self.plain, "joined_rooms", "GET", f"{API}/joined_rooms",
                 right=lambda answer: self.room in answer["joined_rooms"])
