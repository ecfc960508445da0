"""A booted host of `tests/host/host`: commands in it, its files, the answers of its systemd and its journal.

Every command that does not end as expected raises `CheckFailed` with the command and all it printed.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import warm_mode
from harness.expect import CheckFailed

SCRIPT = Path(__file__).resolve().parent.parent.parent / "host" / "host"
# systemd's bool of a unit and its times, in one question; times are microseconds of the monotonic clock, 0 for never.
PROPERTIES = (
    "Id", "LoadState", "ActiveState", "InvocationID", "MainPID", "CPUUsageNSec", "NeedDaemonReload",
    "TriggeredBy", "InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic",
    "ActiveExitTimestampMonotonic", "InactiveEnterTimestampMonotonic",
)
# The path of the debug build, for cases that use its fail points.
FAULTY = "/root/synapse-workers-debug"
SETTINGS = "/etc/synapse-workers/settings.yaml"
KILLED = (-9, 137)
# The expected exit codes; None for any.
Expected = Sequence[int] | None
# Properties by unit.
Units = dict[str, dict[str, str]]


@dataclass
class Result:
    """The result of a command."""

    command: str
    code: int
    out: str
    err: str
    seconds: float

    def __str__(self) -> str:
        parts = [f"$ {self.command}", self.out.rstrip(), self.err.rstrip(), f"exit code {self.code}, {self.seconds:.2f} s"]
        return "\n".join(part for part in parts if part)


def execute(command: Sequence[str | Path], expect: Expected = (0,), stdin: str | None = None, timeout: float = 900,
            shown: str | None = None, **options: Any) -> Result:
    """Runs a command of this machine; `expect` are the expected exit codes, or None for any."""
    begun = time.monotonic()
    done = subprocess.run(command, input=stdin if stdin is not None else "", capture_output=True, text=True,
                          errors="replace", timeout=timeout, **options)
    shown = shown or " ".join(map(str, command))
    result = Result(shown, done.returncode, done.stdout, done.stderr, time.monotonic() - begun)
    if expect is not None and result.code not in expect:
        raise CheckFailed(f"exit code not {' or '.join(map(str, expect))}\n{result}")
    return result


class Host:
    """One booted host, with records of its states for comparison: see `deployment.remember` and `deployment.install`."""

    def __init__(self, name: str, *options: str) -> None:
        self.name = name
        if f"{name}\t" in execute([SCRIPT, "list"]).out:
            print(f"ending the host {name} of an earlier run", flush=True)
            self.stop()
        execute([SCRIPT, "boot", name, *options])
        self.root = Path(execute([SCRIPT, "root", name]).out.strip())
        # Files, units, accounts and databases before the first install, and after the install of one worker of each role.
        self.before: dict[str, Any] = {}
        self.with_full: dict[str, Any] = {}
        self.settings_of_full = ""
        # Invocations of the distribution's services by unit.
        self.distribution_services: dict[str, str] = {}
        # The version that the distribution has.
        self.postgresql = max(os.listdir(self.path("/etc/postgresql")), key=int)

    def stop(self) -> None:
        execute([SCRIPT, "stop", self.name], expect=None)

    def leader(self) -> str:
        """The pid of its PID 1."""
        return execute([SCRIPT, "leader", self.name]).out.strip()

    def reboot(self, *options: str) -> Result:
        return execute([SCRIPT, "reboot", self.name, *options])

    def run(self, *command: str, expect: Expected = (0,), stdin: str | None = None) -> Result:
        """Runs a command in the host. Its standard input is a file with `stdin`, not a terminal.

        The journal is read with every line that was written before.
        """
        shown = " ".join(command)
        if warm_mode.MODE and any(word == FAULTY or warm_mode.PROGRAM.search(word) for word in command):
            self._choose_warm_mode(create=any("install" in word.split() for word in command))
        into = (SCRIPT, "run", self.name, "-i", "--")
        if command[0] == "journalctl":
            execute([*into, "journalctl", "--sync"])
        return execute([*into, *command], expect, stdin, shown=shown)

    def _choose_warm_mode(self, create: bool) -> None:
        """Adds the mode of SYNAPSE_WORKERS_WARM to the settings; to a new file, if `create` is set."""
        path = self.path(SETTINGS)
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        after = warm_mode.with_mode(before)
        if before != after and (before or create):
            self.write(SETTINGS, after)

    def shell(self, script: str, *arguments: str, expect: Expected = (0,), stdin: str | None = None) -> Result:
        return self.run("sh", "-euc", script, "sh", *arguments, expect=expect, stdin=stdin)

    def product(self, *arguments: str, expect: Expected = (0,)) -> Result:
        """The program under test."""
        return self.run("synapse-workers", *arguments, expect=expect)

    def faulty(self, fault: str, *arguments: str, expect: Expected = (0,)) -> Result:
        """The program under test with a fail point of its debug build: see src/converge/fault.rs."""
        return self.run("env", f"SW_FAULT={fault}", FAULTY, *arguments, expect=expect)

    def json(self, *arguments: str, expect: Expected = (0,)) -> Any:
        """The output of the program under test with --json."""
        result = self.product(*arguments, "--json", expect=expect)
        try:
            return json.loads(result.out)
        except ValueError:
            raise CheckFailed(f"no JSON\n{result}") from None

    def net(self, *command: str, expect: Expected = (0,), stdin: str | None = None) -> Result:
        """A command of this machine in the network of the host."""
        return execute([SCRIPT, "net", self.name, "-i", "--", *command], expect, stdin)

    def talk_to(self, *command: str) -> subprocess.Popen[str]:
        """Starts a command of this machine in the network of the host, with pipes to exchange lines."""
        return subprocess.Popen([SCRIPT, "net", self.name, "-i", "--", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def path(self, path: str) -> Path:
        """The path of a host's file on this machine; not for /run and /tmp, which are mounted in the host only."""
        return self.root / path.lstrip("/")

    def read(self, path: str) -> str:
        return self.path(path).read_text(encoding="utf-8")

    def write(self, path: str, text: str) -> None:
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text, encoding="utf-8")

    def push(self, source: str | Path, target: str) -> None:
        execute([SCRIPT, "push", self.name, source, target])

    def units(self, *patterns: str) -> Units:
        """Properties of our units that systemd has loaded (or of those that match), by name.

        Without patterns those that come and go with others are left out: services that a timer or path starts, sockets (see
        `held`), the unit that nginx waits for.
        """
        text = self.run("systemctl", "show", "--all", f"--property={','.join(PROPERTIES)}", *(patterns or ("synapse-*",))).out
        found = {}
        for block in text.strip().split("\n\n"):
            unit = dict(line.split("=", 1) for line in block.splitlines())
            beside = unit.get("Id", "").endswith((".socket", "-hold.service")) or unit.get("TriggeredBy", "").endswith((".timer", ".path"))
            if unit.get("LoadState") not in (None, "not-found") and (patterns or not beside):
                found[unit["Id"]] = unit
        # A slice contains the control groups of a template's instances, and exists only with them.
        return {name: unit for name, unit in found.items() if not name.endswith(".slice")}

    def held(self) -> set[str]:
        """The active socket units."""
        listed = self.run("systemctl", "list-units", "--type=socket", "--state=active", "--no-legend", "--plain", "synapse-*").out
        return {line.split()[0] for line in listed.splitlines()}

    def invocations(self, *patterns: str) -> dict[str, str]:
        """The invocation of each unit, which changes with every start."""
        return {name: unit["InvocationID"] for name, unit in self.units(*patterns).items()}

    def cpu_seconds(self, unit: str) -> float:
        return int(self.units(unit)[unit]["CPUUsageNSec"]) / 1e9

    def processed(self, marker: str) -> dict[str, set[str]]:
        """The units whose journal has a processed request, by the request's User-Agent.

        `marker` is a regular expression for all wanted User-Agents.
        """
        text = self.run("journalctl", "--quiet", "--output=json", "--output-fields=_SYSTEMD_UNIT,MESSAGE",
                        f"--grep=Processed request.*\"{marker}\"", expect=(0, 1)).out
        units: dict[str, set[str]] = {}
        for line in text.splitlines():
            entry = json.loads(line)
            found = re.search(f'"({marker})"', entry["MESSAGE"])
            if found:
                units.setdefault(found[1], set()).add(entry["_SYSTEMD_UNIT"])
        return units

    def journal_end(self) -> str:
        """The cursor of the newest line of the journal."""
        return self.run("journalctl", "--quiet", "--lines=0", "--show-cursor").out.split("cursor: ")[1].strip()

    def run_unit(self, unit: str, *, fails: bool = False) -> tuple[float, str]:
        """Runs a service to its end: the seconds that it took, and its lines in the journal.

        The lines are found by a cursor: the invocation is missing in those of a process that ended before the journal read them.
        """
        since = self.journal_end()
        result = self.run("systemctl", "start", unit, expect=(1,) if fails else (0,))
        return result.seconds, self.run("journalctl", "--quiet", "--output=cat", f"--after-cursor={since}", f"--unit={unit}").out

    def journal(self, since: float, lines: int = 25) -> str:
        """The last lines of our units in the journal, and warnings of others, since a time in seconds since 1970."""
        read = ("journalctl", "--quiet", "--no-pager", f"--since=@{int(since)}", f"--lines={lines}")
        ours = self.run(*read, "--unit=synapse-*", expect=None).out
        loud = self.run(*read, "--priority=warning", expect=None).out
        return "\n".join(line[:250] for line in [*ours.splitlines(), "-- warnings of the host:", *loud.splitlines()])


def unit_of(process: str) -> str:
    """The unit of a process as `routes` names it."""
    return "synapse-main.service" if process == "main" else f"synapse-worker@{process}.service"
