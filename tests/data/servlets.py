#!/usr/bin/env python3
"""Writes servlets-older.tsv: how the endpoints of older releases of Synapse differ from servlets.tsv.

    for version in 1.163.2 1.153.0 1.143.0; do
        python3 -m venv /tmp/$version
        /tmp/$version/bin/pip install "matrix-synapse[redis,url-preview]==$version"    # see BOUNDS in src/host/requirements.rs
        /tmp/$version/bin/python src/host/endpoints.py >/tmp/$version.json
    done
    tests/data/servlets.py /tmp/1.163.2.json /tmp/1.153.0.json /tmp/1.143.0.json

The first file is the answer of the release that servlets.tsv describes. Each line begins with the releases that it is
about and a sign: `-` for a row of servlets.tsv that they lack, `+` for a row in its place.
"""
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

# A row of servlets.tsv, by column.
Row = dict[str, str]
# By method and pattern: whether a worker and the main process register it, and the class.
Endpoints = dict[tuple[str, str], tuple[bool, bool, str]]

HERE = Path(__file__).parent
COLUMNS = ("pattern methods resource worker class resources main no_media constraint needs example").split()
# Requests for endpoints that servlets.tsv does not have.
EXAMPLES = {
    "AuthIssuerServlet": "/_matrix/client/unstable/org.matrix.msc2965/auth_issuer",
    "ClaimDehydratedDeviceServlet": "/_matrix/client/unstable/org.matrix.msc2697.v2/dehydrated_device/claim",
    "DehydratedDeviceServlet": "/_matrix/client/unstable/org.matrix.msc2697.v2/dehydrated_device",
    "KeyUploadServlet": "/_matrix/client/v3/keys/upload/DEVICE",
    "UserMutualRoomsServlet": "/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms",
}
# Servlets that older releases register only with an option that the answers do not have (url_preview_enabled).
OPTIONAL = {"PreviewUrlResource", "PreviewURLServlet"}
# Constraints that newer releases have introduced, with the first of them.
CONSTRAINTS = {"hard:stream_writers.quarantined_media_changes": "1.152.0"}


def number(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))


def plain(pattern: str) -> str:
    """Releases before 1.157 leave out the end of some patterns."""
    return pattern.removesuffix("$")


def answer(path: str) -> Endpoints:
    """The processes that register an endpoint, by method and pattern."""
    found = {}
    for row in json.loads(Path(path).read_text(encoding="utf-8")):
        # Resources that are no servlets have the same paths in all releases.
        if not row["pattern"].endswith("(/|$)"):
            found[row["method"], row["pattern"]] = (row["worker"], row["main"], row["servlet"])
    return found


def changes(release: str, base: list[Row], newest: Endpoints, older: Endpoints) -> Iterator[tuple[str, Row]]:
    """Signs and rows that turn `base` into the rows of the release."""
    kept = set()
    mates = {}
    for row in base:
        mates.setdefault(row["class"], row)
        known = any((method, row["pattern"]) in newest for method in row["methods"].split(","))
        if not known or row["class"] in OPTIONAL:
            continue
        after = defaultdict(list)
        for method in row["methods"].split(","):
            kept.add((method, row["pattern"]))
            for pattern in (row["pattern"], plain(row["pattern"])):
                there = older.get((method, pattern))
                if there:
                    kept.add((method, pattern))
                    worker = "yes" if there[0] and row["worker"] == "yes" else "no"
                    after[pattern, worker].append(method)
                    break
        constraint = "-" if number(release) < number(CONSTRAINTS.get(row["constraint"], "0")) else row["constraint"]
        rows = [
            {**row, "pattern": pattern, "worker": worker, "methods": ",".join(methods), "constraint": constraint}
            for (pattern, worker), methods in after.items()
            if "yes" in (worker, row["main"])
        ]
        if rows != [row]:
            yield "-", row
            yield from (("+", row) for row in rows)
    added = defaultdict(list)
    for (method, pattern), (worker, main, servlet) in older.items():
        if (method, pattern) not in kept:
            added[pattern, worker, main, servlet].append(method)
    for (pattern, worker, main, servlet), methods in sorted(added.items()):
        yield "+", {
            "pattern": pattern, "methods": ",".join(methods), "resource": "ClientRestResource", "worker": "yes" if worker else "no",
            "class": servlet, "resources": "client" if worker else "-", "main": "yes" if main else "no",
            "no_media": "yes" if main else "no", "constraint": mates[servlet]["constraint"] if servlet in mates else "-",
            "needs": "-", "example": EXAMPLES[servlet],
        }


def main(first: str, *others: str) -> None:
    lines = (HERE / "servlets.tsv").read_text(encoding="utf-8").splitlines()
    base = [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in lines[1:]]
    newest = answer(first)
    releases = defaultdict(list)
    for other in others:
        release = Path(other).stem
        for sign, row in changes(release, base, newest, answer(other)):
            releases[sign, tuple(row.values())].append(release)
    text = "releases\tsign\t" + lines[0] + "\n"
    for (sign, row), known in sorted(releases.items(), key=lambda it: (it[0][1][0].removesuffix("$"), it[0][1][1], it[0][0] == "+")):
        text += "\t".join((",".join(known), sign, *row)) + "\n"
    (HERE / "servlets-older.tsv").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
