"""Code that a worker runs is moved in the fork server: it does what it did, and nothing of the pilot is left."""

import json
import re
import sys
import unittest
from pathlib import Path

from forked import ForkTestCase
from launched import LAUNCHER, Client

sys.path.append(str(LAUNCHER))
import warm_code  # noqa: E402

# Versions of CPython whose references to code objects are known.
COUNTED = sys.implementation.name == "cpython" and (3, 11) <= sys.version_info[:2] <= (3, 13)
# What the pilot replaces in Synapse.
STAND_INS = {
    "shared": "RUNS = []\n",
    "psycopg2": "connect = None\n",
    "synapse/config/__init__": "", "synapse/config/_base": "import jinja2\n",
    "synapse/__init__": "", "synapse/app/__init__": "", "synapse/storage/__init__": "",
    "synapse/storage/databases": "prepare_database = None\n",
    "synapse/storage/engines/__init__": "",
    "synapse/storage/engines/postgres": "class PostgresEngine:\n    check_database = None\n",
}
# A worker with the options of Synapse, which changes a module.
WORKER = """
import json, sys
from twisted.internet import reactor
from twisted.web import resource, server
import shared

class Page(resource.Resource):
    isLeaf = True
    render = render_GET = lambda self, request: b"answer"

def main():
    options = json.load(open(sys.argv[2]))
    shared.RUNS.append(options["server_name"])
    for listener in options["worker_listeners"]:
        reactor.listenUNIX(listener["path"], server.Site(Page()))
    print("ready", shared.RUNS, flush=True)
    reactor.run()

if __name__ == "__main__":
    main()
"""


def plain(number):
    return number + 1


def never():
    return "never"


def maker(step):
    def inner(number):
        return number + step
    return inner


def numbers(count):
    yield from (number * number for number in range(count))


def failing():
    raise ValueError("failing")


def looked_for():
    return "looked for"


LOOKED_FOR = looked_for.__code__
EARLIER = maker(1)


class Moves(unittest.TestCase):
    def run_all(self):
        try:
            failing()
        except ValueError as error:
            line = error.__traceback__.tb_next.tb_lineno
        return plain(1), maker(2)(3), EARLIER(5), list(numbers(4)), looked_for(), line

    def test_code_that_ran_is_moved_and_does_the_same(self):
        # Not the code objects themselves: those with further references are not moved.
        before = {function: id(function.__code__) for function in (plain, never, maker, EARLIER, numbers, failing, looked_for)}
        ran = warm_code.Ran()
        expected = [self.run_all() for _ in range(20)][-1]
        self.assertEqual(expected, (2, 5, 6, [0, 1, 4, 9], "looked for", failing.__code__.co_firstlineno + 1))
        addresses = ran.now()
        del ran
        moved = warm_code.move(addresses)
        self.assertEqual(self.run_all(), expected)
        self.assertEqual(id(never.__code__), before[never], "it did not run")
        self.assertIs(looked_for.__code__, LOOKED_FOR, "it has another reference")
        if COUNTED:
            self.assertGreater(moved, 4)
            for function in (plain, maker, EARLIER, numbers, failing):
                self.assertNotEqual(id(function.__code__), before[function], function.__name__)
        self.assertIs(maker(7).__code__, EARLIER.__code__, "a closure that was made before")


class Pilots(ForkTestCase):
    def setUp(self):
        super().setUp()
        for name, code in STAND_INS.items():
            self.module(name, code)

    def worker(self, code):
        self.module("synapse/app/generic_worker", code)
        return self.serve(modules=("served", "synapse.app.generic_worker"))

    def test_the_pilot_finds_the_code_that_a_worker_runs_and_leaves_nothing(self):
        state = self.worker(WORKER)
        found = re.search(r" s; (\d+) code objects moved$", state)
        self.assertIsNotNone(found, state)
        if COUNTED:
            self.assertGreater(int(found[1]), 50)
        options = Path(self.directory.name, "options.json")
        options.write_text(json.dumps({"server_name": "own", "worker_listeners": [{"path": str(self.public)}]}))
        process = self.ask("-c", str(options), module="synapse.app.generic_worker").go()
        self.expect(process, "ready ['own']")
        self.assertEqual(Client(self.public, "/").result(), (200, b"answer"))
        process.terminate()
        self.assertEqual(process.status(), 0)

    def test_without_a_pilot_processes_are_forked_as_well(self):
        for code, reason in (
            ("def main():\n    raise LookupError('failed')\n", "because LookupError: failed$"),
            ("import os\ndef main():\n    os.kill(os.getpid(), 9)\n", "because its pilot ended with -9$"),
        ):
            with self.subTest(reason=reason):
                self.assertRegex(self.worker(code), f"; code was not moved, {reason}")
                self.start_forked()
                self.end()
