"""The plugin of the booted cases for pytest: a host for each, lines and counts of checks, lanes, the list of cases."""

import os
import signal
import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from harness.checks import JOURNAL, CaseAborted, Checks, Outcome
from harness.host import Host
from harness.pool import ENDINGS, HostPool

CHECKS = pytest.StashKey[Checks]()
OUTCOMES: list[Outcome] = []
LANES = (1, 2)
# Characters of the evidence of a failed check that the summary repeats: records of a run often have only its last lines.
EVIDENCE = 2000
BEGUN = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("booted hosts")
    group.addoption("--case", action="append", default=[], metavar="NAME", help="only this case; may be given more than once")
    group.addoption("--lane", type=int, choices=LANES, help="only the cases of this lane")
    group.addoption("--list-cases", action="store_true", help="name the cases and exit")


def pytest_configure() -> None:
    """A signal that ends this run also ends its host; later signals are ignored meanwhile."""
    def interrupt(*_: object) -> None:
        for ending in ENDINGS:
            signal.signal(ending, signal.SIG_IGN)
        raise KeyboardInterrupt

    for ending in ENDINGS:
        signal.signal(ending, interrupt)


def name_of(item: pytest.Item) -> str:
    """The name of a case: `test_adopt_sqlite` is adopt-sqlite."""
    return item.name.removeprefix("test_").replace("_", "-")


def summary_of(item: pytest.Item) -> str:
    """The sentence that describes a case, from its docstring."""
    return (item.obj.__doc__ or "").strip().splitlines()[0].rstrip(".")


def lane_of(item: pytest.Item) -> int:
    marker = item.get_closest_marker("lane")
    return marker.args[0] if marker else 1 if item.get_closest_marker("installed") else 2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Selects the cases, and sorts them so that cases which share a host follow each other."""
    names, lane = set(config.option.case), config.option.lane
    if unknown := names - {name_of(item) for item in items}:
        raise pytest.UsageError(f"no such case: {', '.join(sorted(unknown))}; --list names them")

    def is_selected(item: pytest.Item) -> bool:
        if names:
            return name_of(item) in names
        named = config.option.list_cases or config.option.markexpr or not item.get_closest_marker("slow")
        return named and (lane is None or lane == lane_of(item))

    def order(item: pytest.Item) -> tuple[bool, bool, str]:
        return item.get_closest_marker("bare") is not None, item.get_closest_marker("installed") is not None, name_of(item)

    config.hook.pytest_deselected(items=[item for item in items if not is_selected(item)])
    items[:] = sorted(filter(is_selected, items), key=order)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        print(report.longrepr)


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if session.config.option.list_cases:
        for item in session.items:
            print(f"{name_of(item):<22} {summary_of(item)}")
        return True
    if not session.items and not session.testsfailed:
        raise pytest.UsageError("no case matches; --list names them")
    if os.geteuid():
        raise pytest.UsageError("needs root, to boot hosts")
    return None


@pytest.fixture(scope="session")
def pool(request: pytest.FixtureRequest) -> Iterator[HostPool]:
    hosts = HostPool(request.config.option.lane or LANES[0])
    yield hosts
    hosts.stop()


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Checks:
    """Reports each check of the case to pytest, as a test of its own."""
    item = request.node

    def report(outcome: Outcome) -> None:
        OUTCOMES.append(outcome)
        nodeid = f"{item.nodeid}::{outcome.text.replace('::', ':')}"
        for when in ("call", "teardown"):
            ended = when == "call"
            item.ihook.pytest_runtest_logreport(report=pytest.TestReport(
                nodeid=nodeid, location=item.location, keywords={}, when=when, duration=outcome.seconds if ended else 0.0,
                outcome="failed" if ended and outcome.evidence else "passed", longrepr=outcome.evidence if ended else None,
                user_properties=[("figures", note) for note in outcome.notes]))

    checks = item.stash[CHECKS] = Checks(name_of(item), report)
    return checks


@pytest.fixture
def host(request: pytest.FixtureRequest, pool: HostPool, check: Checks) -> Host:
    """A host in the state that the markers of the case name; without markers, a host before the first install."""
    with check("a host to run on", vital=True):
        markers = {marker.name for marker in request.node.iter_markers()}
        check.host = pool.installed() if "installed" in markers else pool.fresh(bare="bare" in markers)
    return check.host


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    begun = time.monotonic()
    print(f"== {name_of(item)}: {summary_of(item)}", flush=True)
    yield
    print(f"== {name_of(item)}: {time.monotonic() - begun:.0f} s", flush=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """A case has failed if one of its checks failed, or if an error was raised outside a check."""
    made = yield
    report, checks = made.get_result(), item.stash.get(CHECKS, None)
    if checks is None:
        return
    if call.excinfo and isinstance(call.excinfo.value, CaseAborted):
        print(f"      the rest of {checks.case} was not run", flush=True)
        report.longrepr = f"ended by the check: {call.excinfo.value}"
    elif report.failed:
        checks.fail("outside of any check", call.excinfo.value)
    elif call.when == "call" and checks.failed:
        report.outcome, report.longrepr = "failed", "failed checks: " + "; ".join(checks.failed)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str]:
    """Prints no letters, because `Checks` prints a line for each check."""
    return report.outcome, "", ""


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary() -> None:
    """The last lines: the checks that failed with the beginning of their evidence, and how many passed."""
    if not OUTCOMES:
        return
    failed = [outcome for outcome in OUTCOMES if outcome.evidence]
    for outcome in failed:
        evidence = outcome.evidence.partition(JOURNAL)[0][:EVIDENCE]
        print(f"failed: {outcome.case}: {outcome.text}\n      " + evidence.replace("\n", "\n      "))
    print(f"{time.monotonic() - BEGUN:.0f} s")
    print(f"{len(OUTCOMES) - len(failed)} passed, {len(failed)} failed", flush=True)
