"""The requests of many users, their results, and whether every message arrived exactly once.

Time is cut into phases by `mark`. A request counts for the phase in which it ends: a long poll that is cut by a restart
began long before it.
"""

import itertools
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

EXAMPLES = 8
# How many syncs of each reader are remembered, as evidence for a message that did not arrive.
SYNCS = 60


@dataclass
class Phase:
    """Figures between two marks. `silence` is the longest time without a correct answer."""

    name: str
    begun: float = field(default_factory=time.monotonic)
    answered: int = 0
    failed: int = 0
    failures: list = field(default_factory=list)
    errors: Counter = field(default_factory=Counter)
    slowest: dict = field(default_factory=dict)
    silence: float = 0.0

    def figures(self) -> dict[str, Any]:
        seconds = time.monotonic() - self.begun
        slowest = dict(sorted(self.slowest.items(), key=lambda one: -one[1]))
        return {
            "phase": self.name, "seconds": round(seconds, 2), "sent": self.answered + self.failed, "answered": self.answered,
            "failed": self.failed, "errors": dict(self.errors.most_common()), "failures": self.failures,
            "rate": round(self.answered / seconds, 1), "silence": round(self.silence, 3),
            "slowest": {kind: round(value, 3) for kind, value in slowest.items()},
        }


@dataclass
class Message:
    """A message that the server has accepted, and its readers."""

    kind: str
    room: str
    readers: list
    sent: float
    phase: str


class RequestLog:
    """All requests and messages of one run; usable by any number of threads."""

    def __init__(self) -> None:
        self.begun = self.heard = time.monotonic()
        self.phases, self.flying, self.numbers = [Phase("start")], {}, itertools.count(1)
        self.changed = threading.Condition()
        self.messages, self.waiting = {}, {}
        # How often each user got each message by /sync, and how often /messages has it, by reader (there "") and label.
        self.synced, self.stored = Counter(), Counter()
        self.syncs: dict[str, deque] = {}

    def sent(self, waits: bool = True) -> int:
        """A number for a request that is sent now; `waits` unless the server may keep it waiting for news."""
        with self.changed:
            number = next(self.numbers)
            if waits:
                self.flying[number] = True
            return number

    def ended(self, number: int, request: tuple[str, str, str], status: int, error: str = "", seconds: float = 0.0) -> None:
        """Records the result of a request; `request` is its kind, method and path, `error` why it failed if it did."""
        kind, method, path = request
        with self.changed:
            now, phase = time.monotonic(), self.phases[-1]
            waited = self.flying.pop(number, False)
            if error:
                phase.failed += 1
                phase.errors[f"{kind}: {status or error.splitlines()[0]}"] += 1
                if len(phase.failures) < EXAMPLES:
                    phase.failures.append({
                        "at": round(now - self.begun, 2), "after": round(seconds, 3), "kind": kind, "method": method,
                        "path": path, "status": status, "error": error[:300]})
            else:
                phase.answered += 1
                phase.silence = max(phase.silence, now - self.heard)
                self.heard = now
                if waited:
                    phase.slowest[kind] = max(phase.slowest.get(kind, 0.0), seconds)
            self.changed.notify_all()

    def mark(self, name: str, timeout: float) -> dict[str, Any]:
        """Starts a phase once all present requests have ended and all present messages have arrived; returns the previous phase.

        Messages that have not arrived within `timeout` seconds are not waited for again.
        """
        with self.changed:
            last, due = next(self.numbers), self._due()
            self.changed.wait_for(lambda: all(number > last for number in self.flying))
            self.changed.wait_for(lambda: not due & self._due(), timeout)
            late = due & self._due()
            for reader, label in late:
                self.waiting[reader].discard(label)
            examples = [self._example(reader, label, 0) | {"syncs": list(self.syncs.get(reader, ()))}
                        for reader, label in sorted(late)[:EXAMPLES]]
            over = self.phases[-1].figures() | {"not_arrived": len(late), "late": examples}
            self.phases.append(Phase(name))
            return over

    def _due(self) -> set[tuple[str, str]]:
        return {(reader, label) for reader, labels in self.waiting.items() for label in labels}

    def taken(self, label: str, message: Message) -> None:
        """Records that the server has accepted this message. Readers may have received it already."""
        with self.changed:
            message.phase = self.phases[-1].name
            self.messages[label] = message
            for reader in message.readers:
                if not self.synced[reader, label]:
                    self.waiting.setdefault(reader, set()).add(label)

    def got(self, reader: str, label: str) -> None:
        """Records that a reader received a message by /sync. The time since it was sent counts as a kind of request."""
        with self.changed:
            self.synced[reader, label] += 1
            self.waiting.get(reader, set()).discard(label)
            self.changed.notify_all()
            message = self.messages.get(label)
            if message and self.synced[reader, label] == 1:
                slowest = self.phases[-1].slowest
                slowest["arrival"] = max(slowest.get("arrival", 0.0), time.monotonic() - message.sent)

    def moved(self, reader: str, since: str, until: str) -> None:
        """Records that a sync brought a reader from one position of the server's streams to another."""
        with self.changed:
            self.syncs.setdefault(reader, deque(maxlen=SYNCS)).append(f"{time.monotonic() - self.begun:.2f} s: {since} to {until}")

    def misses(self, reader: str) -> bool:
        """Whether a reader has yet to get a message."""
        return bool(self.waiting.get(reader))

    def balance(self) -> dict[str, Any]:
        """Compares the accepted messages with those that readers received and rooms contain; others may exist, but only once."""
        synced = {(reader, label): self.synced[reader, label] for label, one in self.messages.items() for reader in one.readers}
        stored = {("", label): self.stored["", label] for label, one in self.messages.items() if one.room}
        return {"taken": dict(Counter(one.kind for one in self.messages.values())),
                "sync": self._compared(synced | more_than_once(self.synced)),
                "messages": self._compared(stored | more_than_once(self.stored))}

    def _compared(self, counts: dict[tuple[str, str], int]) -> dict[str, Any]:
        wrong = {key: count for key, count in counts.items() if count != 1}
        examples = [self._example(*key, count) for key, count in sorted(wrong.items())[:EXAMPLES]]
        return {"expected": len(counts), "read": sum(count > 0 for count in counts.values()),
                "lost": sum(count == 0 for count in counts.values()),
                "duplicated": sum(count > 1 for count in counts.values()), "examples": examples}

    def _example(self, reader: str, label: str, count: int) -> dict[str, Any]:
        message = self.messages.get(label)
        sent = {"kind": message.kind, "room": message.room, "at": round(message.sent - self.begun, 2),
                "phase": message.phase} if message else {"kind": "not answered"}
        return {"label": label, "reader": reader, "times": count} | sent


def more_than_once(counts: Counter[tuple[str, str]]) -> dict[tuple[str, str], int]:
    return {key: count for key, count in counts.items() if count > 1}
