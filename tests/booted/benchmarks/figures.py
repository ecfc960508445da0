"""The lines that a benchmark prints: what was measured, both sides, their ratio, the goal, and whether it was reached."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 60
BARE = "bare systemctl start"
PLAIN = "plain"


@dataclass(frozen=True)
class Goal:
    """The value that a figure may not exceed, or with `at_least` the value that it has to reach."""

    value: float
    at_least: bool = False

    def verdict(self, value: float) -> str:
        reached = value >= self.value if self.at_least else value <= self.value
        return f"goal {'>=' if self.at_least else '<='} {self.value:.2f} {'reached' if reached else 'MISSED'}"


@dataclass(frozen=True)
class Line:
    """One figure of a measurement. Its goal is for the ratio, or with `of_value` for the first side itself."""

    what: str
    unit: str
    goal: Goal
    of_value: bool = False


def say(what: str, text: str) -> None:
    print(f"{what:<{WIDTH}} {text}", flush=True)


def absolute(what: str, values: Sequence[float], unit: str = "s") -> None:
    """A figure without a goal."""
    say(what, f"{statistics.median(values):8.2f} {unit}   ({number(values)}, {min(values):.2f} to {max(values):.2f})")


def compared(line: Line, pairs: Sequence[tuple[float, float]], other: str) -> None:
    """The median of each side, and their ratio; `other` names the second side."""
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    share = ours / theirs if theirs else float("nan")
    say(line.what, f"{ours:8.2f} {line.unit}   {other} {theirs:.2f} {line.unit}, ratio {share:.2f}, "
                   f"{line.goal.verdict(ours if line.of_value else share)}{' (for the value)' if line.of_value else ''} ({number(pairs)})")


def number(values: Sequence[object]) -> str:
    return "one measurement" if len(values) == 1 else f"medians of {len(values)}"
