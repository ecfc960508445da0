"""Adds and changes users of Synapse through its admin API, at the socket of the main process.

Standard input contains the request with all parameters, so that no password is visible in a process list. Standard
output has the answer: `{"user": ID}`, `{"users": […]}`, or `{"refused": REASON, "text": …}`.

Users are added with the shared secret for registration (docs/admin_api/register_api.md of Synapse). All other requests
need the token of an administrator. The script adds one to the database for an existing administrator, and ends it with
Synapse's own logout. A token that is left by a failure expires after a minute.
"""
import hashlib
import hmac
import http.client
import json
import os
import secrets
import socket
import sqlite3
import sys
import time
from contextlib import closing
from urllib.parse import quote

# Seconds that Synapse has for an answer. A password takes some tenths of a second, a deactivation a second.
PATIENCE = 60
# Seconds for which a token is valid.
LIFETIME = 60
# The beginning of each token, by which later runs find those that are left.
MARK = "synapse_workers_"
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
            self.sock = socket.create_connection(("127.0.0.1", self.endpoint["Port"]), self.timeout)


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
    secret = request["secret"]
    if secret is None:
        with open(request["secret_path"]) as opened:
            secret = opened.read().strip()
    nonce = synapse.ask("GET", f"{ADMIN}/v1/register")["nonce"]
    kind = "admin" if request["admin"] else "notadmin"
    words = "\0".join((nonce, request["name"], request["password"], kind))
    mac = hmac.new(secret.encode(), words.encode(), hashlib.sha1).hexdigest()
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


def connect(database):
    """Connects as Synapse does (storage/database.py, make_conn)."""
    arguments = {key: value for key, value in (database.get("args") or {}).items() if not key.startswith("cp_")}
    if database["name"] == "sqlite3":
        if not os.path.exists(arguments["database"]):
            raise Refused("database", f"{arguments['database']} does not exist")
        return sqlite3.connect(arguments["database"], timeout=PATIENCE)
    import psycopg2
    return psycopg2.connect(**{"connect_timeout": 5, **arguments})


def token_of_administrator(database):
    """Adds a token to the database, and returns it."""
    now = int(time.time() * 1000)
    token = MARK + secrets.token_urlsafe(32)
    # Of negative numbers there is no use in Synapse, which counts upwards from the largest one.
    number = -1 - secrets.randbits(62)
    mark = "?" if database["name"] == "sqlite3" else "%s"
    with closing(connect(database)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"DELETE FROM access_tokens WHERE token LIKE {mark} AND valid_until_ms < {mark}", (MARK + "%", now))
        cursor.execute("SELECT name FROM users WHERE admin = 1 AND deactivated = 0 AND is_guest = 0 AND NOT locked "
                       "ORDER BY creation_ts LIMIT 1")
        found = cursor.fetchone()
        if not found:
            connection.commit()
            raise Refused("no administrator")
        cursor.execute(f"INSERT INTO access_tokens (id, user_id, token, valid_until_ms) VALUES ({mark}, {mark}, {mark}, {mark})",
                       (number, found[0], token, now + LIFETIME * 1000))
        connection.commit()
    return token


def answer(request):
    synapse = Synapse(request["endpoint"])
    action = ACTIONS[request["action"]]
    if request["action"] == "add":
        return action(synapse, request)
    try:
        synapse.token = token_of_administrator(request["database"])
    except Refused:
        raise
    except Exception as error:
        raise Refused("database", str(error).strip()) from None
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
