"""The reactor of the fork server: a forked process replaces its epoll instance and its pipe, and nothing else.

Whatever modules did with the reactor while they were imported, such as Synapse's metrics of its poller, remains as after
a plain start. A new reactor, or a proxy for one, would lose that, and a proxy would cost time at each use.
"""
import os
import select
import time


class Reactor:
    """The reactor of Twisted in this process."""

    def __init__(self):
        from twisted.internet import reactor

        self.reactor = reactor

    def problem(self):
        """The reason why processes cannot be forked with this reactor; None if they can."""
        kind = type(self.reactor).__name__
        if kind != "EPollReactor":
            return f"the reactor is {kind}, not EPollReactor"
        if self.reactor._reads != {self.reactor.waker.i} or self.reactor._writes:
            return "a module uses the reactor while it is imported"
        if self.reactor.threadpool:
            return "a module uses threads of the reactor while it is imported"
        return None

    def descriptors(self):
        waker = getattr(self.reactor, "waker", None)
        poller = getattr(self.reactor, "_poller", None)
        numbers = [poller.fileno()] if poller else []
        return {*numbers, *((waker.i, waker.o) if waker else ())}

    def renew(self):
        """Gives the reactor kernel objects of its own, under the numbers of those that it shares with its siblings."""
        poller, waker = self.reactor._poller, self.reactor.waker
        with select.epoll() as fresh:
            os.dup2(fresh.fileno(), poller.fileno(), inheritable=False)
        ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for end, number in zip(ends, (waker.i, waker.o), strict=True):
            os.dup2(end, number, inheritable=False)
            os.close(end)
        poller.register(waker.i, select.EPOLLIN)
        # Synapse measures the time between two calls, the first of them from the import on.
        if hasattr(poller.poll, "last_polled"):
            poller.poll.last_polled = time.time()
