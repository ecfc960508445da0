"""Prints an identifier that the Rust part of Synapse draws, and an access token, from each of some processes that are forked
after the import.

    python forked_ids.py -c PATH…

It runs in the host, with the Python and the configuration of Synapse. The identifiers are those of rendezvous sessions
(MSC4108), whose generator has no protection against forks of its own.
"""

import io
import os
import re
import sys
from unittest.mock import MagicMock

import synapse.app.generic_worker  # noqa: F401
from synapse.app.homeserver import HomeServerConfig
from synapse.handlers.auth import AuthHandler
from synapse.synapse_rust.rendezvous import RendezvousHandler
from synapse.types import UserID
from twisted.web.http_headers import Headers

PROCESSES = 4


def identifier(config: HomeServerConfig) -> str:
    server, request = MagicMock(config=config), MagicMock(method=b"POST", uri=b"/", path=b"/", content=io.BytesIO(b"text"))
    # The same time in all processes: the rest of an identifier is random.
    server.get_clock().time_msec.return_value = 0
    request.requestHeaders = Headers({"Content-Length": ["4"], "Content-Type": ["text/plain"]})
    RendezvousHandler(server, 100, 4096, 60_000, 60_000).handle_post(request)
    return re.search(rb"rendezvous/(\w+)", request.write.call_args.args[0])[1].decode()


def token() -> str:
    return AuthHandler.generate_access_token(MagicMock(), UserID("alice", "test"))


def main() -> None:
    config = HomeServerConfig.load_config("test", sys.argv[1:])
    for _ in range(PROCESSES):
        child = os.fork()
        if not child:
            print(identifier(config), token(), flush=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
