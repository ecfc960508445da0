"""A forked process: what it takes from its unit before it goes on in the launcher."""
import ctypes
import fcntl
import os
import runpy
import signal
import sys
import time

import warm_request

# Seconds that a forked process waits for its unit, which makes it its main process.
PATIENCE = 30
# Seconds between two looks at the parent process, which is about to end.
GLANCE = 0.001
# The positions of the start and the end of the command line in /proc/PID/stat after the name (proc_pid_stat(5)).
COMMAND_LINE = slice(45, 47)
# prctl(2): a signal for this process when its parent ends.
PR_SET_PDEATHSIG = 1
# Whether other processes of the same user may read and change the memory of this one (prctl(2)).
PR_SET_DUMPABLE = 4


def set_memory_open(is_open):
    """Opens the memory of this process to others of the same user, or closes it, also for later forks.

    Plain starts have user namespaces of their own, which closes it. Forked processes share that of their server.
    """
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, ctypes.c_ulong(is_open), *3 * [ctypes.c_ulong(0)])


def end_with(parent):
    """Has the kernel kill this process when its parent, the one with this number, ends. Returns False if it has ended."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == parent


def open_score():
    """Opens the file with the OOM score of this process, which belongs to root while the memory is closed."""
    return os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)


def fork_twice(file, score):
    """Returns True in a new process whose parent is PID 1 and which has this OOM score, and False in this one.

    systemd learns the exit status of its own children only, and a process whose parent ends becomes one of them. `file` is
    that of `open_score` in this process; the new one inherits the score, so its memory is never open to others.
    """
    own = os.pread(file, 16, 0)
    os.pwrite(file, b"%d" % score, 0)
    try:
        return forked_twice()
    finally:
        # In the new process, this is still the file of the server.
        os.pwrite(file, own, 0)


def forked_twice():
    middle = os.fork()
    if middle:
        _, status = os.waitpid(middle, 0)
        if status:
            raise OSError("the second fork failed")
        return False
    parent = os.getpid()
    try:
        if os.fork():
            os._exit(0)
    except OSError:
        os._exit(1)
    while os.getppid() == parent:
        time.sleep(GLANCE)
    return True


def run(request, image, connection):
    """Becomes the process that the unit asked for, and ends with it."""
    wait_for_unit(request, connection)
    connection.close()
    install_descriptors(request, image.reactor)
    # From here on, errors appear in the log of the unit.
    install_environment(request)
    image.reactor.renew()
    for generator in image.generators:
        generator.seed()
    show_command_line(request.arguments)
    _, launcher, *arguments = request.arguments
    sys.orig_argv[:] = request.arguments
    sys.argv[:] = [launcher, *arguments]
    # Python has put the directory of the server's script there. It does so again for the launcher, but not for a file.
    if os.path.isdir(launcher):
        sys.path.remove(launcher)
    runpy.run_path(launcher, run_name="__main__")


def wait_for_unit(request, connection):
    """Waits until the unit has made this process its main process. Ends without a trace if it does not."""
    try:
        os.setsid()
        connection.settimeout(PATIENCE)
        connection.send(b"pid %d" % os.getpid())
        if connection.recv(16) == b"go":
            return
    except OSError as error:
        print(f"a forked process did not start: {error}", file=sys.stderr, flush=True)
    os._exit(0)


def install_descriptors(request, reactor):
    """Opens the standard streams and the held sockets under their numbers, and closes all others but the reactor's."""
    kept = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, warm_request.END) for number in request.descriptors]
    spared = {*kept, *reactor.descriptors()}
    for number in map(int, os.listdir("/proc/self/fd")):
        if number >= warm_request.FIRST and number not in spared:
            close(number)
    for number, copy in enumerate(kept):
        os.dup2(copy, number)
        os.close(copy)


def close(number):
    try:
        os.close(number)
    except OSError:
        # The one with which the directory was read.
        pass


def install_environment(request):
    """Takes the variables of the unit, and keeps those that Python and modules have added."""
    before = warm_request.initial_environment()
    added = {name: value for name, value in os.environ.items() if before.get(name) != value}
    os.environ.clear()
    os.environ.update({**request.environment, **added})
    if "LISTEN_PID" in os.environ:
        os.environ["LISTEN_PID"] = str(os.getpid())
    time.tzset()


def show_command_line(arguments):
    """Replaces the command line that the kernel shows by that of the plain start, as far as there is room."""
    with open("/proc/self/stat", "rb") as opened:
        start, end = (int(word) for word in opened.read().rpartition(b")")[2].split()[COMMAND_LINE])
    line = b"".join(os.fsencode(word) + b"\0" for word in arguments)[:end - start - 1]
    ctypes.memmove(start, line.ljust(end - start, b"\0"), end - start)
