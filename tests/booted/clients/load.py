#!/usr/bin/env python3
"""A bounded mixed load by logged-in users: a fixed number of requests in a fixed mix, as fast as answered or at a rate.

    load.py BASE_URL --state FILE --prepare [--users N] [--room-size M]    registers users, makes rooms, saves them
    load.py BASE_URL --state FILE --count K [--rate R] [--only KIND]       exactly K requests
    load.py BASE_URL --state FILE --seconds S --rate R                     S times R requests

Prints one JSON object; exits 1 when a request failed. Without a state file users are prepared first. The same state and
count make the same requests, user by user, in the same order; a run leaves its sync tokens in the state for the next.
A user has two connections, like a client: one long-polls, one does the rest.
"""

import argparse
import itertools
import json
import random
import re
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from http_connection import HttpConnection
from matrix import API, Client, Record

# Of 100 requests, this many of each kind.
MIX = {
    "sync": 20, "long_poll": 10, "send": 15, "messages": 10, "keys_query": 10,
    "profile": 10, "joined_rooms": 10, "members": 10, "versions": 5,
}
POLL_MS = 1000
NEXT_BATCH = re.compile(rb'"next_batch":"([^"]+)"')
EXAMPLES = 10


def prepare(base_url: str, users: int = 20, room_size: int = 10) -> dict[str, Any]:
    """Registers users with device keys and puts them into rooms of `room_size` with some messages; returns the state."""
    record = Record()
    names = [f"load{record.run}n{number}" for number in range(users)]
    rooms = [names[at:at + room_size] for at in range(0, users, room_size)]
    with ThreadPoolExecutor(4) as pool:
        groups = list(pool.map(lambda members: prepare_room(base_url, record, members), rooms))
    return {"run": record.run, "users": [user for group in groups for user in group]}


def prepare_room(base_url: str, record: Record, names: list[str]) -> list[dict[str, Any]]:
    """One room and its members; the first makes it, all write into it."""
    clients = [Client(base_url, record) for _ in names]
    room = None
    for client, name in zip(clients, names, strict=True):
        client.register(name, f"secret {name}")
        keys = {"user_id": client.user, "device_id": client.device, "algorithms": ["m.megolm.v1.aes-sha2"],
                "keys": {f"ed25519:{client.device}": "A" * 43}, "signatures": {}}
        client.post("/keys/upload", body={"device_keys": keys})
        if room:
            client.post("/join/{}", room, body={})
        else:
            room = client.post("/createRoom", body={"preset": "public_chat", "name": f"room of {name}"})["room_id"]
        for number in range(2):
            client.put("/rooms/{}/send/m.room.message/{}", room, f"prepare{number}", body={"msgtype": "m.text", "body": "hello"})
    prepared = []
    for client, neighbour in zip(clients, clients[1:] + clients[:1], strict=True):
        since = client.sync()["next_batch"]
        prepared.append({"user": client.user, "token": client.token, "room": room, "neighbour": neighbour.user,
                         "sync": since, "long_poll": since})
        client.close()
    return prepared


def kinds() -> Iterator[str]:
    """The endless sequence of kinds: every hundred in the mix, each shuffled its own but always the same way."""
    for hundred in itertools.count():
        block = [kind for kind, share in MIX.items() for _ in range(share)]
        random.Random(hundred).shuffle(block)
        yield from block


def request_of(kind: str, user: dict[str, Any], label: str) -> tuple[str, str, bytes | None]:
    """Method, path and body of one request; `label` is unique in all runs, for transactions."""
    room, neighbour = quote(user["room"], safe=""), quote(user["neighbour"], safe="")
    match kind:
        case "sync" | "long_poll":
            wait = POLL_MS if kind == "long_poll" else 0
            return "GET", f"{API}/sync?timeout={wait}&since={quote(user[kind], safe='')}", None
        case "send":
            return "PUT", f"{API}/rooms/{room}/send/m.room.message/{label}", b'{"msgtype":"m.text","body":"load"}'
        case "messages":
            return "GET", f"{API}/rooms/{room}/messages?dir=b&limit=20", None
        case "keys_query":
            return "POST", f"{API}/keys/query", json.dumps({"device_keys": {user["neighbour"]: []}}).encode()
        case "profile":
            return "GET", f"{API}/profile/{neighbour}", None
        case "joined_rooms":
            return "GET", f"{API}/joined_rooms", None
        case "members":
            return "GET", f"{API}/rooms/{room}/members", None
        case "versions":
            return "GET", "/_matrix/client/versions", None
    raise ValueError(f"no such kind of request: {kind}")


@dataclass
class Lane:
    """One connection of one user and the requests it is to send, each with the second it is due."""

    wire: HttpConnection
    user: dict
    jobs: list = field(default_factory=list)
    seconds: dict = field(default_factory=dict)
    failures: list = field(default_factory=list)
    late: float = 0.0

    def work(self, host: str, run_label: str, begun: float, stop: threading.Event) -> None:
        """Sends all jobs in order; a job that is late is sent at once."""
        for number, kind, due in self.jobs:
            if stop.wait(max(0.0, begun + due - time.monotonic())):
                return
            method, path, body = request_of(kind, self.user, f"{run_label}-{number}")
            head = (f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: load-{run_label}-{number}\r\n"
                    f"Authorization: Bearer {self.user['token']}\r\n")
            if body is not None:
                head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            sent = time.monotonic()
            self.late = max(self.late, sent - begun - due)
            try:
                status, answer = self.wire.exchange(head.encode() + b"\r\n" + (body or b""))
            except OSError as error:
                status, answer = 0, repr(error).encode()
            self.seconds.setdefault(kind, []).append(time.monotonic() - sent)
            token = NEXT_BATCH.search(answer) if kind in self.user else None
            if 200 <= status < 300 and (token or kind not in self.user):
                if token:
                    self.user[kind] = token[1].decode()
                continue
            self.failures.append({
                "kind": kind, "method": method, "path": path, "status": status, "marker": f"load-{run_label}-{number}",
                "at": round(sent - begun, 3), "body": answer[:300].decode(errors="replace")})


