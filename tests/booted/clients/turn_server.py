#!/usr/bin/env python3
"""Registers a user and prints the TURN credentials that it gets: `turn_server.py BASE_URL`."""

import json
import sys

from matrix import Client


def main() -> None:
    alice = Client(sys.argv[1])
    alice.register(f"caller{alice.record.run}", "secret")
    print(json.dumps(alice.get("/voip/turnServer")))


if __name__ == "__main__":
    main()
