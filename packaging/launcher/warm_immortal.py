"""Immortal objects (PEP 683): a process that reads such an object does not write its reference count, so its page stays shared.

Python makes some objects immortal itself. Here all objects of the image become immortal, by the count that Python's own
have. This depends on the layout of objects, so it is limited to versions of Python on which it was tested, and tests
itself first. Immortal objects are never freed, so the image remains in memory as long as the process.
"""
import ctypes
import gc
import struct
import sys
import types

# CPython 3.12 and 3.13 on machines with 64 bits: the count is the first word of an object, and immortal if it is this one
# (Include/object.h, _Py_IMMORTAL_REFCNT).
VERSIONS = ((3, 12), (3, 13))
IMMORTAL = 0xFFFF_FFFF
# Parts of code objects, which the garbage collector does not know. The attributes return the parts themselves.
PARTS = ("co_consts", "co_names", "co_name", "co_qualname", "co_filename", "co_linetable", "co_exceptiontable")


def problem():
    """The reason why objects cannot be made immortal; None if they can."""
    if sys.version_info[:2] not in VERSIONS or sys.implementation.name != "cpython" or struct.calcsize("P") != 8:
        return f"immortal objects were not tested with {sys.implementation.name} {'.'.join(map(str, sys.version_info[:2]))}"
    probe = object()
    before = count_of(probe)
    references = 100 * [probe]
    if count_of(None) != IMMORTAL or count_of(probe) - before != len(references):
        return "the layout of objects is not the one that was tested"
    return None


def count_of(thing):
    return ctypes.c_uint64.from_address(id(thing)).value


def make_immortal():
    """Makes all objects immortal that are alive. Returns their number."""
    # References to all of them, so that none is freed meanwhile.
    found, waiting = {}, gc.get_objects()
    while waiting:
        thing = waiting.pop()
        if id(thing) not in found:
            found[id(thing)] = thing
            waiting.extend(gc.get_referents(thing))
            if isinstance(thing, types.CodeType):
                waiting.extend(getattr(thing, part) for part in PARTS)
    for number in found:
        count = ctypes.c_uint64.from_address(number)
        if count.value < IMMORTAL:
            count.value = IMMORTAL
    return len(found)
