"""Intervals and summaries that do not claim more than the sample holds.

An enumerated cell has no interval: nothing was left out.  A sampled one has: Clopper-Pearson
where a verdict hangs on it (never too narrow), Wilson where a figure is only shown.  A
percentile is given only where the sample can show it: no p99 below 400 values.
"""

from __future__ import annotations

import statistics

from collections.abc import Iterable
from dataclasses import dataclass


P90_FROM = 20
P99_FROM = 400


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval of a proportion."""

    low: float
    high: float
    method: str


def _check(hits: int, n: int, level: float) -> None:
    if not 0 <= hits <= n or n == 0 or not 0 < level < 1:
        msg = (
            f"expected 0 <= hits <= n, n > 0 and 0 < level < 1; "
            f"seen hits={hits}, n={n}, level={level}"
        )
        raise ValueError(msg)


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> Interval:
    """Return the exact interval of ``hits`` in ``n``; it covers at least ``level``.

    Raises:
        ValueError: the counts are none.

    """
    _check(hits, n, level)
    from scipy.stats import beta  # noqa: PLC0415 - a second to import, and seldom needed

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return Interval(low, high, "Clopper-Pearson")


def wilson(hits: int, n: int, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of ``hits`` in ``n``.

    Raises:
        ValueError: the counts are none.

    """
    _check(hits, n, level)
    z = statistics.NormalDist().inv_cdf(1 - (1 - level) / 2)
    share, scale = hits / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5 / scale
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == n else min(1.0, centre + half)
    return Interval(low, high, "Wilson")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What a sample of one figure shows; ``None`` is what it is too small to show."""

    n: int
    low: float
    median: float
    high: float
    p90: float | None
    p99: float | None


def spread(values: Iterable[float]) -> Spread | None:
    """Return the spread of a sample, ``None`` of an empty one."""
    found = sorted(values)
    if not found:
        return None
    n = len(found)

    def rank(share: float) -> float:
        return found[min(n - 1, int(share * n))]

    return Spread(
        n=n,
        low=found[0],
        median=statistics.median(found),
        high=found[-1],
        p90=rank(0.90) if n >= P90_FROM else None,
        p99=rank(0.99) if n >= P99_FROM else None,
    )
