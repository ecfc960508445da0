#!/usr/bin/env python3
"""Two users use every feature of a client through one base URL, and the content of every answer is checked.

    scenario.py BASE_URL [--shared-secret-file FILE] [--record OUT.json]

Prints a line per step and exits 0, or names the failed step with the request and its answer and exits 1. The record
lists every request with the marker by which Synapse's access log names it. The server needs `test-homeserver.yaml`;
a server may be used any number of times, for every run has users and rooms of its own.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import steps_account as account
import steps_leaving as leaving
import steps_live as live
import steps_room as room
import steps_server as server
from matrix import Unexpected
from world import World

# Later steps use the results of earlier ones: the users, their room, a message in it, the public room.
STEPS = (
    account.register, account.login, server.offers, server.media, account.profile,
    room.create_and_join, room.messages, room.read_events, room.state, room.members, room.relations, room.redact, room.search,
    live.receipts, live.typing, live.presence, live.to_device, live.device_keys, live.key_backup, live.sliding_sync,
    room.notifications, account.account_data, account.room_account_data, account.filters, account.push_rules,
    account.devices, account.pushers, account.openid, account.third_party,
    room.public_room, room.space, room.mutual_rooms, live.user_directory, server.federation,
    leaving.kick_and_rejoin, leaving.ban, leaving.knock, leaving.report, leaving.upgrade, server.admin,
    leaving.leave_and_forget, account.change_password, account.logout,
)


def say(line: str) -> None:
    print(line, flush=True)


def run(world: World, report: Callable[[str], None] = say) -> None:
    """Runs all steps in order; raises `Unexpected` with the name of the failed step. The record is in `world.record`."""
    for step in STEPS:
        name = f"{step.__module__.removeprefix('steps_')}.{step.__name__}"
        if step is server.admin and not world.shared_secret:
            report(f"-- {name}: not run, no --shared-secret-file")
            continue
        world.record.step, before, begun = name, len(world.record.entries), time.monotonic()
        try:
            step(world)
        except Unexpected as error:
            raise Unexpected(f"{name}: {error}") from error
        except (AssertionError, KeyError, IndexError, TypeError, ValueError) as error:
            last = world.record.last
            raise Unexpected(f"{name}: {error!r}; last request: {last.unexpected('other content')}") from error
        report(f"ok {name}: {len(world.record.entries) - before} requests, {time.monotonic() - begun:.2f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base_url", help="where the homeserver's clients reach it, as http://127.0.0.1:8008")
    parser.add_argument("--shared-secret-file", type=Path, help="registration_shared_secret, for the step of the admin API")
    parser.add_argument("--record", type=Path, help="where to write all requests with their markers, as JSON")
    options = parser.parse_args()
    secret = options.shared_secret_file and options.shared_secret_file.read_text(encoding="utf-8").strip()
    world = World(options.base_url, secret)
    try:
        run(world)
    except Unexpected as error:
        print(f"FAILED {error}", file=sys.stderr)
        return 1
    finally:
        if options.record:
            world.record.save(options.record)
    print(f"ok: {len(world.record.entries)} requests, markers probe-{world.record.run}-N")
    return 0


if __name__ == "__main__":
    sys.exit(main())
