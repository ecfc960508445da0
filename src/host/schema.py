"""Prints the schema numbers of Synapse's database, and those of the Synapse of this Python.

Standard input contains the option `database` of Synapse, which may include a password.
"""
import importlib.metadata
import importlib.util
import json
import os
import runpy
import sqlite3
import sys
from contextlib import closing

# Queries for the existence of a table.
EXISTS = {"sqlite3": "select name from sqlite_master where name = '{}'", "psycopg2": "select to_regclass('{}')"}


def code():
    """Reads the numbers from one file, because importing the package takes a second."""
    package = importlib.util.find_spec("synapse").submodule_search_locations[0]
    names = runpy.run_path(os.path.join(package, "storage", "schema", "__init__.py"))
    return {
        "release": importlib.metadata.version("matrix-synapse"),
        "version": names["SCHEMA_VERSION"],
        "compat": names["SCHEMA_COMPAT_VERSION"],
    }


def connect(database):
    """Connects as Synapse does (storage/database.py, make_conn)."""
    arguments = {key: value for key, value in (database.get("args") or {}).items() if not key.startswith("cp_")}
    if database["name"] == "sqlite3":
        # SQLite creates a missing file when it opens it.
        return sqlite3.connect(arguments["database"] if os.path.exists(arguments["database"]) else ":memory:")
    import psycopg2
    return psycopg2.connect(**{"connect_timeout": 5, **arguments})


def first(cursor, query):
    cursor.execute(query)
    return (cursor.fetchone() or (None,))[0]


def ask(cursor, engine, table, column):
    """The only value of a table; `None` if the table does not exist."""
    return first(cursor, f"select {column} from {table}") if first(cursor, EXISTS[engine].format(table)) else None


def state(database):
    with closing(connect(database)) as connection, closing(connection.cursor()) as cursor:
        return {
            "version": ask(cursor, database["name"], "schema_version", "version"),
            "compat": ask(cursor, database["name"], "schema_compat_version", "compat_version"),
        }


print(json.dumps({"code": code(), "database": state(json.load(sys.stdin))}))
