"""What the pilot runs: a worker with options that reach nothing, with a database without rows, and requests to it.

The options contain no secrets and no address of another process.
"""
import contextlib
import json
import os

WORKER = "synapse.app.generic_worker"
NAME = "pilot.invalid"
NOWHERE = "/nonexistent"
# The kinds of options that this product renders for a worker.
OPTIONS = {
    "server_name": NAME, "report_stats": False, "suppress_key_server_warning": True, "trusted_key_servers": [],
    # Nothing that another process accepts is signed with these.
    "signing_key": "ed25519 a_0 " + 43 * "A", "macaroon_secret_key": NAME, "form_secret": NAME, "worker_replication_secret": NAME,
    "media_store_path": NOWHERE, "enable_media_repo": False, "media_instance_running_background_jobs": "other",
    "caches": {"global_factor": 0.5},
    "database": {"name": "psycopg2", "args": {"host": NOWHERE, "dbname": NAME, "cp_min": 1, "cp_max": 1}},
    "instance_map": {"main": {"path": NOWHERE}, "other": {"path": NOWHERE}},
    "stream_writers": {"events": ["other"], "typing": ["other"]},
    "federation_sender_instances": ["other"], "pusher_instances": ["other"], "run_background_tasks_on": "other",
    "worker_app": WORKER, "worker_name": "pilot",
}
LOGS = {
    "version": 1,
    "formatters": {"plain": {"format": "%(asctime)s - %(name)s - %(lineno)d - %(levelname)s - %(request)s - %(message)s"}},
    "handlers": {"null": {"class": "logging.FileHandler", "filename": os.devnull, "formatter": "plain"}},
    "root": {"level": "INFO", "handlers": ["null"]},
}
TOKEN = "Authorization: Bearer pilot\r\n"
LOGIN = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "a"}, "password": "a"}
# Method, target, headers, body.
REQUESTS = (
    ("GET", "/health", "", None),
    ("GET", "/_matrix/client/versions", "", None),
    ("GET", "/_matrix/client/v3/login", "", None),
    ("POST", "/_matrix/client/v3/login", "", LOGIN),
    ("GET", "/_matrix/client/v3/sync?timeout=0", TOKEN, None),
    ("PUT", "/_matrix/client/v3/rooms/%21a/send/m.room.message/1", TOKEN, {"body": "a", "msgtype": "m.text"}),
    ("GET", "/_matrix/federation/v1/version", "", None),
)


def write(directory):
    """Writes the options and those of the log. Returns the paths of the options, and of the sockets of the worker and Redis."""
    options, logs, address, redis = (os.path.join(directory, name) for name in ("options.yaml", "log.yaml", "worker", "redis"))
    resources = [{"names": ["client", "federation"]}, {"names": ["replication"]}]
    listeners = [{"type": "http", "path": address, "mode": 0o600, "resources": resources}]
    own = {"redis": {"enabled": True, "path": redis}, "worker_log_config": logs, "worker_listeners": listeners}
    # JSON is YAML.
    for path, content in ((options, {**OPTIONS, **own}), (logs, LOGS)):
        with open(path, "w") as opened:
            json.dump(content, opened)
    return options, address, redis


def formatted(method, target, headers, body):
    """A request as a client sends it."""
    content = json.dumps(body) if body else ""
    lines = f"Host: {NAME}\r\nConnection: close\r\n{headers}Content-Length: {len(content)}\r\n"
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n{content}".encode()


@contextlib.contextmanager
def without_database():
    """Synapse gets connections to a database that does not exist."""
    import psycopg2
    import synapse.storage.databases as databases
    from synapse.storage.engines.postgres import PostgresEngine

    def nothing(*_, **__):
        pass

    with (replaced(psycopg2, "connect", lambda *_, **__: Connection()), replaced(databases, "prepare_database", nothing),
          replaced(PostgresEngine, "check_database", nothing)):
        yield


@contextlib.contextmanager
def replaced(owner, name, value):
    """Replaces an attribute for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


class Cursor:
    """A cursor of a database without rows, whose sequences and streams are at 1."""

    rowcount = 0

    def execute(self, sql, *_):
        self.sql = sql

    def fetchone(self):
        # Of a sequence, PostgreSQL also returns whether it was used.
        return (1, True) if "is_called" in self.sql else (1,)

    def fetchall(self):
        return []

    def __iter__(self):
        return iter(())

    def close(self):
        pass


class Connection:
    """A connection to such a database. Each method that is not here does nothing."""

    def cursor(self, *_, **__):
        return Cursor()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
