#!/usr/bin/env python3
"""Users of the Matrix Authentication Service who change their tokens: `mas_tokens.py BASE_URL STAND_IN_URL USERS TOKENS EACH`.

Each of USERS, side by side, syncs EACH times with each of TOKENS tokens, and then with one that Synapse made before the
migration. Prints the markers of the requests by user and token, and their times, as JSON. `STAND_IN_URL` is that of
mas_stand_in.py.
"""

import base64
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mas_users import MasUser
from matrix import Record, Unexpected


def changes(user: MasUser, tokens: int, each: int) -> list[list[str]]:
    """The markers of the syncs, by token."""
    markers = []
    for number in range(tokens + 1):
        if number < tokens:
            user.change_token()
        else:
            localpart = base64.b64encode(user.name.encode()).decode().rstrip("=")
            user.token = f"syt_{localpart}_{user.record.run}_abcdef"
            user.steer("adopt", name=user.name, token=user.token)
        markers.append([])
        for _ in range(each):
            path = user.path("/sync", query={"timeout": 0, **({"since": user.since} if user.since else {})})
            answer = user.request("GET", path)
            user.since = answer.json()["next_batch"]
            markers[-1].append(answer.marker)
    return markers


def meet(base_url: str, stand_in: str, users: int, tokens: int, each: int) -> dict[str, Any]:
    record = Record()
    named = [MasUser(base_url, stand_in, f"u{number}{record.run}", record) for number in range(users)]
    begun = time.monotonic()
    with ThreadPoolExecutor(users) as threads:
        markers = list(threads.map(lambda user: changes(user, tokens, each), named))
    syncs = [entry["seconds"] for entry in record.entries if "/sync" in entry["path"]]
    return {"run": record.run, "users": {user.name: found for user, found in zip(named, markers, strict=True)},
            "seconds": time.monotonic() - begun, "slowest": max(syncs), "median": sorted(syncs)[len(syncs) // 2]}


def main() -> int:
    base_url, stand_in, *numbers = sys.argv[1:]
    try:
        print(json.dumps(meet(base_url, stand_in, *map(int, numbers))))
    except Unexpected as error:
        print(f"FAILED {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
