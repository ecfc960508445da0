#!/usr/bin/env python3
"""One step of a user whose room spans two homeservers: `federated.py BASE_URL STATE_FILE STEP ARGUMENT…`.

The steps are: create ALIAS, a room that everybody may join, with an alias; join ALIAS; say ROOM TEXT; hear ROOM EVENT TEXT,
which waits for the event. `create` and `join` register the user. Prints the ID of the room or of the event.
"""

import json
import sys
from pathlib import Path

from matrix import Client, Record, Unexpected, of_room


def step(client: Client, name: str, *arguments: str) -> str:
    if name == "create":
        client.register("host", "secret")
        return client.post("/createRoom", body={"preset": "public_chat", "room_alias_name": arguments[0]})["room_id"]
    if name == "join":
        client.register("guest", "secret")
        return client.post("/join/{}", arguments[0], body={})["room_id"]
    if name == "say":
        room, text = arguments
        body = {"msgtype": "m.text", "body": text}
        return client.put("/rooms/{}/send/m.room.message/{}", room, client.record.run, body=body)["event_id"]
    room, event, text = arguments
    found = client.sync_until(lambda sync: [one for one in of_room(sync, room) if one["event_id"] == event], seconds=60)
    if found[0]["content"]["body"] != text:
        raise Unexpected(f"heard {found[0]}")
    return event


def main() -> int:
    base_url, file, *rest = sys.argv[1:]
    client, path = Client(base_url, Record(), timeout=120), Path(file)
    if path.exists():
        client.token = json.loads(path.read_text(encoding="utf-8"))["token"]
    try:
        print(step(client, *rest))
    except Unexpected as error:
        print(f"FAILED {error}", file=sys.stderr)
        return 1
    path.write_text(json.dumps({"token": client.token}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
