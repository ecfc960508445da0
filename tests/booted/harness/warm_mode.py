"""Any case with another warm start: SYNAPSE_WORKERS_WARM is written as `warm.mode` to settings that do not name one."""

import json
import os
import re

MODE = os.environ.get("SYNAPSE_WORKERS_WARM", "")
# A command, or a line of a shell, that starts the program under test.
PROGRAM = re.compile(r"(^|[ /])synapse-workers( |$)")
# With these settings there is no warm start.
WITHOUT_SOCKETS = re.compile(r'\b(held|public)"?: *false')
# The setting in the file that the first install writes, with its explanation.
WRITTEN = re.compile(r"(?m)^(warm:\n(?:(?: .*)?\n)*?  mode:).*$")


def is_fork_server(unit: str) -> bool:
    return unit.startswith("synapse-warm@")


def with_mode(text: str) -> str:
    """Settings with the mode of the environment; unchanged if they have one, or if it is impossible."""
    if not MODE or WITHOUT_SOCKETS.search(text):
        return text
    if text.startswith("{"):
        try:
            return json.dumps({"warm": {"mode": MODE}} | json.loads(text), indent=1)
        except ValueError:
            return text
    text, count = WRITTEN.subn(rf"\g<1> {MODE}", text)
    return text if count or re.search("(?m)^warm:", text) else f"{text}\nwarm: {{mode: {MODE}}}\n"
