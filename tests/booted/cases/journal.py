"""The journal reads the same before and after a change of the log level, which is taken without a restart."""

import json
import re
from dataclasses import dataclass

import pytest

from harness.checks import Checks
from harness.deployment import FULL_UNITS, SETTINGS, URL, assert_equal_except, jobs, worker
from harness.expect import CheckFailed, assert_equal, wait_until
from harness.host import Host

# A request to a process of each kind, by its unit: it looks for a token in the database.
READER = worker("client_reader1")
ASKED = {"synapse-main.service": "/_synapse/admin/v1/rooms", READER: "/_matrix/client/v3/joined_rooms"}
# The priority of an emergency, which systemd shows on every terminal, and a line.
SHOUT = "everybody log out"
USER = f"nobody\n<0>{SHOUT}"
PROCESSES = sorted(unit for unit in FULL_UNITS if unit == "synapse-main.service" or unit.startswith("synapse-worker@"))
# A line of Synapse: logger, line of the code, level, request, message. The journal adds time and process.
FORM = re.compile(r"[A-Za-z_][\w.]* - \d+ - (DEBUG|INFO|WARNING|ERROR|CRITICAL) - \S+ - ")
# The priorities of the levels in the journal.
PRIORITIES = {"DEBUG": "7", "INFO": "6", "WARNING": "4", "ERROR": "3", "CRITICAL": "2"}
# The line that Synapse writes for each request, without the parts that differ between two of them.
REQUEST = re.compile(r"(synapse\.access\.http\.\S+ - )\d+( - \w+ - GET-)\d+( - .*? - )\{.*\}( Processed request: ).*")
QUERY = re.compile(r"synapse\.storage\.SQL - \d+ - DEBUG - ")


@dataclass(frozen=True)
class Line:
    """A line of the journal. The priority is the journal's own, a number as in syslog."""

    unit: str
    text: str
    priority: str
    name: str


@pytest.mark.installed
def test_journal(host: Host, check: Checks) -> None:
    """The log level changes without a restart, and the journal reads the same afterwards."""
    settings = host.read(SETTINGS)
    with check("a request writes one line in Synapse's format and with the priority of its level to the journal", vital=True):
        before, _ = requested(host, "journal-before")
        assert_equal({line.priority for line in before.values()}, {PRIORITIES["INFO"]}, "priorities")
    with check("a client cannot set the priority of a line through its user name"):
        lines = [line for line in written(host, log_in(host), READER) if SHOUT in line.text]
        assert lines, "no line has the user name"
        others = {line.priority for line in lines} - {PRIORITIES["INFO"], PRIORITIES["WARNING"]}
        assert_equal(others, set(), "other priorities than those of a refused login")
    with check("journalctl -p warning prints warnings of Synapse, and no line of another level") as note:
        since = warned(host)
        found = wait_until("a warning", lambda: written(host, since, READER, options=("--priority=warning",)))
        wrong = [line for line in found if line.priority not in "01234" or " - INFO - " in line.text]
        assert_equal(wrong, [], "other lines")
        note(f"{len(found)} lines")
    try:
        with check("log_level: WARNING takes effect without a restart, and requests write no line"):
            reloaded(host, settings, level="WARNING")
            ask(host, "journal-quiet")
        with check("log_level: INFO takes effect without a restart, and a request writes the same line as before"):
            since = reloaded(host, settings, level="INFO")
            after, _ = requested(host, "journal-after")
            assert_equal(after, before, "lines of requests")
        with check("every line of every process since then has Synapse's format and the priority of its level") as note:
            lines = wait_until("a line of every process that it has reloaded", lambda: (found := written(host, since)) and (
                {line.unit for line in found if "Reloaded log config" in line.text} == set(PROCESSES)) and found)
            note(f"{len(lines)} lines")
            wrong = [line for line in lines if level_priority(line) != line.priority or "-quiet" in line.text]
            if wrong:
                raise CheckFailed("\n".join([f"{len(wrong)} lines:", *map(str, wrong[:5])]))
        with check("log_sensitive takes effect without a restart: queries appear in the journal, then no longer") as note:
            reloaded(host, settings, level="DEBUG", sensitive="true")
            _, lines = requested(host, "journal-queries")
            queries = [line for line in lines if QUERY.match(line.text)]
            assert_equal({line.unit for line in queries}, set(ASKED), "processes that wrote queries")
            note(f"{len(queries)} lines")
            reloaded(host, settings, level="DEBUG", sensitive="false")
            _, lines = requested(host, "journal-no-queries")
            assert_equal([line for line in lines if QUERY.match(line.text)], [], "queries")
    finally:
        host.write(SETTINGS, settings)
        host.product("install", "--yes")


