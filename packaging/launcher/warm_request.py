"""Requests to the fork server, and the differences between a unit and the server that a forked process cannot bridge."""
import functools
import json
import os
import socket

# Errors of one request, after which the server continues: a broken connection, a malformed request, a failed fork.
BAD = (OSError, ValueError, KeyError, TypeError)
# The longest request in bytes: the environment, and two files of /proc.
LONGEST = 1 << 20
# The first descriptor after the standard streams, and the end of the range for held sockets. The reactor, which exists
# before the fork, has numbers beyond it.
FIRST = 3
END = 32
# Variables that systemd sets for each service. All others must be the same: modules read them while they are imported.
OWN = {
    "INVOCATION_ID", "JOURNAL_STREAM", "LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID",
    "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE", "RUNTIME_DIRECTORY", "SYSTEMD_EXEC_PID",
}
# The number of filters of system calls in force.
FILTERS = "Seccomp_filters"
# What a process inherits and cannot change (proc_pid_status(5)).
INHERITED = (
    "Umask", "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
    FILTERS, "Cpus_allowed", "Mems_allowed",
)


class Request:
    """A unit's request for a process."""

    def __init__(self, fields, descriptors):
        # The command line of the plain start: Python, the launcher and its arguments.
        self.arguments = [str(word) for word in fields["arguments"]]
        self.environment = {str(name): str(value) for name, value in fields["environment"].items()}
        self.directory = str(fields["directory"])
        # Contents of these files below /proc/self.
        self.status, self.limits = str(fields["status"]), str(fields["limits"])
        self.oom_score_adj = int(fields["oom_score_adj"])
        # The standard streams, then the held sockets.
        self.descriptors = descriptors
        if not FIRST <= len(descriptors) <= END:
            raise ValueError(f"{len(descriptors)} descriptors")

    def refusal(self, filters):
        """The first difference that makes a plain start necessary; None if a forked process serves as well.

        `filters` is the number of filters of system calls that the server has beyond those of its unit.
        """
        mine, theirs = initial_environment(), self.environment
        for name in sorted(mine.keys() | theirs.keys()):
            if name not in OWN and mine.get(name) != theirs.get(name):
                # Values may be secret.
                return f"the variable {name} differs"
        if self.directory != os.getcwd():
            return "the working directory differs"
        mine, theirs = fields_of(of_self("status")), fields_of(self.status)
        if filters and FILTERS in mine:
            mine[FILTERS] = [str(int(number) - filters) for number in mine[FILTERS]]
        for name in INHERITED:
            if mine.get(name) != theirs.get(name):
                return f"{name} in /proc/PID/status differs: {theirs.get(name)}, in the fork server {mine.get(name)}"
        for mine, theirs in zip(of_self("limits").splitlines(), self.limits.splitlines(), strict=True):
            if mine != theirs:
                return f"a limit differs: {theirs.split('  ')[0]}"
        return None

    def close(self):
        for number in self.descriptors:
            os.close(number)


def receive(connection):
    """The request on a connection."""
    message, descriptors, flags, _ = socket.recv_fds(connection, LONGEST, END + 1, socket.MSG_CMSG_CLOEXEC)
    try:
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise ValueError("the request is too long")
        return Request(json.loads(message), descriptors)
    except BAD:
        for number in descriptors:
            os.close(number)
        raise


def of_self(file):
    """The text of a file below /proc/self."""
    with open(f"/proc/self/{file}", errors="surrogateescape") as opened:
        return opened.read()


@functools.cache
def initial_environment():
    """The environment with which this process was started, without the changes that Python and modules have made."""
    return dict(variable.split("=", 1) for variable in of_self("environ").split("\0") if "=" in variable)


def fields_of(status):
    """The fields of a text like /proc/PID/status."""
    pairs = (line.partition(":") for line in status.splitlines())
    return {name: value.split() for name, _, value in pairs}
