"""The sandbox of fork servers: the namespaces of processes without network access, and what both kinds of processes cannot do."""

import errno
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from launched import LAUNCHER

# Runs statements after which `sandbox` is closed, then prints what is left. The process has a filter of
# system calls already, which allows all of them, and no new privileges (PR_SET_NO_NEW_PRIVS).
SCRIPT = """
import ctypes, json, os, socket, sys, threading
sys.path.insert(0, {launcher!r})
import warm_sandbox
from warm_sandbox import ALLOW, RETURN, call

call("prctl", 38, 1, 0, 0, 0)
code = ctypes.create_string_buffer(warm_sandbox.struct.pack("HBBI", RETURN, 0, 0, ALLOW))
call("prctl", 22, 2, warm_sandbox.struct.pack("HP", 1, ctypes.addressof(code)), 0, 0)
sandbox = warm_sandbox.Sandbox(True)
{statements}

def error(function, *arguments):
    try:
        function(*arguments)
        return 0
    except OSError as error:
        return error.errno

def status(name):
    return next(line.split()[1] for line in open("/proc/self/status") if line.startswith(name + ":"))

_, numbers = warm_sandbox.MACHINES[os.uname().machine]
kinds = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
child = os.fork()
if not child:
    os._exit(7)
thread = threading.Thread(target=int)
thread.start()
print(json.dumps({{
    "capabilities": [status(name) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "filters": int(status("Seccomp_filters")), "added": sandbox.filters, "problem": sandbox.problem,
    "unshare": [error(call, "unshare", kind) for kind in kinds],
    "clone": [error(call, "syscall", numbers["clone"], kind | 17, 0, 0, 0, 0) for kind in kinds],
    "setns": error(call, "setns", os.open("/proc/self/ns/net", os.O_RDONLY), 0),
    "mount": error(call, "mount", b"tmpfs", b"/mnt", b"tmpfs", 0, None), "umount": error(call, "umount2", b"/mnt", 0),
    "capset": error(call, "capset", warm_sandbox.struct.pack("Ii", warm_sandbox.CAPABILITY_VERSION, 0), bytes(24)),
    "internet": error(socket.socket, socket.AF_INET), "netlink": error(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW),
    "unix": error(socket.socket, socket.AF_UNIX), "child": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]),
    "interfaces": [line.split(":")[0].strip() for line in open("/proc/self/net/dev") if ":" in line],
    "seen": error(os.listdir, {hidden!r}), "temporary": os.listdir("/tmp"), "user": os.readlink("/proc/self/ns/user"),
}}))
"""
NOTHING = "0000000000000000"


class Sandboxes(unittest.TestCase):
    def setUp(self):
        # Directories for temporary files are hidden as well.
        directory = tempfile.TemporaryDirectory(dir="/dev/shm")
        self.addCleanup(directory.cleanup)
        self.hidden = directory.name
        Path(self.hidden, "socket").touch()

    def left(self, statements):
        script = SCRIPT.format(launcher=str(LAUNCHER), statements=statements, hidden=self.hidden)
        done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def assert_closed(self, left):
        self.assertEqual((left["filters"], left["added"], left["problem"]), (2, 1, None))
        for name in ("unshare", "clone"):
            self.assertEqual(left[name], 7 * [errno.EPERM], name)
        for name in ("setns", "mount", "umount", "capset"):
            self.assertEqual(left[name], errno.EPERM, name)
        # Everything else goes on.
        self.assertEqual((left["unix"], left["child"]), (0, 7))

    def test_a_process_with_network_access_keeps_its_namespaces(self):
        left = self.left("sandbox.close()")
        self.assert_closed(left)
        self.assertEqual((left["internet"], left["seen"]), (0, 0))
        self.assertEqual(left["user"], os.readlink("/proc/self/ns/user"))

    def test_a_process_without_network_access_has_neither_interfaces_nor_addresses_nor_sees_the_other_server(self):
        left = self.left(f"sandbox.isolate([{self.hidden!r}]); sandbox.close(network=False)")
        self.assert_closed(left)
        self.assertEqual(left["capabilities"], 5 * [NOTHING])
        self.assertEqual((left["internet"], left["netlink"]), 2 * (errno.EAFNOSUPPORT,))
        self.assertEqual(left["interfaces"], ["lo"])
        self.assertEqual((left["seen"], left["temporary"]), (errno.EACCES, []))
        # What protects the memory of processes with network access, and of those of another server.
        self.assertNotEqual(left["user"], os.readlink("/proc/self/ns/user"))