def lanes_of(address: tuple[str, int], users: list[dict[str, Any]], count: int, rate: float, sequence: Iterator[str]) -> list[Lane]:
    """Deals `count` requests to the users in turn, long polls on a connection of their own."""
    plain = [Lane(HttpConnection(*address), user) for user in users]
    polls = [Lane(HttpConnection(*address), user) for user in users]
    for number, kind in enumerate(itertools.islice(sequence, count)):
        lane = (polls if kind == "long_poll" else plain)[number % len(users)]
        lane.jobs.append((number, kind, number / rate if rate else 0.0))
    return [lane for lane in plain + polls if lane.jobs]


def run(base_url: str, state: dict[str, Any], count: int, rate: float = 0.0, stop: threading.Event | None = None,
        only: str | None = None) -> dict[str, Any]:
    """Sends `count` requests, at `rate` a second or as fast as they are answered; returns the report.

    `stop`, a threading.Event, ends the run early. `only` is a kind of request that takes the place of the mix. Changes the
    sync tokens in `state`.
    """
    url = urlsplit(base_url)
    stop = stop or threading.Event()
    run_label = f"{state['run']}-{time.time_ns():x}"
    lanes = lanes_of((url.hostname or "", url.port or 80), state["users"], count, rate, itertools.repeat(only) if only else kinds())
    cpu, begun = time.process_time(), time.monotonic()
    threads = [threading.Thread(target=lane.work, args=(url.netloc, run_label, begun, stop), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - begun
    for lane in lanes:
        lane.wire.close()
    return report(lanes, elapsed, rate) | {"client_cpu_seconds": round(time.process_time() - cpu, 3)}


def p99(values: list[float]) -> float:
    """The value of sorted ones that 99 % do not exceed."""
    return values[int(0.99 * (len(values) - 1))]


def report(lanes: list[Lane], elapsed: float, rate: float) -> dict[str, Any]:
    """A run in numbers: requests and milliseconds by kind, failures with the first examples in order of time."""
    seconds = {kind: sorted(itertools.chain.from_iterable(lane.seconds.get(kind, ()) for lane in lanes)) for kind in MIX}
    failures = sorted((failure for lane in lanes for failure in lane.failures), key=lambda failure: failure["at"])
    total = sum(map(len, seconds.values()))
    # A long poll takes as long as there is no news.
    prompt = sorted(itertools.chain.from_iterable(all_ for kind, all_ in seconds.items() if kind != "long_poll"))
    return {
        "requests": {kind: len(all_) for kind, all_ in seconds.items()},
        "total": total,
        "failed": len(failures),
        "failures": failures[:EXAMPLES],
        "reconnected": sum(lane.wire.reopened + lane.wire.unread for lane in lanes),
        "seconds": round(elapsed, 3),
        "requests_per_second": round(total / elapsed, 1),
        "p99_ms": round(1000 * p99(prompt), 1) if prompt else None,
        "late_ms": round(1000 * max(lane.late for lane in lanes)) if rate else None,
        "latency_ms": {kind: {
            "median": round(1000 * statistics.median(all_), 1),
            "p99": round(1000 * p99(all_), 1),
            "max": round(1000 * all_[-1], 1),
        } for kind, all_ in seconds.items() if all_},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base_url", help="where the homeserver's clients reach it, as http://127.0.0.1:8008")
    parser.add_argument("--state", type=Path, help="file with the prepared users; made if it is missing")
    parser.add_argument("--prepare", action="store_true", help="only prepare users")
    parser.add_argument("--users", type=int, default=20, help="how many users to prepare")
    parser.add_argument("--room-size", type=int, default=10, help="members of each prepared room")
    parser.add_argument("--count", type=int, help="how many requests to send")
    parser.add_argument("--seconds", type=float, help="how long to send, at --rate")
    parser.add_argument("--only", choices=MIX, metavar="KIND", help="send requests of this kind only: " + ", ".join(MIX))
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; without it as fast as answered")
    options = parser.parse_args()
    count = options.count
    if options.seconds and options.rate and not count:
        count = round(options.seconds * options.rate)
    if not count and not options.prepare:
        parser.error("needs --count, or --seconds with --rate, or --prepare")
    if options.prepare and not options.state:
        parser.error("--prepare needs --state, the file to keep the users in")

    known = options.state and options.state.exists()
    state = json.loads(options.state.read_text(encoding="utf-8")) if known else prepare(
        options.base_url, options.users, options.room_size)
    result = {"prepared": len(state["users"])} if options.prepare else run(options.base_url, state, count, options.rate, only=options.only)
    if options.state:
        options.state.write_text(json.dumps(state), encoding="utf-8")
    print(json.dumps(result, indent=1))
    return 1 if result.get("failed") else 0


if __name__ == "__main__":
    sys.exit(main())
