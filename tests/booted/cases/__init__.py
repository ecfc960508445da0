"""The cases, in the order that lets one host serve many of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from cases import (
    adopt, adopt_sqlite, again, attacks, bad_input, bare, calls, compressor, cut, external, faults, full, journal, killed, load,
    lossless, metrics, migrate, nasty, neighbours, package, persister, probes, programs, reboot, render, restore, rollback, sandbox, scale,
    slow_clients, sockets, tls, trial, uninstall, upgrade, variables,
)


@dataclass(frozen=True)
class Case:
    """One thing the product must show. `run(host, check)` leaves the host as it found it, unless it is the last there."""

    name: str
    what: str
    run: Callable
    # "full": a host with Synapse, where twenty workers are installed for cases that are not `fresh`; "bare": without Synapse.
    host: str = "full"
    # Whether the case wants a host in which the package is unpacked and nothing installed yet.
    fresh: bool = False
    # Which of the sequences of cases that run side by side; `run` has one host for each at a time. 0: only where it is named.
    lane: int = 1


LANES = (1, 2)

CASES = (
    Case("render", "the desired state as files, without root, systemd or network", render.run, fresh=True, lane=2),
    Case("bad-input", "what cannot be right is refused, and not a byte changes", bad_input.run, fresh=True, lane=2),
    Case("full", "twenty workers serve two users, each request by the process that `routes` names", full.run, fresh=True),
    Case("neighbours", "the distribution's own nginx, Redis and PostgreSQL run on untouched", neighbours.run),
    Case("again", "the same install again changes nothing", again.run),
    Case("journal", "the log level changes without a restart, and the journal reads the same afterwards", journal.run),
    Case("sandbox", "what systemd says of the units' exposure, and what a process finds that tries to leave", sandbox.run),
    Case("load", "a mixed load: nothing fails, and the main process has little to do", load.run),
    Case("scale", "two more workers of a role, and back", scale.run),
    Case("persister", "another event persister, in the order that Synapse needs", persister.run),
    Case("rollback", "the way back, asked for and after failures", rollback.run),
    Case("trial", "a change that is confirmed stays, one that is not goes by itself", trial.run),
    Case("probes", "whatever verify asks for is missed by name, and status tells what drifted", probes.run),
    Case("killed", "processes that are killed come back by themselves", killed.run),
    Case("reboot", "everything is back by itself after a reboot", reboot.run),
    Case("uninstall", "what uninstall leaves, and --purge does not", uninstall.run),
    Case("faults", "whatever goes wrong in a change: done, as before, or a message that helps", faults.run, fresh=True),
    Case("faults-all", "the same at every step, and whatever is needed goes down at every stage", partial(
        faults.run, thorough=True), fresh=True, lane=0),
    Case("cut", "a run that is killed at any moment: the next one repairs the host", cut.run, fresh=True, lane=0),
    Case("adopt", "a server of Debian's package, with its users, is taken over and given back", adopt.run, fresh=True, lane=2),
    Case("adopt-sqlite", "a server with SQLite is taken over and moved by a run that is cut", adopt_sqlite.run, fresh=True, lane=2),
    Case("migrate", "without workers: SQLite, then PostgreSQL with every row, then workers, and none again", migrate.run, fresh=True,
         lane=2),
    Case("tls", "HTTPS with a certificate that is renewed, a socket for another proxy, what is open to whom", tls.run, fresh=True, lane=2),
    Case("slow-clients", "thousands of half requests, and requests that are too large", slow_clients.run, fresh=True, lane=2),
    Case("sockets", "processes on Unix sockets, on TCP ports, and back", sockets.run, fresh=True, lane=2),
    Case("external", "PostgreSQL over TCP and Redis over TLS, with passwords from files", external.run, fresh=True, lane=2),
    Case("variables", "everything on at once, from one env-file with every variable of the ancestor", variables.run, fresh=True, lane=2),
    Case("metrics", "every process is a target, pages and rules speak of what there is, and all goes again", metrics.run, fresh=True, lane=2),
    Case("nasty", "settings full of characters that mean something elsewhere", nasty.run, fresh=True, lane=2),
    Case("package", "the package is installed, upgraded and removed; one of Synapse brings new code", package.run, fresh=True, lane=2),
    Case("programs", "missing programs are a step of the plan, shown and confirmed", programs.run, fresh=True, lane=2),
    Case("restore", "backup, loss and restore by the commands of the documentation", restore.run, fresh=True, lane=2),
    Case("calls", "people who log in call through the TURN server, nobody reaches the own network", calls.run, fresh=True, lane=2),
    Case("attacks", "a compromised account or a local user gains nothing from root, and cannot stop the server", attacks.run, fresh=True,
         lane=2),
    Case("compressor", "the state compressor: less in the database, the same in the rooms", compressor.run, fresh=True, lane=2),
    Case("bare", "a small host without Synapse, which is installed into a venv", bare.run, host="bare", fresh=True, lane=2),
    Case("upgrade", "another release of Synapse and back, as far as the database allows", upgrade.run, host="bare", fresh=True, lane=2),
    Case("lossless", "users go on while the server is changed and restarted", lossless.run, host="bare", fresh=True),
    Case("lossless-off", "the same without held sockets, for comparison", partial(
        lossless.run, form=replace(lossless.SHORT, held=False)), host="bare", fresh=True, lane=0),
    Case("soak", "the same with every worker, at length", partial(lossless.run, form=lossless.LONG), host="bare", fresh=True, lane=0),
    Case("soak-off", "the same without held sockets, for comparison", partial(
        lossless.run, form=replace(lossless.LONG, held=False, rounds=1, strict=False)), host="bare", fresh=True, lane=0),
)
