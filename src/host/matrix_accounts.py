"""Adds and changes users of Synapse through its admin API, at the socket of the main process.

Root runs this script, since only root and nginx may connect to that socket. Standard input contains the request with all
parameters, so that no password is visible in a process list. Standard output has the answer: `{"user": ID}`,
`{"users": […]}`, or `{"refused": REASON, "text": …}`.

Users are added with the shared secret for registration (docs/admin_api/register_api.md of Synapse). All other requests
have the token of an administrator (administrator_token.py), which this script ends with Synapse's own logout.
"""
import hashlib
import hmac
import http.client
import json
import socket
import sys
from contextlib import closing
from urllib.parse import quote

# Seconds that Synapse has for an answer. A password takes some tenths of a second, a deactivation a second.
PATIENCE = 60
# Users in one page of the list.
PAGE = 1000
ADMIN = "/_synapse/admin"


class Refused(Exception):
    """A request that fails, with the reason as the program knows it."""

    def __init__(self, reason, text=""):
        super().__init__(text)
        self.reason, self.text = reason, text


class Connection(http.client.HTTPConnection):
    """A connection to the main process, at its Unix socket or its port on this host."""

    def __init__(self, endpoint):
        super().__init__("localhost", timeout=PATIENCE)
        self.endpoint = endpoint

    def connect(self):
        if "Socket" in self.endpoint:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self.endpoint["Socket"])
        else:
            self.sock = socket.create_connection(tuple(self.endpoint["Address"]), self.timeout)


class Synapse:
    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.token = None

    def ask(self, method, path, body=None):
        # Synapse's endpoints at a Unix socket require the address of a client.
        headers = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https", "User-Agent": "synapse-workers"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        content = None if body is None else json.dumps(body)
        try:
            with closing(Connection(self.endpoint)) as connection:
                connection.request(method, path, content, headers)
                answer = connection.getresponse()
                text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise Refused("silent", str(error)) from None
        try:
            answered = json.loads(text)
        except ValueError:
            answered = {}
        if answer.status != 200:
            raise Refused("synapse", f"{answer.status} {answered.get('errcode', '')} {answered.get('error', '')}".strip())
        return answered


def add(synapse, request):
    nonce = synapse.ask("GET", f"{ADMIN}/v1/register")["nonce"]
    kind = "admin" if request["admin"] else "notadmin"
    words = "\0".join((nonce, request["name"], request["password"], kind))
    mac = hmac.new(request["secret"].encode(), words.encode(), hashlib.sha1).hexdigest()
    answer = synapse.ask("POST", f"{ADMIN}/v1/register", {
        "nonce": nonce, "username": request["name"], "password": request["password"], "admin": request["admin"],
        "mac": mac, "inhibit_login": True,
    })
    return {"user": answer["user_id"]}


def password(synapse, request):
    user = request["user"]
    # Synapse would set the password of a user that does not exist, without an error.
    synapse.ask("GET", f"{ADMIN}/v2/users/{quote(user, safe='')}")
    synapse.ask("POST", f"{ADMIN}/v1/reset_password/{quote(user, safe='')}",
                {"new_password": request["password"], "logout_devices": request["logout"]})
    return {"user": user}


def deactivate(synapse, request):
    user = request["user"]
    synapse.ask("POST", f"{ADMIN}/v1/deactivate/{quote(user, safe='')}", {"erase": request["erase"]})
    return {"user": user}


def listed(synapse, request):
    found, start = [], 0
    filters = "deactivated=true&locked=true" if request["all"] else "deactivated=false&locked=true"
    while start is not None:
        page = synapse.ask("GET", f"{ADMIN}/v2/users?from={start}&limit={PAGE}&{filters}")
        found += [{
            "name": user["name"],
            "admin": bool(user["admin"]),
            "guest": bool(user["is_guest"]),
            "locked": bool(user.get("locked")),
            "deactivated": bool(user["deactivated"]),
            # In milliseconds since 1970 here, and unknown for the oldest users.
            "created": (user["creation_ts"] or 0) // 1000,
        } for user in page["users"]]
        start = page.get("next_token")
    return {"users": found}


ACTIONS = {"add": add, "password": password, "deactivate": deactivate, "list": listed}


def answer(request):
    synapse = Synapse(request["endpoint"])
    action = ACTIONS[request["action"]]
    if request["action"] == "add":
        return action(synapse, request)
    synapse.token = request["token"]
    try:
        return action(synapse, request)
    finally:
        try:
            synapse.ask("POST", "/_matrix/client/v3/logout", {})
        except Refused:
            pass  # The token expires.


def main():
    try:
        result = answer(json.load(sys.stdin))
    except Refused as refused:
        result = {"refused": refused.reason, "text": refused.text}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
