"""Deadlines: every wait has one, and says what it waited for when it is missed."""

from __future__ import annotations

import threading
import time

from collections.abc import Callable
from dataclasses import dataclass, field


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


@dataclass(frozen=True, slots=True)
class Patience:
    """A deadline that moves on with progress: over after ``idle_s`` seconds without any.

    ``moved_s`` returns when there was progress last (monotonic clock).  After ``most_s``
    seconds it is over in any case: what retries for ever makes progress for ever.
    """

    idle_s: float
    moved_s: Callable[[], float]
    most_s: float = 900.0
    began_s: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Return the seconds left if nothing moves, never below 0."""
        now_s = time.monotonic()
        idle_end_s = max(self.began_s, self.moved_s()) + self.idle_s
        return max(0.0, min(idle_end_s, self.began_s + self.most_s) - now_s)

    @property
    def over(self) -> bool:
        """Say whether it is exhausted."""
        return self.left_s <= 0


def wait_until(
    predicate: Callable[[], bool],
    deadline: Deadline | Patience,
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
