"""A program as Synapse is one: it has Twisted listen at paths, and serves what tests ask for.

`served.py [--import S | --late S | --deaf S | --full S | --fail] PATH…`: takes S seconds while it is imported, before
the reactor runs, or before it listens; has no descriptor left for S seconds and is late for as long; fails. Each
tells with a line that it has come to that point.
"""
import os
import sys
import time

from twisted.internet import reactor, task
from twisted.web import resource, server

LARGE = 8 << 20


class Page(resource.Resource):
    """`/quick`; `/large`, more than a socket holds; `/slow/S`, after S seconds; anything else is a long poll that nobody ends."""

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
        return server.NOT_DONE_YET


def spend(seconds, what):
    print(what, flush=True)
    time.sleep(seconds)


def use_all_descriptors(seconds):
    used = []
    try:
        while True:
            used.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        spend(seconds, "full")
    for number in used:
        os.close(number)


def listen(paths):
    for path in paths:
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
        spend(seconds, "late")
    if option == "--deaf":
        reactor.callWhenRunning(print, "running", flush=True)
        reactor.callLater(seconds, listen, paths)
    else:
        reactor.callWhenRunning(listen, paths)
    reactor.run()


if __name__ == "served" and "--import" in sys.argv:
    spend(float(sys.argv[sys.argv.index("--import") + 1]), "importing")
if __name__ == "__main__":
    main()
