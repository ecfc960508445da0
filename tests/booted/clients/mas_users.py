#!/usr/bin/env python3
"""Two users of the Matrix Authentication Service, through nginx: `mas_users.py BASE_URL STAND_IN_URL`.

They log in, share a room and messages, refresh a token and log out. `STAND_IN_URL` is that of mas_stand_in.py.
"""

import sys
from typing import Any

from matrix import Client, Record, Unexpected, assert_equal, of_room


class MasUser(Client):
    """A user who exists in the stand-in, and whose requests go to nginx."""

    def __init__(self, base_url: str, stand_in: str, name: str, record: Record) -> None:
        super().__init__(base_url, record)
        self.stand_in = Client(stand_in, record)
        self.name = name
        self._logged_in(self.steer("user", name=name, password="secret"))

    def steer(self, verb: str, **asked: Any) -> Any:
        """Asks the stand-in for something that the real service does not offer to everybody."""
        return self.stand_in.request("POST", f"/stand-in/{verb}", asked).json()

    def change_token(self) -> str:
        """Gets another token for the same user and device, as clients do every few minutes; the earlier ones stay valid."""
        self.token = self.steer("token", name=self.name)["access_token"]
        return self.token


def meet(base_url: str, stand_in: str) -> None:
    record = Record()
    alice, bob = (MasUser(base_url, stand_in, f"{name}{record.run}", record) for name in ("alice", "bob"))
    answer = alice.request("GET", "/_matrix/client/v3/login")
    assert_equal((answer.headers.get("X-Stand-In"), answer.json()["flows"]), ("mas", [{"type": "m.login.password"}]))
    first = alice.device
    alice.login(alice.name, "secret")
    assert_equal(alice.get("/account/whoami"), {"user_id": alice.user, "device_id": alice.device, "is_guest": False})
    room = alice.post("/createRoom", body={"preset": "public_chat"})["room_id"]
    bob.post("/join/{}", room, body={})
    upload = alice.path("/_matrix/media/v3/upload", query={"filename": "file"})
    alice.request("POST", upload, b"content", "application/octet-stream")
    for number in range(3):
        alice.change_token()
        bob.change_token()
        event = alice.put("/rooms/{}/send/m.room.message/{}", room, f"{record.run}{number}", body={
            "msgtype": "m.text", "body": "hello"})["event_id"]
        bob.sync_until(lambda sync, event=event: any(one["event_id"] == event for one in of_room(sync, room)))
        alice.post("/keys/query", body={"device_keys": {bob.user: []}})
        alice.put("/rooms/{}/typing/{}", room, alice.user, body={"typing": True, "timeout": 1000})
    devices = {device["device_id"] for device in alice.get("/devices")["devices"]}
    assert_equal(devices, {first, alice.device})
    refresh = alice.login(alice.name, "secret")["refresh_token"]
    alice.token = alice.post("/refresh", body={"refresh_token": refresh})["access_token"]
    alice.get("/account/whoami")
    alice.post("/logout", body={})
    # Synapse remembers the answer of the service, and the device is gone.
    alice.await_refused("/account/whoami", status=401)
    # What Synapse does not serve beside the service.
    for method, path in (("POST", "/_matrix/client/v3/delete_devices"), ("GET", "/_matrix/client/v3/register/available?username=x"),
                         ("POST", "/_matrix/client/v3/account/password"), ("POST", "/_synapse/client/login")):
        assert_equal(bob.request(method, path, {}, expect=(404,)).json()["errcode"], "M_UNRECOGNIZED")


def main() -> int:
    try:
        meet(*sys.argv[1:])
    except (Unexpected, AssertionError) as error:
        print(f"FAILED {error}", file=sys.stderr)
        return 1
    print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
