"""Adds an access token of an existing administrator to Synapse's database, and prints it; `null` without one.

Standard input contains the option `database` of Synapse, which may include a password. The token is valid for a minute.
Each run removes those that earlier ones left.
"""
import json
import os
import secrets
import sqlite3
import sys
import time
from contextlib import closing

# Seconds for which a token is valid.
LIFETIME = 60
# Seconds to wait for other writers of an SQLite database.
PATIENCE = 60
# The beginning of each token.
MARK = "synapse_workers_"


def connect(database):
    """Connects as Synapse does (storage/database.py, make_conn)."""
    arguments = {key: value for key, value in (database.get("args") or {}).items() if not key.startswith("cp_")}
    if database["name"] == "sqlite3":
        if not os.path.exists(arguments["database"]):
            sys.exit(f"{arguments['database']} does not exist")
        return sqlite3.connect(arguments["database"], timeout=PATIENCE)
    import psycopg2
    return psycopg2.connect(**{"connect_timeout": 5, **arguments})


def token_of_administrator(database):
    """Adds a token to the database, and returns it; None without an administrator."""
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
            return None
        cursor.execute(f"INSERT INTO access_tokens (id, user_id, token, valid_until_ms) VALUES ({mark}, {mark}, {mark}, {mark})",
                       (number, found[0], token, now + LIFETIME * 1000))
        connection.commit()
    return token


print(json.dumps(token_of_administrator(json.load(sys.stdin))))
