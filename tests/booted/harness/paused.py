"""A run of the program that pauses at a stage of its change."""

import os
import signal
import subprocess

from harness.expect import CheckFailed, wait_until
from harness.host import FAULTY, SCRIPT, Host


class Paused:
    """A run that pauses at a stage until `go_on`."""

    def __init__(self, host: Host, stage: str, *arguments: str) -> None:
        command = [SCRIPT, "run", host.name, "-i", "--", "env", f"SW_FAULT=pause@{stage}", FAULTY, *arguments]
        self.host = host
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        start_new_session=True)
        self.pid = wait_until(f"it pauses before {stage}", self._stopped, seconds=120)

    def _stopped(self) -> str:
        """proc_pid_status(5): T is for stopped."""
        found = self.host.shell('for file in /proc/[0-9]*/exe; do [ "$(readlink "$file")" = "$1" ] || continue; '
                                'p=${file%/exe}; grep -q "^State:.T" "$p/status" && echo "${p#/proc/}"; done; true', FAULTY)
        return found.out.strip()

    def go_on(self, *expect: int) -> tuple[int, str]:
        """Continues the run and returns its exit code and output; without `expect` any code is accepted."""
        self.host.run("kill", "-CONT", self.pid)
        # nsenter stops with the run (nsenter(1), --fork) and must continue after it.
        os.killpg(self.process.pid, signal.SIGCONT)
        out = self.process.communicate(timeout=300)[0]
        if expect and self.process.returncode not in expect:
            raise CheckFailed(f"exit code {self.process.returncode}, not {expect}\n{out}")
        return self.process.returncode, out
