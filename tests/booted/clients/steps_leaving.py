"""Steps about ways out of a room and back: kick, ban, knock, leave, forget; and the end of a room: report, upgrade."""

from matrix import Found, assert_equal, of_room
from steps_room import arrives, membership, send, text
from world import World


def invited(room: str) -> Found:
    return lambda sync: of_room(sync, room, "invite_state", "invite")


def kick_and_rejoin(w: World) -> None:
    """Bob is kicked, may not write, is invited again and comes back."""
    assert_equal(w.alice.post("/rooms/{}/kick", w.room, body={"user_id": w.bob.user, "reason": "test"}), {})
    w.bob.sync_until(membership(w.room, w.bob.user, "leave", "leave"))
    assert_equal(w.bob.put("/rooms/{}/send/m.room.message/kicked", w.room, body=text("let me in"), expect=(403,))["errcode"], "M_FORBIDDEN")
    assert_equal(w.alice.post("/rooms/{}/invite", w.room, body={"user_id": w.bob.user}), {})
    w.bob.sync_until(invited(w.room))
    assert_equal(w.bob.post("/rooms/{}/join", w.room, body={})["room_id"], w.room)
    w.bob.sync_until(lambda sync: w.room in sync.get("rooms", {}).get("join", {}))
    w.alice.sync_until(membership(w.room, w.bob.user, "join"))
    arrives(w.alice, w.room, send(w.bob, w.room, text("back again")))


def ban(w: World) -> None:
    """Bob is banned from the public room, refused, and welcome again after the ban is lifted."""
    assert_equal(w.alice.post("/rooms/{}/ban", w.public, body={"user_id": w.bob.user}), {})
    w.bob.sync_until(membership(w.public, w.bob.user, "ban", "leave"))
    w.bob.post("/join/{}", w.public, body={}, expect=(403,))
    assert_equal(w.alice.post("/rooms/{}/unban", w.public, body={"user_id": w.bob.user}), {})
    w.alice.sync_until(membership(w.public, w.bob.user, "leave"))
    assert_equal(w.bob.put("/join/{}/{}", w.public, "j1", body={})["room_id"], w.public)
    w.bob.sync_until(membership(w.public, w.bob.user, "join"))


def knock(w: World) -> None:
    """Bob knocks, Alice hears it and lets him in."""
    rule = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    room = w.alice.post("/createRoom", body={"preset": "private_chat", "initial_state": [rule]})["room_id"]
    assert_equal(w.bob.post("/knock/{}", room, body={"reason": "test"})["room_id"], room)
    w.alice.sync_until(membership(room, w.bob.user, "knock"))
    assert_equal(w.alice.post("/rooms/{}/invite", room, body={"user_id": w.bob.user}), {})
    w.bob.sync_until(invited(room))
    assert_equal(w.bob.post("/rooms/{}/join", room, body={})["room_id"], room)
    w.alice.sync_until(membership(room, w.bob.user, "join"))


def report(w: World) -> None:
    """An event, a room and a user are reported; only the main process takes reports."""
    reason = {"reason": "test"}
    assert_equal(w.bob.post("/rooms/{}/report/{}", w.room, w.message, body=reason), {})
    assert_equal(w.bob.post("/rooms/{}/report", w.room, body=reason), {})
    assert_equal(w.bob.post("/users/{}/report", w.alice.user, body=reason), {})


def upgrade(w: World) -> None:
    """A room of version 11 is replaced by one of version 12, whose ID is opaque; both find the way."""
    new = w.alice.post("/rooms/{}/upgrade", w.public, body={"new_version": "12"})["replacement_room"]
    assert ":" in w.public and ":" not in new, (w.public, new)
    tombstone = w.bob.sync_until(lambda sync: next((
        one for one in of_room(sync, w.public) if one["type"] == "m.room.tombstone"), None))
    assert_equal(tombstone["content"]["replacement_room"], new)
    assert_equal(w.bob.post("/rooms/{}/join", new, body={})["room_id"], new)
    w.alice.sync_until(membership(new, w.bob.user, "join"))
    arrives(w.alice, new, send(w.bob, new, text("moved")))


def leave_and_forget(w: World) -> None:
    """Bob leaves and forgets: the room is gone from his lists, and its messages from his sight."""
    assert_equal(w.bob.post("/rooms/{}/leave", w.room, body={}), {})
    w.bob.sync_until(membership(w.room, w.bob.user, "leave", "leave"))
    w.alice.sync_until(membership(w.room, w.bob.user, "leave"))
    w.bob.await_get("/joined_rooms", found=lambda body: w.room not in body["joined_rooms"])
    w.bob.await_post("/rooms/{}/forget", w.room, body={}, found=lambda body: body == {}, not_yet=(200, 400))
    assert_equal(w.bob.await_refused("/rooms/{}/messages", w.room, status=403)["errcode"], "M_FORBIDDEN")
