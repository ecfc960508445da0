#!/usr/bin/env python3
"""Does what Element Call does before and during a call, and prints the transports that it finds: `element_call.py BASE_URL`.

It looks for the transports in both places, shows the authorization service who it is, and schedules the event that ends
its part in the call.
"""

import json
import sys

from matrix import Client, Unexpected, assert_equal, of_room

UNSTABLE = "/_matrix/client/unstable/org.matrix."
MEMBER = "org.matrix.msc3401.call.member"
# Far beyond the time of this test, so that only the client's request sends the event.
DELAY = 60 * 60 * 1000


def main() -> int:
    alice = Client(sys.argv[1])
    try:
        print(json.dumps(transports(alice)))
        identify(alice)
        leave(alice)
    except Unexpected as error:
        print(f"FAILED {error}", file=sys.stderr)
        return 1
    return 0


def transports(alice: Client) -> object:
    """The transports, which are the same in both places."""
    found = alice.fetch("/.well-known/matrix/client")
    headers = {name.lower(): value for name, value in found.headers.items()}
    assert_equal(headers["access-control-allow-origin"], "*")
    listed = found.json()["org.matrix.msc4143.rtc_foci"]
    features = alice.get("/_matrix/client/versions")["unstable_features"]
    assert_equal([features[f"org.matrix.{name}"] for name in ("msc4140", "msc4143")], [True, True])
    endpoint = f"{UNSTABLE}msc4143/rtc/transports"
    alice.get(endpoint, expect=(401,))
    alice.register(f"caller{alice.record.run}", "secret")
    assert_equal(alice.get(endpoint), {"rtc_transports": listed})
    return listed


def identify(alice: Client) -> None:
    """Gets the token that proves who the user is. The authorization service asks the homeserver about it, as a server."""
    token = alice.post("/user/{}/openid/request_token", alice.user, body={})["access_token"]
    service = Client(sys.argv[1])
    userinfo = service.get("/_matrix/federation/v1/openid/userinfo", query={"access_token": token})
    assert_equal(userinfo, {"sub": alice.user})


def leave(alice: Client) -> None:
    """Postpones a scheduled event as often as clients do, then lets it be sent; state after the sync shows it."""
    room = alice.post("/createRoom", body={})["room_id"]
    alice.put("/rooms/{}/state/{}/{}", room, MEMBER, alice.user, body={"application": "m.call"})
    events = f"{UNSTABLE}msc4140/delayed_events"
    scheduled = alice.put("/rooms/{}/state/{}/{}", room, MEMBER, alice.user, body={}, query={"org.matrix.msc4140.delay": DELAY})
    for _ in range(15):
        alice.post(f"{events}/{{}}/restart", scheduled["delay_id"], body={})
    alice.get(f"{events}/{{}}", scheduled["delay_id"])
    alice.sync()
    alice.post(f"{events}/{{}}/send", scheduled["delay_id"], body={})

    def left(sync: dict) -> bool:
        state = of_room(sync, room, "org.matrix.msc4222.state_after")
        return any(event["type"] == MEMBER and not event["content"] for event in state)

    query = {"timeout": 2000, "since": alice.since, "org.matrix.msc4222.use_state_after": "true"}
    alice.await_get("/sync", found=left, query=query)


if __name__ == "__main__":
    sys.exit(main())
