"""Steps about rooms: creation, membership, events written and read in every way, directory, spaces, upgrade.

Room IDs are taken as they come: the default room version has none with a server name in it, version 11 has.
"""

from typing import Any

from matrix import Client, Found, assert_equal, of_room
from world import World

TEXT = "m.room.message"


def text(body: str, **more: Any) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": body, **more}


def create_and_join(w: World) -> None:
    """Alice creates a room and invites Bob, whose sync brings the invitation; he joins, and her sync says so."""
    w.room = w.alice.post("/createRoom", body={"name": w.room_name, "preset": "private_chat", "topic": "tests"})["room_id"]
    w.alice.sync_until(lambda sync: of_room(sync, w.room) or of_room(sync, w.room, "state"))
    assert_equal(w.alice.post("/rooms/{}/invite", w.room, body={"user_id": w.bob.user}), {})
    w.bob.sync_until(lambda sync: of_room(sync, w.room, "invite_state", "invite"))
    assert_equal(w.bob.post("/join/{}", w.room, body={})["room_id"], w.room)
    w.bob.sync_until(lambda sync: w.room in sync.get("rooms", {}).get("join", {}))
    w.alice.sync_until(membership(w.room, w.bob.user, "join"))
    for client in (w.alice, w.bob):
        client.await_get("/joined_rooms", found=lambda body: body["joined_rooms"] == [w.room])


def membership(room: str, user: str, wanted: str, section: str = "join") -> Found:
    """A question for `sync_until`: whether a sync has the member event of a user in a room."""
    return lambda sync: any(
        event["type"] == "m.room.member" and event.get("state_key") == user and event["content"]["membership"] == wanted
        for part in ("timeline", "state") for event in of_room(sync, room, part, section))


def send(client: Client, room: str, content: dict[str, Any], kind: str = TEXT) -> str:
    """Sends one event, by PUT with a transaction of its own; returns its ID."""
    return client.put("/rooms/{}/send/{}/{}", room, kind, f"t{client.record.issued}", body=content)["event_id"]


def arrives(client: Client, room: str, event_id: str) -> dict[str, Any]:
    """Waits until a sync brings the event; returns it."""
    return client.sync_until(lambda sync: next((one for one in of_room(sync, room) if one["event_id"] == event_id), None))


def messages(w: World) -> None:
    """Messages both ways arrive by sync and stand in order in /messages; a repeated transaction makes no second event."""
    sent = []
    for number, (sender, reader) in enumerate(((w.alice, w.bob), (w.bob, w.alice)) * 3):
        event = send(sender, w.room, text(f"{w.needle} {number}"))
        assert_equal(arrives(reader, w.room, event)["content"]["body"], f"{w.needle} {number}")
        sent.append(event)
    w.message = sent[-2]

    again = [w.alice.put("/rooms/{}/send/{}/{}", w.room, TEXT, "repeated", body=text("once"))["event_id"] for _ in range(2)]
    assert_equal(again[0], again[1])
    sent.append(again[0])
    sent.append(w.bob.post("/rooms/{}/send/{}", w.room, TEXT, body=text("by POST"))["event_id"])
    arrives(w.alice, w.room, sent[-1])
    for client in (w.alice, w.bob):
        client.await_get("/rooms/{}/messages", w.room, query={"dir": "b", "limit": 8}, found=lambda page: [
            one["event_id"] for one in page["chunk"]] == sent[::-1])
    page = w.alice.get("/rooms/{}/messages", w.room, query={"dir": "b", "limit": 3})
    older = w.bob.get("/rooms/{}/messages", w.room, query={"dir": "b", "limit": 3, "from": page["end"]})
    assert_equal([one["event_id"] for one in page["chunk"] + older["chunk"]], sent[:1:-1])


