"""The commands of the documentation, run as an administrator would."""

import re

from harness.deployment import TOP
from harness.expect import CheckFailed
from harness.host import Host, Result


def commands(host: Host, page: str, heading: str) -> Result:
    """Runs all texts between ```sh and ``` of a section of docs/ as one script."""
    text = (TOP / "docs" / page).read_text(encoding="utf-8")
    section = re.search(f"^{heading}$.*?(?=^## |\\Z)", text, re.M | re.S)
    blocks = re.findall(r"^```sh\n(.*?)^```$", section[0] if section else "", re.M | re.S)
    if not blocks:
        raise CheckFailed(f"no commands under {heading}")
    return host.run("bash", "-euo", "pipefail", "-c", "\n".join(blocks))
