"""Moves Synapse's data from an SQLite file into PostgreSQL with Synapse's own synapse_port_db, and compares both.

    first|last|compare SQLITE WORK BEGUN OLD CONFIGURATION...

WORK is the directory for copies, and BEGUN the file that records the database that is being filled. OLD is the directory
in which an earlier release had both. CONFIGURATION are the files and directories with the options of the server, in the
order in which Synapse reads them. `first` copies all rows while the server runs; `last` copies the changes since, when
the server is stopped; `compare` then counts the rows of every table.
"""
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import psycopg2
import yaml
from synapse._scripts.synapse_port_db import APPEND_ONLY_TABLES, IGNORED_TABLES
from synapse.config._base import find_config_files, read_config_files

# How long a copy may be begun anew because the server wrote meanwhile; then it is made in one go.
PATIENCE = 60
# synapse_port_db leaves these out: the schema's own, an old one of which it takes the last day only, and one that it
# sets so that the user directory is built anew.
APART = {"schema_version", "applied_schema_deltas", "sent_transactions", "user_directory_stream_pos", "port_from_sqlite3"}
# What Synapse's admin API does for `regenerate_directory` (rest/admin/background_updates.py): the directory is not moved.
DIRECTORY = [f"populate_user_directory_{step}" for step in ("createtables", "process_rooms", "process_users", "cleanup")]
# Statements that drop what Synapse's schema is made of.
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
    """The server writes too often for a copy that lets it."""


def snapshot(source, target):
    """Copies the file as SQLite does it, whole and consistent."""
    begun = time.monotonic()

    def watch(_status, _remaining, _total):
        if time.monotonic() - begun > PATIENCE:
            raise Busy

    target.unlink(missing_ok=True)
    with closing(sqlite(source)) as old, closing(sqlite3.connect(target)) as new:
        try:
            # Between these pages the server may write.
            old.backup(new, pages=10_000, sleep=0.01, progress=watch)
        except Busy:
            old.backup(new)


def port(config, copy, work):
    """Runs synapse_port_db. Its configuration has passwords, so it is a file of this user alone."""
    file = work / "postgres.yaml"
    # The updates of the new, empty database: by default there is a second between any two of them.
    config = config | {"background_updates": {"sleep_duration_ms": 1}}
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        yaml.safe_dump(config, out)
    command = [sys.executable, "-I", "-m", "synapse._scripts.synapse_port_db", "--sqlite-database", str(copy),
               "--postgres-config", str(file)]
    done = subprocess.run(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    file.unlink()
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if " - INFO - " not in line]
        sys.exit("synapse_port_db failed\n" + "\n".join(lines[-10:]))


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


def take_over(old, begun):
    """Takes the note of a move that an earlier release began, and removes its copies."""
    note = old / "begun"
    if note.exists() and not begun.read_text(encoding="ascii"):
        begun.write_text(note.read_text(encoding="ascii"), encoding="ascii")
    shutil.rmtree(old, ignore_errors=True)


def begin(config, begun):
    """Notes in a file which database is filled, once it is known to be empty. One that a move has begun to fill and was
    cut is emptied: until the comparison nobody works with it."""
    with closing(postgres(config)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("select oid::text from pg_database where datname = current_database()")
        identity = cursor.fetchone()[0]
        if begun.exists() and begun.read_text(encoding="ascii") == identity:
            for query in OURS:
                cursor.execute(query)
                for statement, in cursor.fetchall():
                    cursor.execute(statement)
        cursor.execute("select count(*) from information_schema.tables where table_schema = any(current_schemas(false))")
        if cursor.fetchone()[0]:
            sys.exit("the database in PostgreSQL has tables already, and they would be lost; "
                     "empty it: drop schema public cascade; create schema public;")
    begun.write_text(identity, encoding="ascii")


def changed(sides, before, now):
    """Tables that synapse_port_db takes for append-only, in which rows changed or went since the copy before."""
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
    """Empties tables in PostgreSQL with those that refer to them, so that they are copied anew; returns all of them."""
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


def first(config, source, work, begun):
    begin(config, begun)
    with closing(sqlite(source)) as connection:
        updates = [name for name, in connection.execute("select update_name from background_updates")]
    if updates:
        sys.exit(f"Synapse has not finished {len(updates)} background updates of the data, {updates[0]} among them, and "
                 "synapse_port_db asks for that; the running server does them by itself: try again later")
    size = os.stat(source).st_size
    if shutil.disk_usage(work).free < 2 * size + (64 << 20):
        sys.exit(f"{work} needs room for two copies of {source}, {2 * size >> 20} MiB")
    snapshot(source, work / "first.db")
    port(config, work / "first.db", work)
    return {}


def last(config, source, work, _begun):
    before, now = work / "first.db", work / "last.db"
    snapshot(source, now)
    with Sides(config, now) as sides:
        again = empty(sides, changed(sides, before, now))
    port(config, now, work)
    with Sides(config, now) as sides:
        advance(sides)
    return {"again": again}


def advance(sides):
    """Brings the sequences up to their streams, as used ones.

    synapse_port_db sets them by the rows that there are. Where the last ones were deleted, as of messages to devices that
    have arrived, Synapse would give numbers a second time, and refuses to start (element-hq/synapse issue 19467). And it
    leaves them as if not used yet, which Synapse takes for one more than was given: the first receipt, say, would then
    never reach anybody.
    """
    positions = dict(sides.ask("select stream_name, max(stream_id) from stream_positions group by stream_name"))
    with sides.postgres, sides.postgres.cursor() as cursor:
        for stream, sequence in SEQUENCES.items():
            cursor.execute("select to_regclass(%s) is not null", (sequence,))
            if not cursor.fetchone()[0]:
                # Of another release of Synapse.
                continue
            cursor.execute(f"select last_value, is_called from {sequence}")
            value, called = cursor.fetchone()
            last = value if called else value - 1
            cursor.execute("select setval(%s, %s)", (sequence, max(last, positions.get(stream, 1), 1)))


def compare(config, _source, work, _begun):
    tables, rows, wrong = 0, 0, []
    with Sides(config, work / "last.db") as sides:
        for table in sides.copied():
            query = f"select count(*) from {table}"
            ours = sides.ask(query)[0][0]
            if table == "event_search":
                # Rows of events that are not there any more are left out.
                query += " join events using (event_id, room_id)"
            theirs = sides.sqlite.execute(query).fetchone()[0]
            tables, rows = tables + 1, rows + ours
            if ours != theirs:
                wrong.append(f"{table}: {theirs} rows in SQLite, {ours} in PostgreSQL")
        if wrong:
            sys.exit("not every row arrived\n" + "\n".join(wrong))
        with sides.postgres, sides.postgres.cursor() as cursor:
            for name, after in zip(DIRECTORY, ["", *DIRECTORY]):
                cursor.execute("insert into background_updates (update_name, progress_json, depends_on) "
                               "values (%s, '{}', %s)", (name, after))
            cursor.execute("drop table port_from_sqlite3")
    return {"tables": tables, "rows": rows}


def main():
    step, source, work, begun, old, *configuration = sys.argv[1:]
    config = read_config_files(find_config_files(configuration))
    if step == "first":
        take_over(Path(old), Path(begun))
    steps = {"first": first, "last": last, "compare": compare}
    print(json.dumps(steps[step](config, source, Path(work), Path(begun))))


main()
