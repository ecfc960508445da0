"""The memory of the fork server: what keeps pages shared after a fork.

A page is copied as soon as a process writes to it. The garbage collector writes to each object that it visits, a new object
in a free block of a page takes the page from its neighbours, and Python writes into a type when it is first used.
"""
import contextlib
import ctypes
import gc
import os
import re
import sys
from functools import partial

import warm_immortal

# A line of sys._debugmallocstats(): size class in bytes, pools, blocks in use, free blocks in pools that are in use.
CLASS = re.compile(r"^ *\d+ +(\d+) +\d+ +\d+ +(\d+)$", re.MULTILINE)
# The size in bytes of an empty `bytes` object.
EMPTY = sys.getsizeof(b"")
# Objects in the two classes that are smaller than `bytes`.
SMALL = {16: object, 32: complex}
# jemalloc(3), MALLCTL_ARENAS_ALL.
ALL_ARENAS = 4096
# The objects that occupy free blocks.
filling = []


def prepare(immortal):
    """Prepares the memory for forks, when everything is imported. Returns what it did about immortal objects."""
    gc.collect()
    number_types()
    done = ""
    if immortal:
        problem = warm_immortal.problem()
        done = f"; {problem}" if problem else f"; {warm_immortal.make_immortal()} objects are immortal"
    separate()
    gc.freeze()
    return done


def separate():
    """From now on, objects are allocated in pages of their own, apart from all earlier ones."""
    fill()
    purge()
    use_new_arena()


def number_types():
    """Gives each type the version number that Python gives it at its first use."""
    number = getattr(ctypes.pythonapi, "PyUnstable_Type_AssignVersionTag", None)
    waiting, known = [object], set()
    while waiting and number:
        kind = waiting.pop()
        if kind not in known:
            known.add(kind)
            number(ctypes.py_object(kind))
            waiting.extend(type.__subclasses__(kind))


def fill():
    """Occupies the free blocks of Python's allocator, so that forked processes allocate in pages of their own."""
    for size, free in free_blocks():
        # Objects without a header for the garbage collector, which fill their blocks.
        kind = SMALL.get(size, partial(bytes, max(0, size - EMPTY)))
        filling.extend(kind() for _ in range(free))


def free_blocks():
    """The size classes of Python's allocator with the number of free blocks; none if it does not report them."""
    report = getattr(sys, "_debugmallocstats", None)
    if not report:
        return []
    # Python writes the report to descriptor 2.
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(os.fdopen(os.memfd_create("report"), "w+", errors="replace"))
        stderr = os.dup(2)
        stack.callback(os.close, stderr)
        os.dup2(file.fileno(), 2)
        try:
            report()
        finally:
            os.dup2(stderr, 2)
        file.seek(0)
        return [(int(size), int(free)) for size, free in CLASS.findall(file.read())]


def purge():
    """Returns free memory of the C library's allocator to the kernel: of jemalloc, if it is loaded, or of glibc."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallctl"):
        library.mallctl(b"thread.tcache.flush", None, None, None, ctypes.c_size_t(0))
        library.mallctl(b"arena.%d.purge" % ALL_ARENAS, None, None, None, ctypes.c_size_t(0))
    elif hasattr(library, "malloc_trim"):
        library.malloc_trim(ctypes.c_size_t(0))


def use_new_arena():
    """Makes this thread use a new arena of jemalloc, if it is loaded (jemalloc(3), arenas.create)."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallctl"):
        arena = ctypes.c_uint()
        size = ctypes.c_size_t(ctypes.sizeof(arena))
        if not library.mallctl(b"arenas.create", ctypes.byref(arena), ctypes.byref(size), None, ctypes.c_size_t(0)):
            library.mallctl(b"thread.arena", None, None, ctypes.byref(arena), size)
