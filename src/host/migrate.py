"""Moves Synapse's data from an SQLite file into PostgreSQL with Synapse's own synapse_port_db, and compares both.

    first|last|compare SQLITE WORK RECORD OLD CONFIGURATION...

WORK is the directory for copies, and RECORD the file that names the database that is being filled. OLD is the
directory in which an earlier release had both. CONFIGURATION are the files and directories with the options of the
server, in the order in which Synapse reads them. `first` copies all rows while the server runs; `last` copies the
changes since, when the server is stopped; `compare` then counts the rows of every table.
"""
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import deque
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import psycopg2
import yaml
from synapse._scripts.synapse_port_db import APPEND_ONLY_TABLES, IGNORED_TABLES
from synapse.config._base import find_config_files, read_config_files

# A line of synapse_port_db about a table, such as `events: 45% (450/1000)`.
PROGRESS = re.compile(r"\w+: [0-9]+% \([0-9]+/[0-9]+\)$")
# Seconds during which a copy restarts if the server has written; after that, one copy is made without interruption.
SNAPSHOT_TIMEOUT = 60
# Tables that synapse_port_db does not copy row by row: those of the schema, an old one of which it copies the last day,
# and one that it sets so that Synapse rebuilds the user directory.
APART = {"schema_version", "applied_schema_deltas", "sent_transactions", "user_directory_stream_pos", "port_from_sqlite3"}
# The background updates of `regenerate_directory` in Synapse's admin API (rest/admin/background_updates.py): the user
# directory is not copied.
DIRECTORY = [f"populate_user_directory_{step}" for step in ("createtables", "process_rooms", "process_users", "cleanup")]
# Queries whose results are statements that drop all objects of Synapse's schema.
OURS = [
    f"select format('drop {what} if exists %s cascade', oid::{name}) from {catalog} "
    f"where {short}namespace::regnamespace::text = any(current_schemas(false)) and {short}owner = current_user::regrole {kind}"
    for what, name, catalog, short, kind in (
        ("table", "regclass", "pg_class", "rel", "and relkind = 'r'"),
        ("sequence", "regclass", "pg_class", "rel", "and relkind = 'S'"),
        ("function", "regprocedure", "pg_proc", "pro", ""),
    )
]
# The sequence of each stream (storage/databases/main/*.py, MultiWriterIdGenerator).
SEQUENCES = {
    "account_data": "account_data_sequence",
    "backfill": "events_backfill_stream_seq",
    "caches": "cache_invalidation_stream_seq",
    "device_lists_stream": "device_lists_sequence",
    "e2e_cross_signing_keys": "e2e_cross_signing_keys_sequence",
    "events": "events_stream_seq",
    "presence_stream": "presence_stream_sequence",
    "profile_updates": "profile_updates_sequence",
    "push_rules_stream": "push_rules_stream_sequence",
    "pushers": "pushers_sequence",
    "quarantined_media": "quarantined_media_id_seq",
    "receipts": "receipts_sequence",
    "sticky_events": "sticky_events_sequence",
    "thread_subscriptions": "thread_subscriptions_sequence",
    "to_device": "device_inbox_sequence",
    "un_partial_stated_event_stream": "un_partial_stated_event_stream_sequence",
    "un_partial_stated_room_stream": "un_partial_stated_room_stream_sequence",
}


def postgres(config):
    """A connection as Synapse opens it."""
    arguments = config["database"]["args"]
    renamed = {"database": "dbname"}
    return psycopg2.connect(**{
        renamed.get(key, key): value for key, value in arguments.items() if not key.startswith("cp_")})


def sqlite(path):
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)


class Busy(Exception):
    """The server writes too often for a copy that permits writes."""


def snapshot(source, target):
    """Copies the file by SQLite's online backup, which is consistent."""
    start = time.monotonic()

    def watch(_status, _remaining, _total):
        if time.monotonic() - start > SNAPSHOT_TIMEOUT:
            raise Busy

    target.unlink(missing_ok=True)
    with closing(sqlite(source)) as old, closing(sqlite3.connect(target)) as new:
        try:
            # The server may write between two batches of pages.
            old.backup(new, pages=10_000, sleep=0.01, progress=watch)
        except Busy:
            old.backup(new)


