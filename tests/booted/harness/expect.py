"""Comparisons that name both sides when they fail, and waiting for a condition."""

import time
from collections.abc import Callable, Container
from typing import Any, Literal, TypeVar

PAUSE = 0.1
T = TypeVar("T")


class CheckFailed(AssertionError):
    """A check has failed. The text is the evidence."""


def assert_equal(got: Any, wanted: Any, subject: str = "got") -> None:
    """Like `assert got == wanted`, but prints both sides."""
    if got != wanted:
        raise CheckFailed(f"{subject}: {got!r}, wanted {wanted!r}")


def assert_contains(text: Container[str], *parts: str) -> None:
    """Like `assert part in text` for every part, but prints both sides."""
    missing = [part for part in parts if part not in text]
    if missing:
        raise CheckFailed(f"{missing} not in:\n{text}")


def wait_until(subject: str, condition: Callable[[], T | None | Literal[False]], seconds: float = 30.0) -> T:
    """Repeats `condition` until it returns a true value, and returns that value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise CheckFailed(f"not within {seconds:.0f} s: {subject}")
        time.sleep(PAUSE)
    return value
