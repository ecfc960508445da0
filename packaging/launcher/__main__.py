"""Starts a Twisted program on sockets that systemd passes to it (socket activation).

    python launcher [--drain S] [--patience S] [--internal-ports FIRST-LAST] [--first-host ADDRESS:PORT]
                    [--name-users] MODULE ARGUMENT…

The program is Synapse, unmodified. When it calls Twisted to listen at a path or a port, it gets the socket that systemd
opened there. Connections therefore wait in the kernel while the program restarts, and none is refused. Without inherited
sockets, the program runs as with `python -m MODULE`.
"""
import gc

# Nearly all of the start is spent on imports, a quarter of it in the garbage collector. Synapse collects and freezes
# when it is ready.
gc.disable()

import signal

# Signals for a running program are ignored until it installs its handlers. By default, the first three would end it.
# SIGTERM keeps its default action: a process that has not started has nothing to finish.
for early in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
    signal.signal(early, signal.SIG_IGN)

import importlib
import os
import runpy
import sys

import held_sockets
import launcher_options


def main():
    options = launcher_options.parse(sys.argv[1:])

    sockets = held_sockets.inherited()
    waiting = held_sockets.Waiting(sockets, options.patience)
    leave = os._exit
    # Synapse calls os._exit() when its start fails.
    os._exit = lambda code: (waiting.refuse(), leave(code))
    try:
        if options.first_host:
            import first_host

            first_host.wait(options.first_host)
            first_host.watch(options.first_host)
        # Imported before Twisted's reactor, because it may install another one.
        importlib.import_module(options.module.partition(".")[0])
        import held_traffic
        from twisted.internet import reactor

        held_traffic.Traffic(reactor, waiting, options.drain, options.internal_ports).take_over()
        if options.name_users:
            import named_users

            named_users.take_over()
        sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
        sys.argv = [options.module, *options.arguments]
        runpy.run_module(options.module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        # SIGINT before Twisted handles it. The process ends by this signal, as it would by SIGTERM: connections wait
        # for the successor.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        waiting.refuse()
        raise


main()
