"""When things came, in the scenario's time, and what they carried."""

from __future__ import annotations

import time

from collections.abc import Sequence
from typing import Any

from conformance.programs import SCALE

from harness.history import Event


CLOCKS_S = 0.05
"""By how much a lower bound may be missed: clocks and timers of two processes."""


class UnknownError(Exception):
    """The machine was too slow for the check to tell anything."""


def first_s(events: Sequence[Event]) -> float:
    """Return when the first of these events came."""
    return events[0].t_ns / 1e9


def last_s(events: Sequence[Event]) -> float:
    """Return when the last of these events came."""
    return events[-1].t_ns / 1e9


def apart(earlier_s: float, later_s: float, least_s: float) -> bool:
    """Say whether as much of the scenario's time lies between two moments."""
    return later_s - earlier_s >= least_s * SCALE - CLOCKS_S


def sooner(began_s: float, limit_s: float, what: str) -> None:
    """Go on if less than that much of the scenario's time has passed.

    Raises:
        UnknownError: the machine was too slow for the check.

    """
    took_s = (time.monotonic() - began_s) / SCALE
    if took_s >= limit_s:
        msg = f"{what} took {took_s:.0f} s of the scenario's time, {limit_s:.0f} s were there"
        raise UnknownError(msg)


def value(event: Event) -> Any:
    """Return what a call was to write."""
    return event.data["args"]["value"]
