"""Prints the endpoints that the Synapse of this Python registers in its main process and in a worker.

Synapse itself builds the resource trees of both processes, for two configurations. No port and no database is opened:
the resource tree is taken before Synapse listens, and a stand-in replaces the datastores, which servlets only store.
"""
import copy
import json
import logging
import re
import sys
from unittest.mock import MagicMock

COMMON = {
    "server_name": "localhost",
    "report_stats": False,
    "signing_key": "ed25519 a_x " + "A" * 43,
    "macaroon_secret_key": "x",
    "worker_replication_secret": "x",
    # Synapse creates its directory, if it does not exist.
    "media_store_path": "/",
    "database": {"name": "sqlite3", "args": {"database": ":memory:"}},
}
WORKER = {
    "worker_app": "synapse.app.generic_worker",
    "worker_name": "worker",
    "instance_map": {"main": {"host": "localhost", "port": 1}},
    "redis": {"enabled": True},
}
# A provider of single sign-on that needs no further package and no request.
PLAIN = {"cas_config": {"enabled": True, "server_url": "https://cas.invalid"}}
MAS = {
    "matrix_authentication_service": {"enabled": True, "endpoint": "http://localhost/", "secret": "x"},
    "password_config": {"enabled": False},
}
RESOURCES = ["client", "federation", "media", "keys"]


class EveryFlag(dict):
    """Experimental features: every flag that is off by default is on, unless it is an item."""

    def get(self, key, default=None):
        return super().get(key, True if default is False else default)


# MSC2697 excludes its successor.
FLAGS = EveryFlag(msc2697_enabled=False)


class Built(Exception):
    """Ends the start of a process with its resources, by path."""


def stop(resources, _root):
    raise Built(resources)


def registered(options, worker):
    """Yields method, pattern and servlet of every endpoint of a process."""
    from synapse.app import generic_worker, homeserver
    from synapse.config.homeserver import HomeServerConfig
    from synapse.config.server import HttpListenerConfig, HttpResourceConfig, TCPListenerConfig

    config = HomeServerConfig()
    # Synapse changes what it parses.
    config.parse_config_dict(copy.deepcopy({**COMMON, **options, **(WORKER if worker else {})}), "", "")
    http = HttpListenerConfig(resources=[HttpResourceConfig(names=RESOURCES)])
    listener = TCPListenerConfig(port=1, bind_addresses=[], type="http", http_options=http)
    app = generic_worker if worker else homeserver
    server = (app.GenericWorkerServer if worker else app.SynapseHomeServer)("localhost", config=config)
    server.datastores = MagicMock()
    app.create_resource_tree = stop
    try:
        app.GenericWorkerServer._listen_http(server, listener) if worker else server._listener_http(config, listener)
    except Built as built:
        for path, resource in built.args[0].items():
            yield from endpoints(path, resource)


def endpoints(path, resource):
    from synapse.http.server import JsonResource

    if isinstance(resource, JsonResource):
        for pattern, methods in resource._routes.items():
            for method, entry in methods.items():
                yield method.decode(), pattern.pattern, entry.servlet_classname
        return
    for name, child in resource.children.items():
        yield from endpoints(path + "/" + name.decode(), child)
    for name in dir(resource):
        method = re.fullmatch("(?:_async_)?render_(?!HEAD$|OPTIONS$)([A-Z]+)", name)
        if method:
            yield method[1], "^" + re.escape(path) + "(/|$)", type(resource).__name__


def ask():
    """Each endpoint, with the processes that register it and whether they do so without experimental features."""
    from synapse.config._base import ConfigError

    found = {}
    for worker in (False, True):
        for plain, options in ((True, PLAIN), (False, {**MAS, "experimental_features": FLAGS})):
            try:
                listed = list(registered(options, worker))
            except ConfigError:
                # Flags of this release that exclude each other.
                listed = list(registered({**options, "experimental_features": {}}, worker))
            for endpoint in listed:
                process = found.setdefault(endpoint, {"main": False, "worker": False, "plain": False})
                process["worker" if worker else "main"] = True
                process["plain"] |= plain
    return [dict(zip(("method", "pattern", "servlet"), endpoint, strict=True), **found[endpoint]) for endpoint in sorted(found)]


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    # The answer is alone on standard output, whatever the imported code prints.
    out, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(ask()), file=out)
