"""The checks of a case: each prints a line and is reported. A failed check prints evidence and may end its case."""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.host import Host

# Adds a figure to the line of a check.
Note = Callable[[str], None]


class CaseAborted(Exception):
    """Ends a case after a failed vital check."""


# Between the message of a failed check and the journal of its host.
JOURNAL = "\n-- the end of the journal of "


@dataclass
class Outcome:
    """The result of a check. `evidence` is empty if it passed."""

    case: str
    text: str
    seconds: float
    notes: list[str] = field(default_factory=list)
    evidence: str = ""


class Checks:
    """Prints and reports each check of one case. The case continues after a failed check unless the check is vital."""

    def __init__(self, case: str, report: Callable[[Outcome], None]) -> None:
        self.case, self.report = case, report
        self.host: Host | None = None
        self.failed: list[str] = []

    @contextmanager
    def __call__(self, text: str, vital: bool = False) -> Iterator[Note]:
        outcome, begun = Outcome(self.case, text, 0.0), time.monotonic()
        try:
            yield outcome.notes.append
        except Exception as error:  # a failed check is reported and counted, whatever the error is
            outcome.evidence = self._evidence(error, time.time() - (time.monotonic() - begun))
            self._end(outcome, begun)
            if vital:
                raise CaseAborted(text) from error
        else:
            self._end(outcome, begun)

    def fail(self, text: str, error: BaseException) -> None:
        """Reports an error that was raised outside of any check."""
        self._end(Outcome(self.case, text, 0.0, evidence=self._evidence(error, time.time())), time.monotonic())

    def _end(self, outcome: Outcome, begun: float) -> None:
        outcome.seconds = time.monotonic() - begun
        notes = f" ({', '.join(outcome.notes)})" if outcome.notes else ""
        print(f"{'FAIL' if outcome.evidence else 'ok':<4}  {self.case}: {outcome.text}{notes}  {outcome.seconds:.2f} s", flush=True)
        if outcome.evidence:
            self.failed.append(outcome.text)
            print("      " + outcome.evidence.replace("\n", "\n      "), flush=True)
        self.report(outcome)

    def _evidence(self, error: BaseException, since: float) -> str:
        """The message, where it was raised, and the end of the host's journal."""
        text = str(error) if isinstance(error, AssertionError) and str(error) else ""
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/booted/" in frame.filename and frame.name != "__call__"]
        places = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
        text = f"{text or ''.join(traceback.format_exception(error)).rstrip()}\nat {places}"
        if self.host:
            text += f"{JOURNAL}{self.host.name}:\n{self.host.journal(since)}"
        return text