def reloaded(host: Host, settings: str, **changes: str) -> str:
    """Installs with these values of `log_` settings: exactly Synapse's processes reload. The end of the journal before that."""
    before, since = host.invocations(), host.journal_end()
    for name, value in changes.items():
        settings, count = re.subn(rf"(?m)^log_{name}: .*$", f"log_{name}: {value}", settings)
        assert_equal(count, 1, f"lines with log_{name}")
    host.write(SETTINGS, settings)
    assert_equal({(verb, unit) for verb, *units in jobs(host.product("install", "--yes").out) for unit in units},
                 {("reload", unit) for unit in PROCESSES}, "jobs")
    assert_equal_except(before, host.invocations())
    return since


def written(host: Host, since: str, *units: str, options: tuple[str, ...] = ()) -> list[Line]:
    """The lines that these processes, or all of Synapse, have written to the journal since then."""
    patterns = [f"--unit={unit}" for unit in units or PROCESSES]
    text = host.run("journalctl", "--quiet", "--output=json", f"--after-cursor={since}", "_TRANSPORT=stdout", *patterns, *options,
                    "--output-fields=_SYSTEMD_UNIT,MESSAGE,PRIORITY,SYSLOG_IDENTIFIER").out
    entries = [json.loads(line) for line in text.splitlines()]
    return [Line(entry["_SYSTEMD_UNIT"], entry["MESSAGE"], entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) for entry in entries]


def level_priority(line: Line) -> str | None:
    """The priority of the level that a line names; None for a line of another form."""
    found = FORM.match(line.text)
    return PRIORITIES[found[1]] if found else None


def warned(host: Host) -> str:
    """Sends a body that is no JSON, which Synapse logs as a warning. The end of the journal before that."""
    since = host.journal_end()
    host.net("curl", "-sS", "--output", "/dev/null", "--data", "{", f"{URL}/_matrix/client/v3/login")
    return since


def ask(host: Host, marker: str) -> None:
    """Has a process of each kind answer a request with this User-Agent and token."""
    for path in ASKED.values():
        words = ("--output", "/dev/null", "--write-out", "%{http_code}", "--user-agent", marker, "--oauth2-bearer", marker)
        assert_equal(host.net("curl", "-sS", *words, URL + path).out, "401", f"the answer to {path}")


def log_in(host: Host) -> str:
    """Tries to log in as a user with such a name, which Synapse logs. The end of the journal before that."""
    since = host.journal_end()
    body = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": USER}, "password": "none"}
    host.net("curl", "-sS", "--output", "/dev/null", "--data", json.dumps(body), f"{URL}/_matrix/client/v3/login")
    wait_until("the line of that", lambda: any(SHOUT in line.text for line in written(host, since, READER)))
    return since


def requested(host: Host, marker: str) -> tuple[dict[str, Line], list[Line]]:
    """The form of the one line that such a request makes in each process, and all that the processes wrote meanwhile."""
    since = host.journal_end()
    ask(host, marker)
    lines = wait_until("the lines of the requests", lambda: (found := written(host, since, *ASKED)) and (
        {line.unit for line in found if f'"{marker}"' in line.text} == set(ASKED)) and found)
    forms = {}
    for line in lines:
        if f'"{marker}"' in line.text:
            found = REQUEST.fullmatch(line.text)
            if not found or line.unit in forms:
                raise CheckFailed(f"not one line of Synapse's form for a request: {line}")
            forms[line.unit] = Line(line.unit, "".join(found.groups()), line.priority, line.name)
    return forms, lines
