"""Code that runs lies together, so that a process copies fewer pages: Python writes counters into the code that it executes.

A fork server has about 30,000 code objects, of which a process executes a tenth, here and there. Copies of these take their
places, one after the other in pages that contain nothing else.
"""
import gc
import sys
import types

import warm_memory

# References to a code object while `Move.copy` looks at it: that of `Code.all`, a variable of the caller, the parameter, and
# the argument of sys.getrefcount(). With an interpreter that counts otherwise, no code is moved.
LOOKING = 4


class Code:
    """The code objects of this process, and the references to them: functions, and the constants of other code."""

    def __init__(self):
        self.functions, self.uses, self.all = {}, {}, {}
        for thing in gc.get_objects():
            if type(thing) is types.FunctionType:
                self.functions.setdefault(id(thing.__code__), []).append(thing)
        waiting = [functions[0].__code__ for functions in self.functions.values()]
        while waiting:
            code = waiting.pop()
            if id(code) not in self.all:
                self.all[id(code)] = code
                for inner in code.co_consts:
                    if type(inner) is types.CodeType:
                        self.uses[id(inner)] = self.uses.get(id(inner), 0) + 1
                        waiting.append(inner)


class Ran:
    """Which code runs from now on."""

    def __init__(self):
        self.code = Code().all
        self.before = {address: digest(code) for address, code in self.code.items()}

    def now(self):
        """The addresses of the code objects that have run since."""
        return [address for address, code in self.code.items() if digest(code) != self.before[address]]


class Move:
    """Puts copies into the places of the code objects with some addresses."""

    def __init__(self, addresses):
        self.wanted = set(addresses)
        self.code = Code()
        self.copies = {}

    def perform(self):
        """Returns the number of copies."""
        for functions in self.code.functions.values():
            code = functions[0].__code__
            copy = self.copy(code)
            if copy is not code:
                for function in functions:
                    function.__code__ = copy
        return len(self.copies)

    def copy(self, code):
        """The copy of a code object; itself if it is not wanted, or if there are references of another kind.

        Twisted and Jinja, for example, look for some of their code objects in tracebacks.
        """
        known = len(self.code.functions.get(id(code), ())) + self.code.uses.get(id(code), 0)
        if id(code) in self.wanted and id(code) not in self.copies and sys.getrefcount(code) == known + LOOKING:
            constants = tuple(self.copy(one) if type(one) is types.CodeType else one for one in code.co_consts)
            self.copies[id(code)] = code.replace(co_consts=constants)
        return self.copies.get(id(code), code)


def move(addresses):
    """Moves the code objects with these addresses to pages of their own. Returns their number."""
    warm_memory.separate()
    number = Move(addresses).perform()
    warm_memory.separate()
    return number


def digest(code):
    """A number that changes when the instructions of a code object do, with their counters."""
    return hash(getattr(code, "_co_code_adaptive", None))
