"""Users at work while a case or a benchmark changes their server."""

import json
import subprocess
from typing import Any, Self

from harness.deployment import CLIENTS, URL
from harness.expect import CheckFailed, assert_equal
from harness.host import Host

# The figures that the load driver prints of a phase.
Figures = dict[str, Any]


class Crowd:
    """`load_driver.py` at work in the network of the host; `rate` is in requests a second, beside long polls."""

    def __init__(self, host: Host, rate: int) -> None:
        self.process: subprocess.Popen[str] = host.talk_to("python3", str(CLIENTS / "load_driver.py"), URL, "--rate", str(rate))
        assert_equal(self.heard()["phase"], "ready", "the crowd")

    def __enter__(self) -> Self:
        return self

    def heard(self) -> Figures:
        line = self.process.stdout.readline()
        if not line:
            raise CheckFailed(f"the crowd ended with code {self.process.wait()}\n{self.process.stderr.read()}")
        return json.loads(line)

    def ask(self, command: str) -> Figures:
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return self.heard()

    def __exit__(self, *_: object) -> None:
        self.process.communicate()
