"""Backups of an SQLite database, as the account that owns it.

Arguments: dump FILE, load FILE, count FILE, ask FILE QUERY or test.

dump prints a consistent copy of a database that Synapse uses; load replaces FILE by the database in standard input; test
checks the database in standard input. count and test print the numbers of users, rooms and events; ask prints the first
row of a query.
"""

import os
import shutil
import sqlite3
import sys
import tempfile
from urllib.parse import quote

COUNTS = """select (select count(*) from users), (select count(*) from rooms),
    (select coalesce(max(stream_ordering), 0) from events)"""
# Pages of 4 KiB that are copied before Synapse may write again.
STEP = 4096


def connect(path: str, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(path)}?mode={mode}", uri=True, timeout=60)


def dump(path: str) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as box:
        target = os.path.join(box, "homeserver.db")
        source, copy = connect(path, "rw"), sqlite3.connect(target)
        source.backup(copy, pages=STEP, sleep=0.01)
        source.close()
        # A client must not get a key that another one has used since.
        copy.execute("delete from e2e_one_time_keys_json")
        copy.commit()
        copy.close()
        with open(target, "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)


def checked(path: str) -> sqlite3.Connection:
    database = connect(path, "rw")
    [answer] = database.execute("pragma quick_check(1)").fetchone()
    if answer != "ok":
        sys.exit(f"the SQLite database in the backup is damaged: {answer}")
    return database


def read(path: str) -> None:
    with open(path, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        os.fsync(file.fileno())


def load(path: str) -> None:
    os.umask(0o077)
    draft = path + ".restored"
    read(draft)
    checked(draft).close()
    os.rename(draft, path)


def ask(database: sqlite3.Connection, query: str) -> None:
    print("\t".join(map(str, database.execute(query).fetchone())))


def count(database: sqlite3.Connection) -> None:
    ask(database, COUNTS)


def test() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as box:
        path = os.path.join(box, "homeserver.db")
        read(path)
        database = checked(path)
        count(database)
        database.close()


match sys.argv[1:]:
    case ["dump", file]:
        dump(file)
    case ["load", file]:
        load(file)
    case ["count", file]:
        count(connect(file, "rw"))
    case ["ask", file, query]:
        ask(connect(file, "rw"), query)
    case ["test"]:
        test()
    case words:
        sys.exit(f"unknown arguments: {words}")
