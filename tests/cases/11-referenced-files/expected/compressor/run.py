"""Runs the state compressor on the database that Synapse uses. Made by synapse-workers.

Its arguments are Synapse's own configuration, files and directories in the order in which Synapse reads them. The
database is taken from there, so that the two never differ, and the password passes from file to database within this
process.
"""

import getpass
import logging
import os
import sys

import synapse_auto_compressor
import yaml

# As in the compressor's own README: state groups at a time, and how often at most in one run.
CHUNK_SIZE = 500
CHUNKS = 100
LEVELS = "100,50,25"

# What the compressor's driver knows of libpq's parameters (PostgreSQL manual, 34.1.2), by the names it has for them.
PARAMETERS = {
    "host": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "dbname": "dbname",
    "database": "dbname",
    "sslmode": "sslmode",
    "connect_timeout": "connect_timeout",
}
log = logging.getLogger("compressor")


class Discreet(logging.Formatter):
    """Leaves out what must not be in a log; the compressor tells in its errors how it tried to connect."""

    secrets = ()

    def format(self, record):
        text = super().format(record)
        for secret in self.secrets:
            text = text.replace(secret, "(left out)")
        return text


def files(places):
    """Synapse's configuration files: of a directory those that end in .yaml, by name."""
    for place in places:
        if os.path.isdir(place):
            names = sorted(name for name in os.listdir(place) if name.endswith(".yaml"))
            yield from (os.path.join(place, name) for name in names)
        else:
            yield place


def arguments(places):
    """The arguments of Synapse's database driver; a later file counts."""
    database = None
    for path in files(places):
        with open(path, encoding="utf-8") as file:
            database = (yaml.safe_load(file) or {}).get("database", database)
    if not database or database.get("name") != "psycopg2":
        sys.exit("the state compressor works on PostgreSQL, and Synapse's `database` is something else")
    return database.get("args") or {}


def connection(args):
    """What the compressor's driver is to connect with, as libpq would."""
    found = {PARAMETERS[key]: str(value) for key, value in args.items() if key in PARAMETERS and value is not None}
    found.setdefault("host", "/run/postgresql")
    found.setdefault("port", "5432")
    found.setdefault("user", getpass.getuser())
    found.setdefault("dbname", found["user"])
    if found.get("sslmode") in ("verify-ca", "verify-full"):
        sys.exit(f"the state compressor cannot check certificates, which sslmode {found['sslmode']} asks for")
    if "password" not in found and args.get("passfile"):
        password = from_passfile(args["passfile"], found)
        if password is not None:
            found["password"] = password
    return found


def from_passfile(path, found):
    """The password of the first line that fits (PostgreSQL manual, 34.16)."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    wanted = [found["host"], found["port"], found["dbname"], found["user"]]
    for line in lines:
        fields = split(line)
        if len(fields) == 5 and all(field in ("*", value) for field, value in zip(fields, wanted)):
            return fields[4]
    return None


def split(line):
    """Fields between colons, with `\\:` and `\\\\` for the two themselves."""
    fields, escaped = [""], False
    for char in line:
        if escaped or char not in "\\:":
            fields[-1] += char
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            fields.append("")
    return fields


def quoted(value):
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def main(places):
    handler = logging.StreamHandler()
    handler.setFormatter(Discreet("%(levelname)s - %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # Whatever ends this is told without a trace, which would show what is left out.
    sys.excepthook = lambda kind, error, _: log.error("%s: %s", kind.__name__, error)
    found = connection(arguments(places))
    text = " ".join(f"{key}={quoted(value)}" for key, value in found.items())
    if "password" in found:
        Discreet.secrets = (text, quoted(found["password"]), found["password"])
    synapse_auto_compressor.compress_state_events_table(text, CHUNK_SIZE, LEVELS, CHUNKS)


if __name__ == "__main__":
    main(sys.argv[1:])
