"""What a comparison of two sweeps is made of: its sides, and what it finds."""

from __future__ import annotations

import math

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.known import read
from harness.store import Store
from harness.summary import Cell, cells


ALPHA = 0.02
"""How unlikely a difference must be, for chance, to be called one."""


class Weight(StrEnum):
    """What a finding is worth to the gate."""

    WORSE = "worse"
    UNCLEAR = "cannot tell"
    NOTED = "noted"
    BETTER = "better"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference; ``command`` shows it again, where something can."""

    weight: Weight
    what: str
    note: str
    runtime: str = ""
    case: str = ""
    guard: str = ""
    fault: str = ""
    schedule: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One results folder."""

    path: Path
    facts: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Side:
        """Read a results folder.

        Raises:
            StoreError: it is none.

        """
        store = Store.open(path)
        return cls(path=store.path, facts=store.facts(), rows=store.rows())

    @property
    def cells(self) -> dict[tuple[str, ...], Cell]:
        """Return the cells by runtime, case, guard, fault and depth."""
        found = cells(self.rows, read(self.facts.get("known") or ()))
        return {(c.runtime, c.case, c.guard, c.fault, str(c.depth)): c for c in found}

    @property
    def columns(self) -> dict[str, Mapping[str, Any]]:
        """Return what is recorded of each runtime."""
        return {column["runtime"]: column for column in self.facts.get("columns") or ()}


def chance_of(hits: int, n: int) -> float:
    """Return how likely ``hits`` or more of ``n`` fair coins are: the one-sided sign test."""
    return float(sum(math.comb(n, k) for k in range(hits, n + 1)) / 2**n)


def unclear(what: str, note: str, **place: str) -> Finding:
    """Return what cannot be told."""
    return Finding(weight=Weight.UNCLEAR, what=what, note=note, **place)
