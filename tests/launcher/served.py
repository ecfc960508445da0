"""A program as Synapse is one: it has Twisted listen at paths, and serves what tests ask for. `served.py [--late S] [--fail] PATH…`"""
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


def main():
    arguments = sys.argv[1:]
    if arguments[0] == "--late":
        time.sleep(float(arguments[1]))
        del arguments[:2]
    if arguments[0] == "--fail":
        sys.exit(1)
    for path in arguments:
        reactor.listenUNIX(path, server.Site(Page()))
    reactor.callWhenRunning(print, "ready", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
