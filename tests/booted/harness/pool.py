"""The hosts of one lane, one at a time: two sets of twenty workers would only compete for the processors."""

import signal

from harness import deployment, listing
from harness.expect import CheckFailed
from harness.host import Host

# Signals that end a run.
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class HostPool:
    """Provides each case with a host in the state that it needs, independent of earlier cases."""

    def __init__(self, lane: int) -> None:
        self.lane = lane
        self.host: Host | None = None
        self.bare = False

    def fresh(self, bare: bool = False) -> Host:
        """A host on which the package is unpacked and nothing is installed."""
        if self.host and self.bare == bare and listing.everything(self.host) == self.host.before:
            deployment.forget_clients(self.host)
            return self.host
        return self._boot(bare)

    def installed(self) -> Host:
        """The host with one worker of each role, which the cases that need it share."""
        if self.host and self.host.with_full:
            try:
                deployment.return_to_full(self.host)
                return self.host
            except (CheckFailed, OSError) as error:
                print(f"      another host takes the place of {self.host.name}, which is not as it was installed: {error}", flush=True)
        host = self.fresh()
        try:
            deployment.install(host)
        except BaseException:
            self.stop()
            raise
        return host

    def _boot(self, bare: bool) -> Host:
        self.stop()
        self.host, self.bare = Host(f"booted-{self.lane}-{'bare' if bare else 'full'}", *(["--bare"] if bare else [])), bare
        try:
            deployment.unpack(self.host)
            deployment.remember(self.host)
        except BaseException:
            self.stop()
            raise
        return self.host

    def stop(self) -> None:
        """Ends the host, also after a second Ctrl-C."""
        if self.host:
            before = {ending: signal.signal(ending, signal.SIG_IGN) for ending in ENDINGS}
            self.host.stop()
            self.host = None
            for ending, handler in before.items():
                signal.signal(ending, handler)
