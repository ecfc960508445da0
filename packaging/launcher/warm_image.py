"""The image of the fork server: the imported modules, and the reasons why none, or no longer, can be forked from it."""
import contextlib
import gc
import importlib
import os
import random
import sys
import threading
import time

import launcher_options
import warm_code
import warm_memory
import warm_pilot
import warm_reactor
import warm_request
import warm_script

HERE = os.path.dirname(os.path.abspath(__file__))
# The check of the configuration, which runs none of the modules.
CHECK = os.path.join(HERE, "check_configuration.py")
# Modules that a start needs besides those of the program.
STARTING = ("runpy", "held_sockets", "held_traffic")


class Image:
    """Imported modules, and the files that they were imported from.

    `modules` are those that processes run, `also` are others that they use if the host has them. Options of Synapse are
    not loaded: that would import nothing more, and leave the options, with their secrets, in later processes.
    """

    def __init__(self, modules, also, immortal, sandbox):
        begun = time.monotonic()
        self.modules, self.sandbox = modules, sandbox
        # Low numbers belong to the held sockets of forked processes. The reactor gets higher ones.
        reserved = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)]
        while reserved[-1] < warm_request.END - 1:
            reserved.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        before = descriptors()
        # As in the launcher: the package before the reactor, because it may install another one.
        for module in modules:
            importlib.import_module(module.partition(".")[0])
        self.reactor = warm_reactor.Reactor()
        for module in (*STARTING, *modules):
            importlib.import_module(module)
        for module in also:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
        self.files = {path: identity(path) for path in sources()}
        # The reason to refuse all requests, if there is one.
        self.problem = sandbox.problem or self.find_problem(descriptors() - before)
        for number in reserved:
            os.close(number)
        gathered = "" if self.problem else self.gather()
        # Generators that modules made for themselves; Python renews only the one behind random.random().
        self.generators = [one for one in gc.get_objects()
                           if isinstance(one, random.Random) and not isinstance(one, random.SystemRandom)]
        # A forked process runs its module as `python -m` does: freshly, and under the name __main__.
        for module in modules:
            sys.modules.pop(module, None)
        done = warm_memory.prepare(immortal)
        self.summary = self.problem or f"{len(sys.modules)} modules imported in {time.monotonic() - begun:.1f} s{gathered}{done}"

    def gather(self):
        """Uses what the pilot finds out about workers of Synapse, if there are any. Returns a part of the summary."""
        if warm_script.WORKER not in self.modules:
            return ""
        # It imports what only an environment with Synapse has.
        import warm_results

        results = warm_results.Results()
        results.install()
        problem, addresses = warm_pilot.fly(self.reactor, results, self.sandbox)
        if problem:
            return f"; code was not moved, because {problem}"
        return f"; {warm_code.move(addresses)} code objects moved"

    def find_problem(self, opened):
        """Threads and descriptors of modules: a fork keeps the first from working and shares the others."""
        left = opened - self.reactor.descriptors()
        if len(os.listdir("/proc/self/task")) > 1:
            others = sorted(thread.name for thread in threading.enumerate() if thread is not threading.main_thread())
            return f"a module started threads while it was imported: {', '.join(others) or 'not those of Python'}"
        if left:
            targets = sorted(os.readlink(f"/proc/self/fd/{number}") for number in left)
            return f"a module left files open while it was imported: {', '.join(targets)}"
        return self.reactor.problem()

    def refusal(self, request):
        """The reason why a forked process would not be what the unit asks for; None if it would be."""
        if self.problem:
            return self.problem
        python, launcher, *arguments = request.arguments
        if python != sys.orig_argv[0] or launcher not in (HERE, CHECK):
            return f"it imported for {sys.orig_argv[0]} {HERE}, not for {python} {launcher}"
        # The check runs none of the modules.
        if launcher == HERE:
            module = launcher_options.module_of(arguments)
            if module not in self.modules:
                return f"it did not import {module} to run it"
        for path, then in self.files.items():
            if identity(path) != then:
                return f"{path} has changed since the fork server started"
        return None


def sources():
    """The files of the program: Python, all modules, and the launcher."""
    loaded = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    launcher = (os.path.join(HERE, name) for name in os.listdir(HERE) if name.endswith(".py"))
    return {path for path in (*loaded, *launcher, sys.executable) if path}


def identity(path):
    """Properties that change when a file is replaced or edited; None if there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def descriptors():
    """The open descriptors of this process."""
    numbers = set()
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            os.fstat(number)
        except OSError:
            # The one with which the directory was read.
            continue
        numbers.add(number)
    return numbers
