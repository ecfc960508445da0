"""Steps about the server itself: its features, media, the federation side without signatures, the admin API."""

import hashlib
import hmac
import os
import struct
import zlib

from matrix import Client, assert_equal, of_room
from world import World

MEDIA = "/_matrix/client/v1/media"


def offers(w: World) -> None:
    """The first requests of clients, with and without a token."""
    versions = w.anonymous.get("/_matrix/client/versions")
    assert "v1.11" in versions["versions"], versions
    capabilities = w.alice.get("/capabilities")["capabilities"]
    assert "12" in capabilities["m.room_versions"]["available"], capabilities
    assert_equal(w.anonymous.get("/capabilities", expect=(401,))["errcode"], "M_MISSING_TOKEN")
    assert w.anonymous.get("/password_policy") is not None
    turn = w.alice.get("/voip/turnServer")
    assert turn == {} or all(turn[name] for name in ("username", "password", "ttl", "uris")), turn
    assert_equal(w.anonymous.get("/unknown", expect=(404,))["errcode"], "M_UNRECOGNIZED")
    assert_equal(w.alice.request("PATCH", "/_matrix/client/v3/joined_rooms", expect=(405,)).json()["errcode"], "M_UNRECOGNIZED")


def png(width: int, height: int) -> bytes:
    """A picture of one colour, as small as the format allows."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x20\x60\xa0" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def media(w: World) -> None:
    """A picture is uploaded, downloaded unchanged by the other user, made smaller, and not given without a token."""
    picture = png(640, 480)
    assert w.alice.get(f"{MEDIA}/config")["m.upload.size"] > len(picture)
    upload = w.alice.path("/_matrix/media/v3/upload", query={"filename": "picture.png"})
    w.avatar = w.alice.request("POST", upload, picture, "image/png").json()["content_uri"]
    server, name = w.avatar.removeprefix("mxc://").split("/")
    answer = w.bob.fetch(f"{MEDIA}/download/{{}}/{{}}", server, name)
    assert_equal((answer.body, answer.headers["Content-Type"]), (picture, "image/png"))
    small = w.bob.fetch(f"{MEDIA}/thumbnail/{{}}/{{}}", server, name, query={"width": 32, "height": 32, "method": "crop"})
    assert_equal((small.body[:8], struct.unpack(">II", small.body[16:24])), (picture[:8], (32, 32)))
    assert_equal(w.anonymous.get(f"{MEDIA}/download/{{}}/{{}}", server, name, expect=(401,))["errcode"], "M_MISSING_TOKEN")
    assert_equal(w.anonymous.get("/_matrix/media/v3/download/{}/{}", server, name, expect=(404,))["errcode"], "M_NOT_FOUND")

    later = w.alice.post("/_matrix/media/v1/create", body={})["content_uri"].removeprefix("mxc://").split("/")
    data = os.urandom(300_000)
    w.alice.request("PUT", w.alice.path("/_matrix/media/v3/upload/{}/{}", *later), data, "application/octet-stream")
    assert_equal(w.bob.fetch(f"{MEDIA}/download/{{}}/{{}}/{{}}", *later, "data.bin").body, data)


def federation(w: World) -> None:
    """The key and the version of the server; whatever needs a signature is refused without one."""
    keys = w.anonymous.get("/_matrix/key/v2/server")
    assert_equal((keys["server_name"], list(keys["signatures"])), (w.server, [w.server]))
    assert_equal(w.anonymous.get("/_matrix/federation/v1/version")["server"]["name"], "Synapse")
    refused = (
        w.anonymous.put("/_matrix/federation/v1/send/{}", "1", body={"pdus": [], "edus": []}, expect=(401,)),
        w.anonymous.get("/_matrix/federation/v1/query/profile", query={"user_id": w.alice.user}, expect=(401,)),
        w.anonymous.get("/_matrix/federation/v1/make_join/{}/{}", w.room, w.alice.user, expect=(401,)),
        w.anonymous.put("/_matrix/federation/v2/send_join/{}/{}", w.room, w.message, body={}, expect=(401,)),
        w.anonymous.get("/_matrix/federation/v1/event/{}", w.message, expect=(401,)),
        w.anonymous.get("/_matrix/federation/v1/state_ids/{}", w.room, query={"event_id": w.message}, expect=(401,)),
        w.anonymous.get("/_matrix/federation/v1/publicRooms", expect=(401,)),
    )
    assert_equal({one["errcode"] for one in refused}, {"M_UNAUTHORIZED"})


def admin(w: World) -> None:
    """With the server's shared secret: an administrator registers, looks at the users and rooms, and changes one."""
    path = "/_synapse/admin/v1/register"
    body = {"nonce": w.anonymous.get(path)["nonce"], "username": f"admin{w.record.run}", "password": w.password, "admin": True}
    signed = "\0".join((body["nonce"], body["username"], body["password"], "admin"))
    body["mac"] = hmac.new(w.shared_secret.encode(), signed.encode(), hashlib.sha1).hexdigest()
    assert_equal(w.anonymous.post(path, body=body)["user_id"], f"@{body['username']}:{w.server}")
    root = Client(w.base_url, w.record)
    root.login(body["username"], w.password)
    assert root.get("/_synapse/admin/v1/server_version")["server_version"]
    user = "/_synapse/admin/v2/users/{}"
    root.await_get(user, w.bob.user, found=lambda body: body["name"] == w.bob.user)
    root.put(user, w.bob.user, body={"displayname": "Robert"})
    w.alice.await_get("/profile/{}", w.bob.user, found=lambda body: body["displayname"] == "Robert")
    # Main updates his rooms in its own time, and an event creator that lets him leave meanwhile would build on a membership
    # that is another one by then.
    w.alice.sync_until(lambda sync: any(
        event.get("state_key") == w.bob.user and event["content"].get("displayname") == "Robert"
        for event in of_room(sync, w.room)))
    root.await_get("/_synapse/admin/v1/rooms/{}", w.room, found=lambda body: body["room_id"] == w.room)
    assert_equal(w.bob.get(user, w.alice.user, expect=(403,))["errcode"], "M_FORBIDDEN")
    root.close()