def port(config, copy, work):
    """Runs synapse_port_db. Its configuration contains passwords, so only this user can read the file."""
    file = work / "postgres.yaml"
    # The background updates of the new, empty database: by default, Synapse waits a second after each.
    config = config | {"background_updates": {"sleep_duration_ms": 1}}
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        yaml.safe_dump(config, out)
    # Without a buffer, its lines arrive when it prints them.
    command = [sys.executable, "-I", "-u", "-m", "synapse._scripts.synapse_port_db", "--sqlite-database", str(copy),
               "--postgres-config", str(file)]
    lines, shown = deque(maxlen=10), 0
    with subprocess.Popen(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        for line in running.stdout:
            now = time.monotonic()
            if PROGRESS.match(line) and now - shown > 1:
                print(line, end="", flush=True)
                shown = now
            elif " - INFO - " not in line:
                lines.append(line.rstrip())
    file.unlink()
    if running.returncode:
        sys.exit("synapse_port_db failed\n" + "\n".join(lines))


class Sides:
    """Both databases."""

    def __init__(self, config, copy):
        self.postgres = postgres(config)
        self.sqlite = sqlite(copy)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.postgres.close()
        self.sqlite.close()

    def ask(self, query, *arguments):
        with self.postgres.cursor() as cursor:
            cursor.execute(query, arguments)
            return cursor.fetchall()

    def present(self):
        """Tables in PostgreSQL."""
        query = "select table_name from information_schema.tables where table_schema = any(current_schemas(false))"
        return {name for name, in self.ask(query)}

    def copied(self):
        """Tables on both sides that are copied row by row."""
        there = {name for name, in self.sqlite.execute("select name from sqlite_master where type = 'table'")}
        names = there & self.present()
        return sorted(name for name in names - APART - IGNORED_TABLES if not name.startswith("sqlite_"))


def take_over(old, record):
    """Takes over the record of a migration that an earlier release began, and removes its copies."""
    earlier = old / "begun"
    if earlier.exists() and not record.read_text(encoding="ascii"):
        record.write_text(earlier.read_text(encoding="ascii"), encoding="ascii")
    shutil.rmtree(old, ignore_errors=True)


def begin(config, record):
    """Checks that the database is empty, and records its identity in a file. A database that an interrupted migration
    has begun to fill is emptied: no process uses it before the comparison."""
    with closing(postgres(config)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("select oid::text from pg_database where datname = current_database()")
        identity = cursor.fetchone()[0]
        if record.exists() and record.read_text(encoding="ascii") == identity:
            for query in OURS:
                cursor.execute(query)
                for statement, in cursor.fetchall():
                    cursor.execute(statement)
        cursor.execute("select count(*) from information_schema.tables where table_schema = any(current_schemas(false))")
        if cursor.fetchone()[0]:
            sys.exit("the database in PostgreSQL has tables already, which would be lost; "
                     "to empty it: drop schema public cascade; create schema public;")
    record.write_text(identity, encoding="ascii")


def changed(sides, before, now):
    """Tables that synapse_port_db regards as append-only, but with changed or deleted rows since the first copy."""
    found = []
    with closing(sqlite(now)) as connection:
        connection.execute("attach ? as before", (f"file:{quote(str(before))}?mode=ro",))
        for table in sorted(set(APPEND_ONLY_TABLES) & set(sides.copied())):
            columns = [column[1] for column in connection.execute(f"pragma table_info({table})")]
            differ = " or ".join(f'old."{column}" is not new."{column}"' for column in columns)
            query = (f"select 1 from before.{table} old left join main.{table} new on new.rowid = old.rowid "
                     f"where new.rowid is null or {differ} limit 1")
            if connection.execute(query).fetchone():
                found.append(table)
    return found


def empty(sides, names):
    """Empties tables in PostgreSQL and those that refer to them, so that they are copied again; returns all."""
    refers = sides.ask("select confrelid::regclass::text, conrelid::regclass::text from pg_constraint where contype = 'f'")
    whole, size = set(names), -1
    while size != len(whole):
        size = len(whole)
        whole |= {table for target, table in refers if target in whole}
    with sides.postgres, sides.postgres.cursor() as cursor:
        if whole:
            cursor.execute("truncate " + ", ".join(sorted(whole)))
            cursor.execute("delete from port_from_sqlite3 where table_name = any(%s)", (list(whole),))
    return sorted(whole)


def first(config, source, work, record):
    begin(config, record)
    with closing(sqlite(source)) as connection:
        updates = [name for name, in connection.execute("select update_name from background_updates")]
    if updates:
        sys.exit(f"{len(updates)} background updates of Synapse are unfinished, such as {updates[0]}, and synapse_port_db "
                 "requires that all are finished; the running server completes them: try again later")
    size = os.stat(source).st_size
    if shutil.disk_usage(work).free < 2 * size + (64 << 20):
        sys.exit(f"{work} needs free space for two copies of {source}, {2 * size >> 20} MiB")
    snapshot(source, work / "first.db")
    port(config, work / "first.db", work)
    return {}


def last(config, source, work, _record):
    before, now = work / "first.db", work / "last.db"
    snapshot(source, now)
    with Sides(config, now) as sides:
        again = empty(sides, changed(sides, before, now))
    port(config, now, work)
    with Sides(config, now) as sides:
        advance(sides)
    return {"again": again}


def advance(sides):
    """Sets the sequences to the last positions of their streams, as used numbers.

    synapse_port_db sets them by the existing rows. If the last rows were deleted, such as messages that have reached
    their devices, Synapse would assign numbers twice, so it refuses to start (element-hq/synapse issue 19467). In
    addition, synapse_port_db leaves each sequence as if its number was not used yet, and Synapse then assumes a position
    that is one too high: for example, no client would receive the first receipt.
    """
    positions = dict(sides.ask("select stream_name, max(stream_id) from stream_positions group by stream_name"))
    with sides.postgres, sides.postgres.cursor() as cursor:
        for stream, sequence in SEQUENCES.items():
            cursor.execute("select to_regclass(%s) is not null", (sequence,))
            if not cursor.fetchone()[0]:
                # A stream of another release of Synapse.
                continue
            cursor.execute(f"select last_value, is_called from {sequence}")
            value, called = cursor.fetchone()
            last = value if called else value - 1
            cursor.execute("select setval(%s, %s)", (sequence, max(last, positions.get(stream, 1), 1)))


def compare(config, _source, work, _record):
    tables, rows, wrong = 0, 0, []
    with Sides(config, work / "last.db") as sides:
        for table in sides.copied():
            query = f"select count(*) from {table}"
            ours = sides.ask(query)[0][0]
            if table == "event_search":
                # Rows of deleted events are not copied.
                query += " join events using (event_id, room_id)"
            theirs = sides.sqlite.execute(query).fetchone()[0]
            tables, rows = tables + 1, rows + ours
            if ours != theirs:
                wrong.append(f"{table}: {theirs} rows in SQLite, {ours} in PostgreSQL")
        if wrong:
            sys.exit("not all rows were copied\n" + "\n".join(wrong))
        with sides.postgres, sides.postgres.cursor() as cursor:
            for name, after in zip(DIRECTORY, ["", *DIRECTORY]):
                cursor.execute("insert into background_updates (update_name, progress_json, depends_on) "
                               "values (%s, '{}', %s)", (name, after))
            cursor.execute("drop table port_from_sqlite3")
    return {"tables": tables, "rows": rows}


def main():
    step, source, work, record, old, *configuration = sys.argv[1:]
    config = read_config_files(find_config_files(configuration))
    if step == "first":
        take_over(Path(old), Path(record))
    steps = {"first": first, "last": last, "compare": compare}
    print(json.dumps(steps[step](config, source, Path(work), Path(record))))


main()
