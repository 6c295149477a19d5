"""Deadlines: every wait has one, and says what it waited for when it is missed."""

from __future__ import annotations

import threading
import time

from collections.abc import Callable
from dataclasses import dataclass


class DeadlineError(Exception):
    """Something did not happen in time; the message says what was waited for."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock (seconds)."""

    at_s: float

    @classmethod
    def after(cls, timeout_s: float) -> Deadline:
        """Return the deadline ``timeout_s`` seconds from now."""
        return cls(time.monotonic() + timeout_s)

    @property
    def left_s(self) -> float:
        """Return the seconds left, never below 0."""
        return max(0.0, self.at_s - time.monotonic())

    @property
    def over(self) -> bool:
        """Say whether the time is up."""
        return time.monotonic() >= self.at_s


def wait_until(
    predicate: Callable[[], bool],
    deadline: Deadline,
    reason: str,
    *,
    poll_s: float = 0.02,
    changed: threading.Event | None = None,
) -> None:
    """Return once ``predicate()`` holds; ask again each ``poll_s``, or when ``changed`` is set.

    Raises:
        DeadlineError: the deadline came first; the message carries ``reason``.

    """
    pause = changed or threading.Event()
    while not predicate():
        if deadline.over:
            msg = f"timed out waiting until {reason}"
            raise DeadlineError(msg)
        pause.wait(min(poll_s, deadline.left_s) or 0.001)
        pause.clear()
