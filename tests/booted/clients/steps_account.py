"""Steps about one user's account: registration, login, profile, account data, filters, push rules, devices.

Each step takes the `World` of scenario.py. The users' first sessions are those that registration opened.
"""

from typing import Any

from matrix import Client, Found, assert_equal, of_room
from world import World


def register(w: World) -> None:
    """Two users, by both requests of user-interactive authentication; a taken name is refused."""
    for client, name in ((w.alice, w.alice_name), (w.bob, w.bob_name)):
        assert_equal(client.get("/register/available", query={"username": name}), {"available": True})
        client.register(name, w.password)
        assert_equal(client.user.split(":")[0], f"@{name}")
    w.server = w.alice.user.partition(":")[2]
    assert_equal(w.anonymous.get("/register/available", query={"username": w.bob_name}, expect=(400,))["errcode"], "M_USER_IN_USE")
    assert_equal(w.anonymous.get("/account/whoami", expect=(401,))["errcode"], "M_MISSING_TOKEN")


def login(w: World) -> None:
    """A second session each, by password; a wrong password is refused; the old session stays."""
    flows = w.anonymous.get("/login")["flows"]
    assert {"type": "m.login.password"} in flows, flows
    for client, name in ((w.alice, w.alice_name), (w.bob, w.bob_name)):
        first = client.token, client.device
        client.login(name, w.password)
        assert (client.token, client.device) != first
        assert_equal(client.get("/account/whoami"), {"user_id": client.user, "device_id": client.device, "is_guest": False})
        client.sync()
    wrong = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": w.bob_name}, "password": "wrong"}
    assert_equal(w.anonymous.post("/login", body=wrong, expect=(403,))["errcode"], "M_FORBIDDEN")


def profile(w: World) -> None:
    """Display name and avatar, read by the other user, whole and field by field, and through the old `r0` prefix."""
    assert_equal(w.alice.put("/profile/{}/displayname", w.alice.user, body={"displayname": w.alice_display}), {})
    assert_equal(w.alice.put("/profile/{}/avatar_url", w.alice.user, body={"avatar_url": w.avatar}), {})
    whole = {"displayname": w.alice_display, "avatar_url": w.avatar}
    w.bob.await_get("/profile/{}", w.alice.user, found=lambda body: body == whole)
    w.bob.await_get("/profile/{}/displayname", w.alice.user, found=lambda body: body == {"displayname": w.alice_display})
    w.bob.await_get("/_matrix/client/r0/profile/{}/avatar_url", w.alice.user, found=lambda body: body == {"avatar_url": w.avatar})
    refused = w.bob.put("/profile/{}/displayname", w.alice.user, body={"displayname": "taken over"}, expect=(400, 403))
    assert refused["errcode"] in ("M_FORBIDDEN", "M_UNKNOWN"), refused


def account_data(w: World) -> None:
    """Global account data: own sync and a read have it, the other user may not read it."""
    kind, content = "test.global", {"run": w.record.run}
    assert_equal(w.alice.put("/user/{}/account_data/{}", w.alice.user, kind, body=content), {})
    w.alice.sync_until(lambda sync: {"type": kind, "content": content} in sync.get("account_data", {}).get("events", []))
    w.alice.await_get("/user/{}/account_data/{}", w.alice.user, kind, found=lambda body: body == content)
    assert_equal(w.bob.get("/user/{}/account_data/{}", w.alice.user, kind, expect=(403,))["errcode"], "M_FORBIDDEN")


def room_account_data(w: World) -> None:
    """Account data and tags of one room, each seen in the owner's own sync and read back."""
    def in_sync(event: dict[str, Any]) -> Found:
        return lambda sync: event in of_room(sync, w.room, "account_data")

    at = w.bob.user, w.room
    content = {"colour": "blue"}
    assert_equal(w.bob.put("/user/{}/rooms/{}/account_data/{}", *at, "test.room", body=content), {})
    w.bob.sync_until(in_sync({"type": "test.room", "content": content}))
    w.bob.await_get("/user/{}/rooms/{}/account_data/{}", *at, "test.room", found=lambda body: body == content)

    tags = {"m.favourite": {"order": 0.5}}
    assert_equal(w.bob.put("/user/{}/rooms/{}/tags/{}", *at, "m.favourite", body=tags["m.favourite"]), {})
    w.bob.sync_until(in_sync({"type": "m.tag", "content": {"tags": tags}}))
    w.bob.await_get("/user/{}/rooms/{}/tags", *at, found=lambda body: body == {"tags": tags})
    assert_equal(w.bob.delete("/user/{}/rooms/{}/tags/{}", *at, "m.favourite"), {})
    w.bob.await_get("/user/{}/rooms/{}/tags", *at, found=lambda body: body == {"tags": {}})


def filters(w: World) -> None:
    """A stored filter is read back and obeyed by a sync."""
    wanted = {"room": {"timeline": {"limit": 1}}}
    number = w.bob.post("/user/{}/filter", w.bob.user, body=wanted)["filter_id"]
    w.bob.await_get("/user/{}/filter/{}", w.bob.user, number, found=lambda body: body == wanted)
    joined = w.bob.get("/sync", query={"filter": number, "timeout": 0})["rooms"]["join"]
    assert_equal(len(joined[w.room]["timeline"]["events"]), 1)


