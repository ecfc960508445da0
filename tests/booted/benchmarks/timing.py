"""Commands in a host, timed on the clock of systemd's timestamps."""

import json

from harness.host import Host

# Runs a command without the time to enter the host.
TIMED = """
import json, subprocess, sys, time
begun = time.monotonic()
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, capture_output=True, text=True)
print(json.dumps([begun, time.monotonic(), done.returncode, done.stdout, done.stderr]))
"""


def timed(host: Host, *command: str) -> tuple[float, float, str]:
    """Runs a command in the host; returns its start and end in seconds, and its standard output."""
    begun, ended, code, text, errors = json.loads(host.run("python3", "-c", TIMED, *command).out)
    if code:
        raise SystemExit(f"{' '.join(command)}: exit code {code}\n{text}{errors}")
    return begun, ended, text


def seconds(host: Host, *command: str) -> float:
    begun, ended, _ = timed(host, *command)
    return ended - begun
