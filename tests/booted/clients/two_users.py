#!/usr/bin/env python3
"""Two users who exist across changes of their server: `two_users.py BASE_URL STATE_FILE`.

The first time they register, share a room, a message and a file. Each time they use the access tokens of the first,
read all messages since, and one more arrives.
"""

import json
import sys
from pathlib import Path
from typing import Any

from matrix import Client, Record, Unexpected, assert_equal, of_room

MEDIA = "/_matrix/client/v1/media/download/{}/{}"
CONTENT = bytes(range(256)) * 16


def meet(base_url: str) -> dict[str, Any]:
    """Registers the two; returns their state."""
    record = Record()
    alice, bob = Client(base_url, record), Client(base_url, record)
    alice.register(f"old{record.run}", "secret")
    bob.register(f"friend{record.run}", "secret")
    room = alice.post("/createRoom", body={"preset": "public_chat"})["room_id"]
    bob.post("/join/{}", room, body={})
    upload = alice.path("/_matrix/media/v3/upload", query={"filename": "file"})
    media = alice.request("POST", upload, CONTENT, "application/octet-stream").json()["content_uri"]
    tokens = {"alice": alice.token, "bob": bob.token}
    return {"tokens": tokens, "room": room, "media": media.removeprefix("mxc://").split("/"), "events": [], "since": None}


def go_on(base_url: str, state: dict[str, Any]) -> dict[str, Any]:
    """Uses the earlier tokens: reads the earlier messages and media, and sends a new message until it arrives."""
    record = Record()
    alice, bob = Client(base_url, record), Client(base_url, record)
    alice.token, bob.token = state["tokens"]["alice"], state["tokens"]["bob"]
    bob.since = state["since"]
    for event in state["events"]:
        bob.await_get("/rooms/{}/event/{}", state["room"], event, found=lambda body: body["content"]["body"] == "hello")
    assert_equal(bob.fetch(MEDIA, *state["media"]).body, CONTENT)
    event = alice.put("/rooms/{}/send/m.room.message/{}", state["room"], record.run, body={
        "msgtype": "m.text", "body": "hello"})["event_id"]
    bob.sync_until(lambda sync: any(one["event_id"] == event for one in of_room(sync, state["room"])))
    return state | {"events": [*state["events"], event], "since": bob.since}


def main() -> int:
    base_url, file = sys.argv[1], Path(sys.argv[2])
    try:
        state = json.loads(file.read_text(encoding="utf-8")) if file.exists() else meet(base_url)
        state = go_on(base_url, state)
    except Unexpected as error:
        print(f"FAILED {error}", file=sys.stderr)
        return 1
    file.write_text(json.dumps(state), encoding="utf-8")
    print(f"ok: {len(state['events'])} messages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
