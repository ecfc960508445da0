#!/usr/bin/env python3
"""Users who use a homeserver while another program disturbs it: `load_driver.py BASE_URL`.

Says `{"phase": "ready"}` once its users are there and at work. Then it takes commands, a line each: `mark NAME` begins a
phase and prints the figures of the one before, once all that was on its way when the command came is there; `end` stops,
lets every message arrive, reads all of them back, and prints the figures of the last phase and of the whole. Its exit code
is 1 if anything failed.

Active users do the work of people at a computer. Quiet ones only long-poll in rooms without messages, so that their polls
hang for as long as they may.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import load
from load_users import User
from request_log import RequestLog

# Seconds after which a message counts as late, and at the end as lost.
ARRIVAL = 30


def busy_seconds() -> float:
    """CPU seconds that this machine has used."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = list(map(int, file.readline().split()[1:9]))
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


class LoadDriver:
    """The active users."""

    def __init__(self, base_url: str, active: int, quiet: int, room_size: int, rate: float) -> None:
        url = urlsplit(base_url)
        address = url.hostname or "", url.port or 80
        groups = [load.prepare(base_url, count, room_size) for count in (active, quiet) if count]
        rooms: dict[str, list[str]] = {}
        for group in groups:
            for user in group["users"]:
                rooms.setdefault(user["room"], []).append(user["user"])
        self.ledger = RequestLog()
        self.stopped, self.ending, self.complete = threading.Event(), threading.Event(), threading.Event()
        self.users = [User(address, user, rooms[user["room"]], self.ledger, group["run"])
                      for group in groups for user in group["users"]]
        self.at_work = [self._thread(user.live, active / rate, self.stopped) for user in self.users[:active]]
        self.listening = [self._thread(user.listen, self.ending, self.complete) for user in self.users]
        self._meter()

    def _thread(self, work: Callable[..., None], *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        return thread

    def _meter(self) -> None:
        self.metered = time.monotonic(), busy_seconds(), time.process_time()

    def mark(self, name: str) -> dict[str, Any]:
        figures = self.ledger.mark(name, ARRIVAL)
        begun, busy, own = self.metered
        self._meter()
        seconds = self.metered[0] - begun
        # The share of all cores that was busy, and the share of this client.
        figures["busy"] = round((self.metered[1] - busy) / seconds / (os.cpu_count() or 1), 2)
        figures["client"] = round((self.metered[2] - own) / seconds / (os.cpu_count() or 1), 2)
        return figures

    def end(self) -> dict[str, Any]:
        """Stops the users, waits until every message has arrived, and returns the figures of the last phase."""
        self.stopped.set()
        for thread in self.at_work:
            thread.join()
        # One more message in every room ends the pending long polls of quiet rooms.
        self.ending.set()
        for speaker in self._speakers():
            speaker.send()
        self.complete.set()
        figures = self.mark("read back")
        for thread in self.listening:
            thread.join()
        return figures

    def _speakers(self) -> Iterable[User]:
        """One user of each room."""
        return {user.room: user for user in self.users}.values()

    def whole(self) -> dict[str, Any]:
        """Reads all messages back; returns the figures of all phases together."""
        unread = [speaker.room for speaker in self._speakers() if not speaker.read_back()]
        phases = self.ledger.phases
        wires = [wire for user in self.users for wire in (user.plain, user.poll)]
        return {
            "phase": "all", "seconds": round(time.monotonic() - self.ledger.begun, 1),
            "sent": sum(phase.answered + phase.failed for phase in phases),
            "answered": sum(phase.answered for phase in phases), "failed": sum(phase.failed for phase in phases),
            "reopened": sum(wire.reopened for wire in wires), "unread": sum(wire.unread for wire in wires),
            "silence": round(max(phase.silence for phase in phases), 3), "rooms_not_read_back": unread, **self.ledger.balance(),
        }


def broken(what: threading.ExceptHookArgs) -> None:
    """Reports errors of this program, because a user that has stopped would only be missing from the figures."""
    threading.__excepthook__(what)
    os._exit(70)


def say(figures: dict[str, Any]) -> None:
    print(json.dumps(figures), flush=True)


def main() -> int | str:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base_url", help="where the homeserver's clients reach it, as http://127.0.0.1:8008")
    parser.add_argument("--active", type=int, default=20, help="users who do something")
    parser.add_argument("--quiet", type=int, default=8, help="users who only wait for news")
    parser.add_argument("--room-size", type=int, default=4, help="members of each room")
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second of all active users, beside long polls")
    options = parser.parse_args()
    threading.excepthook = broken
    traffic = LoadDriver(options.base_url, options.active, options.quiet, options.room_size, options.rate)
    say({"phase": "ready"})
    for line in sys.stdin:
        command, _, name = line.strip().partition(" ")
        if command == "mark":
            say(traffic.mark(name))
        elif command == "end":
            say(traffic.end())
            whole = traffic.whole()
            say(whole)
            counts = (whole["sync"][what] + whole["messages"][what] for what in ("lost", "duplicated"))
            return 1 if whole["failed"] or whole["rooms_not_read_back"] or any(counts) else 0
        else:
            parser.error(f"no such command: {line!r}")
    return "the commands ended without `end`"


if __name__ == "__main__":
    sys.exit(main())