def read_events(w: World) -> None:
    """A single event, in its context, by time; unknown events are refused."""
    w.bob.await_get("/rooms/{}/event/{}", w.room, w.message, found=lambda event: event["event_id"] == w.message)
    around = w.alice.get("/rooms/{}/context/{}", w.room, w.message, query={"limit": 2})
    assert_equal((around["event"]["event_id"], len(around["events_before"]), len(around["events_after"])), (w.message, 1, 1))
    stamp = around["event"]["origin_server_ts"]
    nearest = w.bob.get("/_matrix/client/v1/rooms/{}/timestamp_to_event", w.room, query={"ts": stamp, "dir": "f"})
    assert nearest["origin_server_ts"] >= stamp, nearest
    assert_equal(w.alice.get("/rooms/{}/event/{}", w.room, "$unknown", expect=(404,))["errcode"], "M_NOT_FOUND")
    assert_equal(w.bob.get("/rooms/{}/initialSync", w.room, query={"limit": 1})["room_id"], w.room)


def state(w: World) -> None:
    """State put by Alice is read by Bob singly, whole and in sync; a change that he may not make is refused."""
    content = {"name": w.room_name + " renamed"}
    event = w.alice.put("/rooms/{}/state/m.room.name", w.room, body=content)["event_id"]
    arrives(w.bob, w.room, event)
    w.bob.await_get("/rooms/{}/state/m.room.name", w.room, found=lambda body: body == content)
    keyed = w.alice.put("/rooms/{}/state/{}/{}", w.room, "test.state", "a key/with:signs", body={"value": 1})["event_id"]
    w.bob.await_get("/rooms/{}/state/{}/{}", w.room, "test.state", "a key/with:signs", found=lambda body: body == {"value": 1})
    w.bob.await_get("/rooms/{}/state", w.room, found=lambda events: {event, keyed} <= {one["event_id"] for one in events})
    refused = w.bob.put("/rooms/{}/state/m.room.name", w.room, body=content, expect=(403,))
    assert_equal(refused["errcode"], "M_FORBIDDEN")


def members(w: World) -> None:
    """Both members, in the long and in the short list, with their names."""
    both = {w.alice.user, w.bob.user}
    for client in (w.alice, w.bob):
        client.await_get("/rooms/{}/members", w.room, query={"membership": "join"}, found=lambda body: {
            one["state_key"] for one in body["chunk"]} == both)
    joined = w.bob.await_get("/rooms/{}/joined_members", w.room, found=lambda body: set(body["joined"]) == both and body["joined"])
    assert_equal(joined[w.bob.user]["display_name"], w.bob_name)
    assert_equal(w.anonymous.get("/rooms/{}/members", w.room, expect=(401,))["errcode"], "M_MISSING_TOKEN")


def relations(w: World) -> None:
    """A reaction and a reply in a thread are found from the event they relate to."""
    reaction = send(w.bob, w.room, {"m.relates_to": {"rel_type": "m.annotation", "event_id": w.message, "key": "yes"}}, "m.reaction")
    reply = send(w.bob, w.room, text("in a thread", **{"m.relates_to": {"rel_type": "m.thread", "event_id": w.message}}))
    arrives(w.alice, w.room, reply)

    def related(*wanted: str) -> Found:
        return lambda body: {one["event_id"] for one in body["chunk"]} == set(wanted)

    at = "/_matrix/client/v1/rooms/{}/relations/{}"
    w.alice.await_get(at, w.room, w.message, found=related(reaction, reply))
    w.bob.await_get(at + "/m.annotation", w.room, w.message, found=related(reaction))
    w.bob.await_get(at + "/m.thread/{}", w.room, w.message, TEXT, found=related(reply))
    w.alice.await_get("/_matrix/client/v1/rooms/{}/threads", w.room, found=related(w.message))


