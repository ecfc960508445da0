"""Starts a Twisted program on Unix sockets that systemd passes to it (socket activation).

    python launcher [--drain S] [--patience S] MODULE ARGUMENT…

The program is Synapse, unmodified: it asks Twisted to listen at a path and gets the socket that systemd opened there. So
connections wait in the kernel while the program restarts, and none is refused. Without inherited sockets it runs as
`python -m MODULE` would.
"""
import gc

# Nearly all of a start is importing, and a quarter of that the collector's. Synapse collects and freezes when it is ready.
gc.disable()

import signal

# Signals that ask something of a program that runs: they do nothing until it has handlers for them. By default the first
# three would end it. SIGTERM keeps its default: a process that has not begun has nothing to finish.
for asking in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
    signal.signal(asking, signal.SIG_IGN)

import argparse
import importlib
import os
import runpy
import sys

import held_sockets


def main():
    parser = argparse.ArgumentParser(prog="launcher")
    parser.add_argument("--drain", type=float, default=10, help="seconds for requests under way when it stops")
    parser.add_argument("--patience", type=float, default=30, help="seconds that connections wait for a start")
    parser.add_argument("module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()

    sockets = held_sockets.inherited()
    waiting = held_sockets.Waiting(sockets, options.patience)
    leave = os._exit
    # Synapse leaves like this when its start fails.
    os._exit = lambda code: (waiting.refuse(), leave(code))
    try:
        # First, since it may choose another reactor.
        importlib.import_module(options.module.partition(".")[0])
        import held_traffic
        from twisted.internet import reactor

        held_traffic.Traffic(reactor, waiting, options.drain).take_over()
        sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
        sys.argv = [options.module, *options.arguments]
        runpy.run_module(options.module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        # SIGINT before Twisted handles it. The process ends by it, as it would by SIGTERM: connections wait for the successor.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        waiting.refuse()
        raise


main()
