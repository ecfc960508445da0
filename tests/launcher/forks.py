"""The fork server: forked processes are what plain starts are, and nothing that they must not have in common is."""

import json
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

from forked import LIMIT, ForkTestCase
from launched import LAUNCHER, Client

# Module code that the fork server cannot share.
THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), name='sleeper', daemon=True).start()\n"
FILE = "import os\nopened = open(os.devnull)\n"
# The fork of this number, counted in each process, finds no memory.
NO_MEMORY = """
import errno, os
fork, made = os.fork, []
def limited():
    made.append(None)
    if len(made) == {0}:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    return fork()
os.fork = limited
"""


class Forks(ForkTestCase):
    maxDiff = None

    def test_a_forked_process_is_what_a_plain_start_is(self):
        self.assertRegex(self.serve(), r"^\d+ modules imported in [\d.]+ s$")
        # The same variables for both: systemd's own, and those that the shell in between adds.
        plain = self.start("--exit", "0", module="reported", prints=None, session=True)
        expected = json.loads(plain.stdout.readline())
        found = self.report("--exit", "0")
        for report in (expected, found):
            self.assertEqual(report["listen_pid"], None, "the launcher removes it")
            for name in ("_", "PWD", "OLDPWD", "SHLVL"):
                report["same"]["environment"].pop(name, None)
        # The plain start also inherits descriptors of this test: it has more than the poller and two pairs of pipes.
        self.assertEqual(found["same"].pop("descriptors"), ["anon_inode", *4 * ["pipe"]])
        expected["same"].pop("descriptors")
        self.assertEqual(found["same"], expected["same"])

    def test_with_immortal_objects_a_forked_process_serves_and_ends_as_others_do(self):
        state = self.serve("--immortal")
        tested = sys.implementation.name == "cpython" and (3, 12) <= sys.version_info[:2] <= (3, 13)
        self.assertRegex(state, r"; \d+ objects are immortal$" if tested else "; immortal objects were not tested with")
        process = self.start_forked()
        self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))
        process.terminate()
        self.assertEqual(process.status(), 0)
        self.assertEqual(self.ask("--exit", "7", module="reported").go().status(), 7)

    def test_a_forked_process_is_a_child_of_pid_1_with_its_own_session_and_exit_status(self):
        self.serve()
        forked = self.ask("--exit", "7", module="reported").go()
        stat = Path(f"/proc/{forked.pid}/stat").read_text().rpartition(")")[2].split()
        self.assertEqual((int(stat[1]), int(stat[3])), (os.getpid(), forked.pid))
        self.assertEqual(forked.status(), 7)
        killed = self.ask("--wait", module="reported").go()
        killed.line()
        killed.send_signal(signal.SIGKILL)
        self.assertEqual(killed.status(), -signal.SIGKILL)

    def test_other_processes_of_the_same_user_cannot_read_its_memory(self):
        self.serve()
        self.assertEqual(self.report()["memory_is_open"], False)
        self.assertEqual(self.report(oom_score_adj=777)["memory_is_open"], False)

    def test_no_two_processes_draw_the_same_random_values(self):
        for options in ((), ("--immortal",)):
            self.serve(*options)
            drawn = [self.report()["drawn"] for _ in range(4)]
            for name in drawn[0]:
                self.assertEqual(len({values[name] for values in drawn}), len(drawn), name)
            self.end()

    def test_it_serves_held_sockets_and_finishes_requests_when_it_stops(self):
        self.serve()
        early = self.client_before_start()
        process = self.start_forked()
        self.assertEqual(early.result(), (200, b"quick"))
        slow, poll = Client(self.public, "/slow/1", "POST"), Client(self.public, "/_matrix/client/v3/sync?since=s1&timeout=9")
        self.wait_until_received(slow, poll)
        process.terminate()
        self.wait_until_closed(process, self.sockets[0])
        between = Client(self.public, "/quick")
        self.assertEqual(slow.result(), (200, b"slow"))
        self.assertEqual(json.loads(poll.result()[1]), {"next_batch": "s1"})
        self.assertEqual(process.status(), 0)
        self.start_forked()
        self.assertEqual(between.result(), (200, b"quick"))

    def test_two_processes_share_no_reactor(self):
        self.serve()
        first = self.start_forked()
        self.sockets.reverse()
        second = self.ask().go()
        self.expect(second, "ready")
        for process in (first, second):
            process.terminate()
            self.assertEqual(process.status(), 0)
            # The other one still notices events.
            if process is first:
                self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))

    def test_processes_outlive_the_server(self):
        self.serve()
        process = self.start_forked()
        self.server.kill()
        self.server.wait(LIMIT)
        self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))
        process.terminate()
        self.assertEqual(process.status(), 0)

    def test_the_server_ends_at_its_age_and_its_processes_go_on(self):
        self.serve("--age", "5")
        process = self.start_forked()
        self.assertEqual(self.server.wait(LIMIT), 0)
        self.assertEqual(Client(self.public, "/quick").result(), (200, b"quick"))
        process.terminate()
        self.assertEqual(process.status(), 0)

    def test_it_checks_configurations(self):
        """As a start does, from the same image: with a stand-in for the parts of Synapse that read its configuration."""
        self.module("synapse/__init__", "")
        self.module("synapse/config/__init__", "")
        self.module("synapse/config/_base", "class ConfigError(Exception):\n    path = ()\n")
        self.module("synapse/config/homeserver", (
            "from synapse.config import _base\n"
            "class HomeServerConfig:\n"
            "    @staticmethod\n"
            "    def load_config(text, words):\n"
            "        print(*words, flush=True)\n"
        ))
        self.serve("--also", "synapse.config.homeserver")
        check = [sys.executable, str(LAUNCHER / "check_configuration.py"), json.dumps([["main.yaml", ["a", "b"]]]), "/etc"]
        forked = self.start_forked(arguments=check, prints=None)
        self.assertEqual(forked.line(), "-c a -c b\n")
        self.assertEqual(forked.status(), 0)
        unknown = self.ask(arguments=[check[0], str(LAUNCHER / "unknown.py")])
        self.assertRegex(unknown.answer, "^no .*not for .*/unknown.py")

    def test_a_process_whose_unit_gave_up_ends_without_a_trace(self):
        self.serve()
        forked = self.ask("--exit", "7", module="reported")
        forked.connection.close()
        self.assertEqual(forked.status(), 0)
        self.assertEqual(forked.output.read(), "")

    def test_a_higher_oom_score_is_the_process_s_own(self):
        self.serve()
        self.assertEqual(self.report(oom_score_adj=777)["same"]["oom_score_adj"], "777\n")
        self.assertNotEqual(self.report()["same"]["oom_score_adj"], "777\n")