def redact(w: World) -> None:
    """A redacted message reaches the other without its content, and is read without it."""
    event = send(w.bob, w.room, text("regretted"))
    arrives(w.alice, w.room, event)
    redaction = w.bob.put("/rooms/{}/redact/{}/{}", w.room, event, "r1", body={"reason": "test"})["event_id"]
    arrives(w.alice, w.room, redaction)
    w.alice.await_get("/rooms/{}/event/{}", w.room, event, found=lambda body: body["content"] == {})


def search(w: World) -> None:
    """Words of the messages are found by members only."""
    body = {"search_categories": {"room_events": {"search_term": w.needle}}}
    w.bob.await_post("/search", body=body, found=lambda found: found["search_categories"]["room_events"]["count"] == 6)
    assert_equal(w.anonymous.post("/search", body=body, expect=(401,))["errcode"], "M_MISSING_TOKEN")


def notifications(w: World) -> None:
    """A message to Bob is among his notifications and counted as unread in his sync until he reads it."""
    event = send(w.alice, w.room, text(f"{w.bob_name}: look"))
    w.bob.sync_until(lambda sync: sync.get("rooms", {}).get("join", {}).get(w.room, {}).get(
        "unread_notifications", {}).get("notification_count"))
    w.bob.await_get("/notifications", query={"limit": 5}, found=lambda body: event in {
        one["event"]["event_id"] for one in body["notifications"]})


def public_room(w: World) -> None:
    """A room with an alias is published, found in the directory and by its alias, summarised, and joined by alias."""
    alias = f"#{w.needle}:{w.server}"
    w.public = w.alice.post("/createRoom", body={"preset": "public_chat", "name": w.needle, "room_version": "11"})["room_id"]
    assert_equal(w.alice.put("/directory/room/{}", alias, body={"room_id": w.public}), {})
    w.bob.await_get("/directory/room/{}", alias, found=lambda body: body["room_id"] == w.public)
    w.alice.await_get("/rooms/{}/aliases", w.public, found=lambda body: body["aliases"] == [alias])
    assert_equal(w.alice.put("/directory/list/room/{}", w.public, body={"visibility": "public"}), {})
    assert_equal(w.anonymous.get("/directory/list/room/{}", w.public), {"visibility": "public"})

    def published(body: dict[str, Any]) -> bool:
        return any(one["room_id"] == w.public for one in body["chunk"])

    w.bob.await_post("/publicRooms", body={"filter": {"generic_search_term": w.needle}}, found=published)
    w.bob.await_get("/publicRooms", query={"limit": 500}, found=published)
    if w.since(1, 153):
        summary = w.bob.await_get("/_matrix/client/v1/room_summary/{}", w.public, found=lambda body: body)
        assert_equal((summary["room_id"], summary["name"], summary["join_rule"]), (w.public, w.needle, "public"))
    assert_equal(w.bob.post("/join/{}", alias, body={})["room_id"], w.public)
    w.bob.sync_until(membership(w.public, w.bob.user, "join"))
    w.alice.sync_until(membership(w.public, w.bob.user, "join"))
    assert_equal(w.alice.delete("/directory/room/{}", alias), {})
    w.bob.await_refused("/directory/room/{}", alias, status=404)


def space(w: World) -> None:
    """A space shows its child to both users."""
    top = w.alice.post("/createRoom", body={"preset": "public_chat", "creation_content": {"type": "m.space"}})["room_id"]
    w.alice.put("/rooms/{}/state/m.space.child/{}", top, w.public, body={"via": [w.server]})
    for client in (w.alice, w.bob):
        client.await_get("/_matrix/client/v1/rooms/{}/hierarchy", top, found=lambda body: {
            one["room_id"] for one in body["rooms"]} == {top, w.public})


def mutual_rooms(w: World) -> None:
    """The rooms both are in; only the main process answers."""
    if not w.since(1, 151):
        return
    w.alice.await_get("/_matrix/client/v1/mutual_rooms", query={"user_id": w.bob.user}, found=lambda body: {
        w.room, w.public} <= set(body["joined"]))
