"""Releases of Synapse that do not exist, for the wheelhouse of a bare host."""

import json
from collections.abc import Mapping

from harness.deployment import NEW_RELEASE
from harness.host import Host

WHEELS = "/var/cache/wheels"
# Copies the wheel of a release as another one, with text at the end of some files.
MAKE = """
import base64, glob, hashlib, json, sys, zipfile
old, version, added = sys.argv[1:]
added = json.loads(added)
[path] = glob.glob("/var/cache/wheels/matrix_synapse-" + old + "-*.whl")
record = []
with zipfile.ZipFile(path) as wheel, zipfile.ZipFile(path.replace(old, version), "w") as made:
    for name in wheel.namelist():
        data = wheel.read(name)
        if name.endswith("/"):
            continue
        if name.endswith("/RECORD"):
            place = name.replace(old, version)
            continue
        data += added.get(name, "").encode()
        if name.endswith(".dist-info/METADATA"):
            data = data.replace(b"Version: " + old.encode(), b"Version: " + version.encode(), 1)
        name = name.replace("matrix_synapse-" + old, "matrix_synapse-" + version)
        made.writestr(name, data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record.append("%s,sha256=%s,%d\\n" % (name, digest, len(data)))
    made.writestr(place, "".join(record) + place + ",,\\n")
"""


def make_wheel(host: Host, version: str, added: Mapping[str, str]) -> None:
    """Adds a release that is the newest one except for its version, and for these texts at the end of files."""
    host.run("python3", "-c", MAKE, NEW_RELEASE, version, json.dumps(added))


def cut_wheel(host: Host, version: str) -> None:
    """Leaves half of a wheel, as an interrupted download does."""
    host.shell('file=$(ls "$1"/matrix_synapse-"$2"-*.whl); truncate --size=$(($(stat --format=%s "$file") / 2)) "$file"', WHEELS, version)


def remove_wheel(host: Host, version: str) -> None:
    host.shell('rm "$1"/matrix_synapse-"$2"-*.whl', WHEELS, version)
