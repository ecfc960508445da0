"""Steps about data that passes between users without being part of a room's history: receipts, typing, presence,
to-device messages, device keys, sliding sync, the user directory."""

from typing import Any

from matrix import Client, Found, assert_equal, of_room
from steps_room import arrives, send, text
from world import World


def receipts(w: World) -> None:
    """Bob's receipt and read marker: Alice sees the receipts, he his own marker."""
    def seen(event: str) -> Found:
        return lambda sync: any(
            w.bob.user in one["content"].get(event, {}).get("m.read", {}) for one in of_room(sync, w.room, "ephemeral")
            if one["type"] == "m.receipt")

    assert_equal(w.bob.post("/rooms/{}/receipt/m.read/{}", w.room, w.message, body={}), {})
    w.alice.sync_until(seen(w.message))
    newer = send(w.alice, w.room, text("read this"))
    arrives(w.bob, w.room, newer)
    assert_equal(w.bob.post("/rooms/{}/read_markers", w.room, body={"m.fully_read": newer, "m.read": newer}), {})
    w.bob.sync_until(lambda sync: {"type": "m.fully_read", "content": {"event_id": newer}} in of_room(sync, w.room, "account_data"))
    w.alice.sync_until(seen(newer))


def typing(w: World) -> None:
    """Bob types and stops; Alice sees both."""
    def typists(*users: str) -> Found:
        return lambda sync: any(one["type"] == "m.typing" and one["content"]["user_ids"] == list(users)
                                for one in of_room(sync, w.room, "ephemeral"))

    assert_equal(w.bob.put("/rooms/{}/typing/{}", w.room, w.bob.user, body={"typing": True, "timeout": 30000}), {})
    w.alice.sync_until(typists(w.bob.user))
    assert_equal(w.bob.put("/rooms/{}/typing/{}", w.room, w.bob.user, body={"typing": False}), {})
    w.alice.sync_until(typists())
    refused = w.alice.put("/rooms/{}/typing/{}", w.room, w.bob.user, body={"typing": True, "timeout": 1000}, expect=(400,))
    assert_equal(refused["errcode"], "M_FORBIDDEN")


def presence(w: World) -> None:
    """Alice's status message comes to Bob by sync, and he can ask for it."""
    message = f"busy with {w.record.run}"
    assert_equal(w.alice.put("/presence/{}/status", w.alice.user, body={"presence": "online", "status_msg": message}), {})
    w.bob.sync_until(lambda sync: any(
        one["sender"] == w.alice.user and one["content"].get("status_msg") == message
        for one in sync.get("presence", {}).get("events", [])))
    w.bob.await_get("/presence/{}/status", w.alice.user, found=lambda body: body.get("status_msg") == message)
    assert_equal(w.bob.put("/presence/{}/status", w.alice.user, body={"presence": "offline"}, expect=(403,))["errcode"], "M_FORBIDDEN")


def to_device(w: World) -> None:
    """A message to one device arrives there once, and not again after it was acknowledged by the next sync."""
    content = {"secret": w.record.run}
    body = {"messages": {w.bob.user: {w.bob.device: content}}}
    for _ in range(2):
        assert_equal(w.alice.put("/sendToDevice/{}/{}", "test.to_device", "d1", body=body), {})
    event = {"type": "test.to_device", "sender": w.alice.user, "content": content}
    delivered = w.bob.sync_until(lambda sync: [
        one for one in sync.get("to_device", {}).get("events", []) if one["type"] == event["type"]])
    assert_equal([{key: one[key] for key in event} for one in delivered], [event])
    assert_equal(w.bob.sync().get("to_device", {}).get("events", []), [])


