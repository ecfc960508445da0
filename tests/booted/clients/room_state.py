#!/usr/bin/env python3
"""A room with many state events, now and in its history: `room_state.py BASE_URL STATE_FILE`.

The first time a user makes the room and remembers some events on the way. Each time it prints the state of the room
and the state at these events, as event IDs.
"""

import json
import sys
from pathlib import Path
from typing import Any

from matrix import Client

CHANGES = 210
REMEMBERED = 42


def make(base_url: str) -> dict[str, Any]:
    """Creates the room; returns the state for later runs."""
    alice = Client(base_url)
    alice.register(f"keeper{alice.record.run}", "secret")
    room = alice.post("/createRoom", body={"preset": "private_chat"})["room_id"]
    events = [alice.put("/rooms/{}/state/{}/{}", room, "test.change", str(number), body={"number": number})["event_id"]
              for number in range(CHANGES)]
    return {"token": alice.token, "room": room, "events": events[::REMEMBERED]}


def read(base_url: str, state: dict[str, Any]) -> dict[str, list[str]]:
    """The IDs of all events of state: of now, and at each event that is remembered."""
    alice = Client(base_url)
    alice.token = state["token"]
    found = {"now": alice.get("/rooms/{}/state", state["room"])}
    for event in state["events"]:
        found[event] = alice.get("/rooms/{}/context/{}", state["room"], event, query={"limit": 0})["state"]
    return {place: sorted(one["event_id"] for one in events) for place, events in found.items()}


def main() -> None:
    base_url, file = sys.argv[1], Path(sys.argv[2])
    state = json.loads(file.read_text(encoding="utf-8")) if file.exists() else make(base_url)
    file.write_text(json.dumps(state), encoding="utf-8")
    print(json.dumps(read(base_url, state)))


if __name__ == "__main__":
    main()