class Refusals(ForkTestCase):
    def refused(self, reason, *arguments, **more):
        answer = self.ask(*arguments, **more).answer
        self.assertRegex(answer, f"^no .*{reason}")

    def test_a_unit_that_differs_from_the_server_is_refused(self):
        self.serve()
        request = self.request([])
        for field, value, reason in (
            ("environment", {**request["environment"], "SECRET": "hidden"}, "SECRET differs$"),
            ("environment", {name: value for name, value in request["environment"].items() if name != "PATH"}, "PATH differs"),
            ("directory", "/nowhere", "working directory"),
            ("status", re.sub(r"Umask:\t\d+", "Umask:\t0123", request["status"]), "Umask"),
            ("status", re.sub(r"NoNewPrivs:\t\d", "NoNewPrivs:\t9", request["status"]), "NoNewPrivs"),
            ("status", re.sub(r"Cpus_allowed:\t", "Cpus_allowed:\t1,", request["status"]), "Cpus_allowed"),
            ("limits", re.sub(r"Max open files +\d+", "Max open files            63", request["limits"]), "Max open files"),
        ):
            with self.subTest(reason=reason):
                self.refused(reason, **{field: value})
        self.start_forked()

    def test_another_program_is_refused(self):
        self.serve()
        command = self.command()
        self.refused("not for /usr/bin/false", arguments=["/usr/bin/false", *command[1:]])
        self.refused("did not import unknown", arguments=[*command[:2], "unknown"])
        # An imported module among the arguments of another one, and as the value of an option.
        self.refused("did not import unknown", arguments=[*command[:2], "--drain", "5", "unknown", "served"])
        self.refused("did not import None", arguments=[*command[:2], "--drain", "served", "served"])

    def test_changed_modules_are_refused(self):
        changed = self.module("changed", "")
        self.serve("--also", "changed", "--also", "missing")
        self.start_forked()
        changed.write_text("# A later version.\n")
        self.refused(f"{re.escape(str(changed))} has changed")

    def test_imports_that_a_fork_would_break_are_refused(self):
        for code, reason in ((THREAD, "started threads.*: sleeper"), (FILE, "left files open.*/dev/null")):
            with self.subTest(reason=reason):
                self.module("breaking", code)
                self.assertRegex(self.serve(modules=("served", "breaking")), reason)
                self.refused(reason)
                self.end()

    def test_without_memory_for_a_fork_it_refuses_and_goes_on(self):
        for fork, reason in ((1, "Cannot allocate memory"), (2, "the second fork failed")):
            with self.subTest(fork=fork):
                self.module("limiting", NO_MEMORY.format(fork))
                self.serve("--also", "limiting")
                self.refused(reason)
                if fork == 1:
                    self.start_forked()
                self.end()

    def test_the_server_outlives_bad_requests_and_clients_that_send_nothing(self):
        self.serve()
        for sent in (b"no JSON", b"{}", b"[]"):
            connection = self.connect()
            socket.send_fds(connection, [sent], [0, 1, 2])
            self.assertRegex(connection.recv(4096), b"^no ")
        ended = self.connect()
        ended.close()
        silent, begun = self.connect(), time.monotonic()
        self.start_forked()
        self.assertLess(time.monotonic() - begun, LIMIT)
        self.assertRegex(silent.recv(4096), b"^no ")