def push_rules(w: World) -> None:
    """A rule of one's own is added, seen in sync, read, switched off and removed."""
    rule = "/pushrules/global/content/{}"
    assert w.alice.get("/pushrules/")["global"]["override"], "Synapse has override rules of its own"
    body = {"pattern": "cake", "actions": ["notify", {"set_tweak": "highlight"}]}
    assert_equal(w.alice.put(rule, w.rule, body=body), {})
    w.alice.sync_until(lambda sync: any(
        event["type"] == "m.push_rules" and any(one["rule_id"] == w.rule for one in event["content"]["global"]["content"])
        for event in sync.get("account_data", {}).get("events", [])))
    w.alice.await_get(rule, w.rule, found=lambda got: got["pattern"] == "cake" and got["actions"] == body["actions"])
    assert_equal(w.alice.put(rule + "/enabled", w.rule, body={"enabled": False}), {})
    w.alice.await_get(rule + "/enabled", w.rule, found=lambda got: got == {"enabled": False})
    assert_equal(w.alice.delete(rule, w.rule), {})
    assert_equal(w.alice.await_refused(rule, w.rule, status=404)["errcode"], "M_NOT_FOUND")


def devices(w: World) -> None:
    """Own sessions are listed and renamed; one is removed after the password was given again, and its token dies."""
    spare = Client(w.base_url, w.record)
    spare.login(w.alice_name, w.password)
    listed = w.alice.await_get("/devices", found=lambda body: {one["device_id"] for one in body["devices"]} >= {
        w.alice.device, spare.device} and body["devices"])
    assert "first" in {one["display_name"] for one in listed}, listed
    assert_equal(w.alice.put("/devices/{}", w.alice.device, body={"display_name": "renamed"}), {})
    w.alice.await_get("/devices/{}", w.alice.device, found=lambda one: one["display_name"] == "renamed")

    session = w.alice.delete("/devices/{}", spare.device, body={}, expect=(401,))["session"]
    assert_equal(w.alice.delete("/devices/{}", spare.device, body={"auth": password_proof(w, session)}), {})
    w.alice.await_get("/devices", found=lambda body: spare.device not in {one["device_id"] for one in body["devices"]})
    spare.await_refused("/account/whoami", status=401)
    spare.close()


def password_proof(w: World, session: str) -> dict[str, Any]:
    """Alice's answer to a request for her password by user-interactive authentication."""
    identifier = {"type": "m.id.user", "user": w.alice_name}
    return {"type": "m.login.password", "identifier": identifier, "password": w.password, "session": session}


def pushers(w: World) -> None:
    """A pusher is set, listed and removed; only the main process serves these."""
    pusher = {"app_id": "test.app", "pushkey": w.record.run, "kind": "http", "app_display_name": "test", "lang": "en",
              "device_display_name": "test", "data": {"url": "https://push.invalid/_matrix/push/v1/notify"}}
    assert_equal(w.alice.post("/pushers/set", body=pusher), {})
    w.alice.await_get("/pushers", found=lambda body: [one["pushkey"] for one in body["pushers"]] == [w.record.run])
    assert_equal(w.alice.post("/pushers/set", body=pusher | {"kind": None}), {})
    w.alice.await_get("/pushers", found=lambda body: body["pushers"] == [])


def openid(w: World) -> None:
    """An OpenID token proves the identity of its user to others. Only the main process's store knows these tokens."""
    granted = w.alice.post("/user/{}/openid/request_token", w.alice.user, body={})
    assert_equal(granted["matrix_server_name"], w.server)
    assert_equal(w.anonymous.get("/_matrix/federation/v1/openid/userinfo", query={"access_token": granted["access_token"]}),
                 {"sub": w.alice.user})


def third_party(w: World) -> None:
    """No bridges and no addresses: the empty answers are definite."""
    assert_equal(w.alice.get("/thirdparty/protocols"), {})
    assert_equal(w.alice.get("/account/3pid"), {"threepids": []})


def change_password(w: World) -> None:
    """The password changes, the new one opens a session, the other sessions stay as asked."""
    new = {"new_password": w.password + "!", "logout_devices": False}
    session = w.alice.post("/account/password", body=new, expect=(401,))["session"]
    assert_equal(w.alice.post("/account/password", body=new | {"auth": password_proof(w, session)}), {})
    fresh = Client(w.base_url, w.record)
    fresh.login(w.alice_name, new["new_password"])
    assert_equal(fresh.get("/account/whoami")["user_id"], w.alice.user)
    fresh.post("/logout", body={})
    fresh.close()


def logout(w: World) -> None:
    """After logging out, of one session and of all, the token is refused."""
    w.bob.post("/logout", body={})
    w.bob.await_refused("/account/whoami", status=401)
    w.alice.post("/logout/all", body={})
    w.alice.await_refused("/account/whoami", status=401)
