"""Loads the configuration of Synapse's processes as they do themselves, and says why Synapse refuses it.

    python check_configuration.py PROCESSES DIRECTORY

PROCESSES is a list of pairs in JSON: the own file of a process, and all its files. DIRECTORY is the place of the files
in `homeserver.d`. The status is 0 if Synapse accepts the configuration of every process.
"""
import gc

# Garbage collection would take a quarter of the time.
gc.disable()

import json
import os
import sys
import threading

import yaml
from synapse.config import _base
from synapse.config.homeserver import HomeServerConfig


def refusal(name, files):
    """The reason why Synapse refuses the configuration of a process; None if it accepts it."""
    try:
        HomeServerConfig.load_config("", [word for file in files for word in ("-c", file)])
    except _base.ConfigError as error:
        return f"{name}: {'.'.join(error.path or ())} {error}"
    except Exception as error:
        return f"{name}: {type(error).__name__}: {error}"
    return None


def causes(name, files):
    """The keys in files of the administrator without which Synapse accepts the configuration. Of two files with a key,
    the later counts."""
    read, places = _base.read_config_files, {}
    for path in _base.find_config_files(files):
        with open(path) as stream:
            places.update((key, path) for key in yaml.safe_load(stream) or ())
    try:
        for key, path in places.items():
            directory, file = os.path.split(path)
            place = {
                "homeserver.d": f"{sys.argv[2]}/{file}",
                "adopted": f"the adopted file {file.partition('-')[2]}",
            }.get(os.path.basename(directory))
            if place:
                _base.read_config_files = lambda files, without=key: {k: v for k, v in read(files).items() if k != without}
                if refusal(name, files) is None:
                    yield f"{place} sets `{key}`, without which Synapse accepts the configuration"
    finally:
        _base.read_config_files = read


def first_refusal(processes):
    """The first refusal among these processes, with its causes, and the place of the process; None if there is none."""
    for place, (name, files) in processes:
        refused = refusal(name, files)
        if refused is not None:
            try:
                found = list(causes(name, files))
            except Exception:
                found = []
            return place, "\n".join([refused, *found])
    return None


def fork(processes):
    """Checks these processes in a child process. Returns its number, and a descriptor from which its answer is read."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child:
        os.close(theirs)
        return child, ours
    try:
        with os.fdopen(theirs, "w") as answer:
            answer.write(json.dumps(first_refusal(processes)))
        sys.stdout.flush()
    finally:
        os._exit(0)


def answer_of(child, descriptor, processes):
    """The answer of a child process that checks these processes."""
    with os.fdopen(descriptor) as opened:
        text = opened.read()
    os.waitpid(child, 0)
    # Code of a module may end the child. Here it ends the whole check, as it would end Synapse.
    return json.loads(text) if text else first_refusal(processes)


def main():
    # The same place with a fork server and without.
    os.chdir("/")
    processes = list(enumerate(json.loads(sys.argv[1])))
    number = min(len(os.sched_getaffinity(0)), len(processes))
    # A fork keeps no other thread.
    if number < 2 or threading.active_count() > 1:
        answers = [first_refusal(processes)]
    else:
        shares = [processes[first::number] for first in range(number)]
        children = [fork(share) for share in shares]
        answers = [answer_of(*child, share) for child, share in zip(children, shares, strict=True)]
    refused = [(place, text) for place, text in filter(None, answers)]
    if refused:
        sys.exit(min(refused)[1])


if __name__ == "__main__":
    main()