def device_keys(w: World) -> None:
    """Bob's device keys reach Alice: announced by sync, answered by query, one-time key claimed once, then the fallback."""
    keys = {"user_id": w.bob.user, "device_id": w.bob.device, "algorithms": ["m.megolm.v1.aes-sha2"],
            "keys": {f"ed25519:{w.bob.device}": "A" * 43}, "signatures": {w.bob.user: {}}}
    once, fallback = {"key": "B" * 43, "signatures": {}}, {"key": "C" * 43, "fallback": True, "signatures": {}}
    before = w.alice.since
    uploaded = w.bob.post("/keys/upload", body={
        "device_keys": keys, "one_time_keys": {"signed_curve25519:AAAA": once}, "fallback_keys": {"signed_curve25519:ZZZZ": fallback}})
    assert_equal(uploaded["one_time_key_counts"]["signed_curve25519"], 1)
    w.alice.sync_until(lambda sync: w.bob.user in sync.get("device_lists", {}).get("changed", []))

    def known(body: dict[str, Any]) -> bool:
        device = body["device_keys"][w.bob.user].get(w.bob.device, {})
        return {name: value for name, value in device.items() if name != "unsigned"} == keys

    query = {"device_keys": {w.bob.user: []}}
    w.alice.await_post("/keys/query", body=query, found=known)
    w.alice.await_get("/keys/changes", query={"from": before, "to": w.alice.since}, found=lambda body: w.bob.user in body["changed"])

    claim = {"one_time_keys": {w.bob.user: {w.bob.device: "signed_curve25519"}}}
    for name, key in (("AAAA", once), ("ZZZZ", fallback)):
        claimed = w.alice.post("/keys/claim", body=claim)["one_time_keys"]
        assert_equal(claimed, {w.bob.user: {w.bob.device: {f"signed_curve25519:{name}": key}}})

    master = {"user_id": w.bob.user, "usage": ["master"], "keys": {"ed25519:" + "D" * 43: "D" * 43}}
    assert_equal(w.bob.post("/keys/device_signing/upload", body={"master_key": master}), {})
    w.alice.await_post("/keys/query", body=query, found=lambda body: body["master_keys"].get(w.bob.user, {}).get("keys") == master["keys"])


def key_backup(w: World) -> None:
    """A backup of room keys: a version, a key in it, read back, removed."""
    data = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "E" * 43}}
    version = w.bob.post("/room_keys/version", body=data)["version"]
    key = {"first_message_index": 1, "forwarded_count": 0, "is_verified": False, "session_data": {"ciphertext": "x"}}
    stored = w.bob.put("/room_keys/keys/{}/{}", w.room, "session", body=key, query={"version": version})
    assert_equal(stored["count"], 1)
    w.bob.await_get("/room_keys/keys/{}/{}", w.room, "session", query={"version": version}, found=lambda body: body == key)
    w.bob.await_get("/room_keys/version", found=lambda body: (body["version"], body["count"]) == (version, 1))
    assert_equal(w.bob.delete("/room_keys/version/{}", version), {})
    w.bob.await_refused("/room_keys/version/{}", version, status=404)


def sliding_sync(w: World) -> None:
    """The room is in the first answer, a new message in a later one that continues from its position."""
    path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"
    window = {"ranges": [[0, 9]], "required_state": [["m.room.name", ""]], "timeline_limit": 2}
    body = {"conn_id": "test", "lists": {"all": window}}
    first = w.bob.await_post(path, body=body, query={"timeout": 0}, found=lambda answer: w.room in answer["rooms"] and answer)
    assert first["rooms"][w.room]["name"].startswith(w.room_name), first["rooms"][w.room]
    event = send(w.alice, w.room, text("slide"))
    position = first["pos"]

    def news(answer: dict[str, Any]) -> bool:
        nonlocal position
        position = answer["pos"]
        return event in {one["event_id"] for one in answer["rooms"].get(w.room, {}).get("timeline", [])}

    for _ in range(20):
        if news(w.bob.post(path, body=body, query={"pos": position, "timeout": 2000})):
            return
    raise AssertionError(f"{event} did not come by sliding sync")


def user_directory(w: World) -> None:
    """Each finds the other, by name and by display name; a background process fills the directory."""
    def finds(searcher: Client, term: str, user: str, name: str) -> None:
        wanted = (user, name)
        searcher.await_post("/user_directory/search", body={"search_term": term, "limit": 10}, found=lambda body: wanted in [
            (one["user_id"], one["display_name"]) for one in body["results"]])

    finds(w.bob, w.alice_name, w.alice.user, w.alice_display)
    finds(w.bob, w.alice_display, w.alice.user, w.alice_display)
    finds(w.alice, w.bob_name, w.bob.user, w.bob_name)
