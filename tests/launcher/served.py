"""A fake Synapse: Twisted listens at the given paths and serves pages for the tests.

`served.py [--import S | --late S | --deaf S | --full S | --fail] PATH…` sleeps S seconds while it is imported
(`--import`), before the reactor runs (`--late`) or before it listens (`--deaf`); uses up all descriptors for S seconds
and is then late (`--full`); or exits with an error (`--fail`). It prints a line at each of these points.
"""
import os
import sys
import time
from urllib.parse import unquote_to_bytes

from twisted.internet import reactor, task
from twisted.web import resource, server

LARGE = 8 << 20


class Page(resource.Resource):
    """`/quick`; `/large`, more than a socket holds; `/slow/S`, after S seconds; `/whoami/TEXT`, after a moment and in two
    parts, as Synapse does; any other path is a long poll without an answer."""

    isLeaf = True

    def render(self, request):
        kind, _, seconds = request.path.decode().lstrip("/").rpartition("/")
        if request.path == b"/quick":
            return b"quick"
        if request.path == b"/large":
            return LARGE * b"l"
        if kind.endswith("slow"):
            def answer():
                request.write(b"slow")
                request.finish()
            task.deferLater(reactor, float(seconds), answer)
        if request.path.startswith(b"/whoami/"):
            def identify():
                request.write(unquote_to_bytes(request.path[len("/whoami/"):]))
                request.write(b"\n")
                request.finish()
            reactor.callLater(0, identify)
        return server.NOT_DONE_YET


def print_and_sleep(line, seconds):
    print(line, flush=True)
    time.sleep(seconds)


def use_all_descriptors(seconds):
    used = []
    try:
        while True:
            used.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        print_and_sleep("full", seconds)
    for number in used:
        os.close(number)


def listen(paths):
    for path in paths:
        address, _, port = path.rpartition(":")
        if address:
            reactor.listenTCP(int(port), server.Site(Page()), interface=address)
        else:
            reactor.listenUNIX(path, server.Site(Page()))
    print("ready", flush=True)


def main():
    option, seconds, paths = "", 0.0, sys.argv[1:]
    if paths[0] == "--fail":
        sys.exit(1)
    if paths[0].startswith("--"):
        option, seconds, paths = paths[0], float(paths[1]), paths[2:]
    if option == "--full":
        use_all_descriptors(seconds)
    if option in ("--full", "--late"):
        print_and_sleep("late", seconds)
    if option == "--deaf":
        reactor.callWhenRunning(print, "running", flush=True)
        reactor.callLater(seconds, listen, paths)
    else:
        reactor.callWhenRunning(listen, paths)
    reactor.run()


if __name__ == "served" and "--import" in sys.argv:
    print_and_sleep("importing", float(sys.argv[sys.argv.index("--import") + 1]))
if __name__ == "__main__":
    main()
