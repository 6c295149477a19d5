"""Which schedules a sweep runs and which it proves alone, where all of them would be too many.

Both are seeded: the same rows and the same seed choose the same schedules.
"""

from __future__ import annotations

import random

from collections.abc import Mapping, Sequence
from typing import Any

from harness.runtime import TERMINAL
from harness.schedule import Schedule, parse


def within(budget: int, schedules: Sequence[Schedule], seed: int) -> list[Schedule]:
    """Return what a budget leaves of schedules, in the same order; 0 is no limit."""
    if not budget or len(schedules) <= budget:
        return [*schedules]
    chance = random.Random(seed)  # noqa: S311 - no secret
    return [schedules[index] for index in sorted(chance.sample(range(len(schedules)), budget))]


def to_prove(rows: Sequence[Mapping[str, Any]], sample: int, seed: int) -> list[Schedule]:
    """Return the violating schedules of judged batches, and a sample of the clean ones.

    Every violation that contradicts the model is proved, and at depth 1 every one of a fault
    that can mean one thing only.  Of the others, which are many and of the same kinds, a
    ``sample`` of each set of violated oracles: beyond depth 1, and where races decide.  Of runs
    that never end, each of which takes the whole time that the runtime is given, one of each.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    always: list[str] = []
    kinds: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        if row["outcome"] == "unknown":
            continue
        certain = row["outcome"] == "violated" and row["depth"] == 1 and row["exact"]
        if (row["surprising"] or certain) and row["end"] in TERMINAL:
            always.append(row["schedule"])
        else:
            kind = (row["end"], row["outcome"], *row["violated"])
            kinds.setdefault(kind, []).append(row["schedule"])
    some = []
    for (end, *_), texts in kinds.items():
        most = sample if end in TERMINAL else min(sample, 1)
        some += chance.sample(texts, min(most, len(texts)))
    return [parse(text) for text in [*always, *some]]
