"""The sandbox of the two fork servers that share one image: with the network of the host, and without any.

A forked process cannot get from its unit other namespaces than those of its server. The unit of the server permits a user
namespace, in which the second server makes those that it needs. Before a server reads a request, it forbids itself all of
this: from then on it, and the processes that it forks, may do no more than the units of these processes.
"""
import contextlib
import ctypes
import errno
import itertools
import os
import socket
import struct
import sys

# linux/sched.h: all kinds of namespaces that clone(2) makes; some of them.
NAMESPACES, MOUNTS, IPC, USERS, NETWORK = 0x7E020000, 0x00020000, 0x08000000, 0x10000000, 0x40000000
# linux/mount.h
READ_ONLY, NO_SUID, NO_DEVICES, NO_PROGRAMS, RECURSIVE, SLAVE = 1, 2, 4, 8, 1 << 14, 1 << 19
# prctl(2)
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 22, 2, 24, 47, 4
# capget(2)
CAPABILITY_VERSION = 0x20080522
# linux/bpf_common.h: load a word, compare, test bits, return.
LOAD, EQUAL, BITS, RETURN = 0x20, 0x15, 0x45, 0x06
# linux/seccomp.h: the positions of the number of a call, of the machine, and of the lower half of the first argument.
NUMBER, MACHINE, ARGUMENT = 0, 4, 16
KILL, ERROR, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
# The machine in linux/audit.h, and its numbers of system calls (asm/unistd.h).
MACHINES = {
    "x86_64": (0xC000003E, {"socket": 41, "clone": 56, "capset": 126, "mount": 165, "umount2": 166, "unshare": 272, "setns": 308}),
    "aarch64": (0xC00000B7, {"umount2": 39, "mount": 40, "capset": 91, "unshare": 97, "socket": 198, "clone": 220, "setns": 268}),
}
# The same number on all machines.
CLONE3 = 435
# The bit in the numbers of the x32 machine, which shares the name of x86_64.
X32 = 0x40000000
# Directories for temporary files, of which units with PrivateTmp= have their own.
TEMPORARY = ("/tmp", "/var/tmp")

library = ctypes.CDLL(None, use_errno=True)


class Sandbox:
    """What the server forbids itself, if it `isolates` processes. Without these, its unit has done so already."""

    def __init__(self, isolates):
        self.isolates = isolates
        # The filters of system calls that a process of this server has beyond those of its unit.
        self.filters = 0
        # Why no process can be forked.
        self.problem = None
        if isolates and (os.uname().machine not in MACHINES or sys.maxsize <= 1 << 32):
            self.problem = f"the system calls of this {os.uname().machine} are not known"

    def isolate(self, hidden):
        """Leaves the network, and sees nothing of these directories any more. The memory must be open (warm_child.py)."""
        user, group = os.geteuid(), os.getegid()
        # Processes of other user namespaces can neither read this one and those that it forks, nor the other way round.
        call("unshare", USERS)
        for file, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{file}", "w") as opened:
                opened.write(text)
        call("unshare", MOUNTS | NETWORK | IPC)
        call("mount", None, b"/", None, RECURSIVE | SLAVE, None)
        for directory in TEMPORARY:
            mount_empty(directory, NO_SUID | NO_DEVICES, "mode=1777")
        for directory in hidden:
            mount_empty(directory, READ_ONLY | NO_SUID | NO_DEVICES | NO_PROGRAMS, "mode=0,size=4k,nr_inodes=1")
        drop_capabilities()

    def close(self, network=True):
        """Forbids what this server needed for namespaces, and without `network` also sockets with addresses."""
        if self.isolates and not self.problem and is_filtered():
            forbid(network)
            self.filters += 1


def mount_empty(directory, flags, options):
    call("mount", b"tmpfs", os.fsencode(directory), b"tmpfs", flags, options.encode())


def is_filtered():
    """Whether system calls of this process are filtered. Some containers have no filters; their units have none either."""
    with open("/proc/self/status") as opened:
        return "\nSeccomp:\t2\n" in opened.read()


def drop_capabilities():
    """Drops those that the maker of a user namespace has in it."""
    call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    with contextlib.suppress(OSError):
        # The first number that the kernel does not know ends this.
        for number in itertools.count():
            call("prctl", PR_CAPBSET_DROP, number, 0, 0, 0)
    call("capset", struct.pack("Ii", CAPABILITY_VERSION, 0), bytes(24))


def forbid(network):
    """Forbids, from now on and for all processes that are forked, what RestrictNamespaces=yes and SystemCallFilter= forbid
    the units; without `network`, also what RestrictAddressFamilies=AF_UNIX does."""
    machine, numbers = MACHINES[os.uname().machine]
    program = [(LOAD, 0, 0, MACHINE), (EQUAL, 1, 0, machine), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER),
               (BITS, 0, 1, X32), (RETURN, 0, 0, KILL)]
    for name in ("capset", "mount", "umount2", "unshare", "setns"):
        program += when(numbers[name], refuse(errno.EPERM))
    # A filter cannot read its flags. The C library uses clone in its place.
    program += when(CLONE3, refuse(errno.ENOSYS))
    program += when(numbers["clone"], (LOAD, 0, 0, ARGUMENT), (BITS, 0, 1, NAMESPACES), refuse(errno.EPERM), (RETURN, 0, 0, ALLOW))
    if not network:
        program += when(numbers["socket"], (LOAD, 0, 0, ARGUMENT), (EQUAL, 1, 0, socket.AF_UNIX), refuse(errno.EAFNOSUPPORT),
                        (RETURN, 0, 0, ALLOW))
    program.append((RETURN, 0, 0, ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    # struct sock_fprog
    call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, struct.pack("HP", len(program), ctypes.addressof(code)), 0, 0)


def when(number, *then):
    """The instructions for the system call with this number. The last one returns."""
    return [(EQUAL, 0, len(then), number), *then]


def refuse(error):
    return RETURN, 0, 0, ERROR | error


def call(name, *arguments):
    """A function of the C library. Raises OSError if it fails."""
    words = [ctypes.c_ulong(argument) if isinstance(argument, int) else argument for argument in arguments]
    if getattr(library, name)(*words):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
