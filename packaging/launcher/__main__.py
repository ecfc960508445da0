"""Starts a Python program of Twisted on Unix sockets that systemd holds: python launcher [--drain S] [--patience S] MODULE ARGUMENT…

The program is Synapse, and knows nothing of it: it asks Twisted to listen at a path and gets the socket that systemd has
there. So connections wait in the kernel while the program is restarted, and nobody is refused. Without inherited sockets
it runs as `python -m MODULE` would.
"""
import gc

# Nearly all of a start is importing, and a quarter of that the collector's. Synapse collects and freezes when it is ready.
gc.disable()

import argparse
import importlib
import os
import runpy
import signal
import sys

import held_sockets


def main():
    parser = argparse.ArgumentParser(prog="launcher")
    parser.add_argument("--drain", type=float, default=10, help="seconds for requests under way when it stops")
    parser.add_argument("--patience", type=float, default=30, help="seconds that connections wait for a start")
    parser.add_argument("module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()

    # By default a signal that is ignored: before there is somebody to hear it, it does no harm.
    signal.signal(signal.SIGWINCH, signal.SIG_IGN)
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
    finally:
        # Nothing after an orderly end: what waits is the successor's.
        waiting.refuse()


main()
