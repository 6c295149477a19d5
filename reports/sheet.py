"""One reading of the store: cells in their places, and what is not measured with the reason."""

from __future__ import annotations

import re
import shlex

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.faults import FAULTS
from harness.known import read as known_failures
from harness.stats import Interval, clopper_pearson
from harness.store import Store
from harness.summary import Cell, cells, exit_code


KINDS = ("real server", "library", "control")
NO_FAULT = "none"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One column of the matrix."""

    case: str
    guard: str
    fault: str
    depth: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A cell that is not measured: why, and the command that would change it, if any."""

    runtime: str
    place: Place
    reason: str
    command: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a results folder says."""

    path: Path
    facts: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] = field(repr=False)
    cells: Sequence[Cell] = field(repr=False)
    columns: Sequence[Mapping[str, Any]]

    @property
    def measured(self) -> list[Cell]:
        """Return the cells in which something was broken, in the order of the matrix."""
        names = [column["runtime"] for column in self.columns]
        found = [cell for cell in self.cells if cell.fault != NO_FAULT]
        return sorted(found, key=lambda c: (names.index(c.runtime), _rank(place_of(c))))

    @property
    def golden(self) -> list[Cell]:
        """Return the cells of the runs without a fault."""
        return [cell for cell in self.cells if cell.fault == NO_FAULT]

    @property
    def code(self) -> int | None:
        """Return the exit code of these verdicts (they may have been judged again since)."""
        facts = self.facts
        if facts.get("exit_code") is None:
            return None
        return exit_code(
            self.cells,
            facts.get("planned") or 0,
            facts.get("judged") or 0,
            facts.get("budget") or "",
        )

    @property
    def unknown(self) -> int:
        """Return how many schedules with a fault are unknown."""
        return sum(cell.unknown for cell in self.measured)

    @property
    def places(self) -> list[Place]:
        """Return the columns; runs without a fault have some only where they went wrong."""
        shown = [*self.measured, *(cell for cell in self.golden if cell.state != "clean")]
        found = {place_of(cell) for cell in shown}
        met = {(place.case, place.guard, place.fault) for place in found}
        for skip in self.facts.get("skips") or ():
            what = (skip["case"], skip["guard"], skip["fault"])
            if what not in met:
                found.add(Place(*what, 1))
        return sorted(found, key=_rank)

    def at(self, runtime: str, place: Place) -> Cell | Gap:
        """Return what stands in a cell of the matrix."""
        for cell in self.cells:
            if cell.runtime == runtime and place_of(cell) == place:
                return cell
        return self._gap(runtime, place)

    def gaps(self) -> list[Gap]:
        """Return all that is not measured."""
        places = self.places
        found = [self.at(column["runtime"], place) for column in self.columns for place in places]
        return [gap for gap in found if isinstance(gap, Gap)]

    def _gap(self, runtime: str, place: Place) -> Gap:
        skip = next(
            (
                skip["reason"]
                for skip in self.facts.get("skips") or ()
                if (skip["runtime"], skip["case"], skip["guard"], skip["fault"])
                == (runtime, place.case, place.guard, place.fault)
            ),
            None,
        )
        if skip is not None:
            told = re.search(r"run: (.+?)(?:;|$)", skip)
            return Gap(runtime, place, skip, told[1] if told else "")
        if self.facts.get("exit_code") is None:
            return Gap(
                runtime,
                place,
                "the sweep did not come so far",
                f"bakeoff run --resume {shlex.quote(str(self.path))}",
            )
        command = (
            f"bakeoff run --runtime {shlex.quote(runtime)} --scenario {shlex.quote(place.case)} "
            f"--guard {place.guard} --depth {max(1, place.depth)}"
        )
        if place.fault != NO_FAULT:
            command += f" --fault {shlex.quote(place.fault)}"
        return Gap(runtime, place, "not part of this sweep", command)

    def sampled(self, cell: Cell) -> bool:
        """Say whether the budget cut the cell, or one that it is built on."""
        budget = (self.facts.get("asked") or {}).get("budget") or 0
        if not budget and not self.facts.get("budget"):
            return False
        if cell.fault == NO_FAULT:
            return False
        same = [
            other
            for other in self.cells
            if (other.runtime, other.case, other.guard, other.fault)
            == (cell.runtime, cell.case, cell.guard, cell.fault)
            and other.depth <= cell.depth
        ]
        return not budget or any(other.schedules >= budget for other in same)

    def interval(self, cell: Cell) -> Interval | None:
        """Return the interval of the violated share of a sampled cell; enumerated: none."""
        known = cell.schedules - cell.unknown
        return clopper_pearson(cell.violated, known) if known and self.sampled(cell) else None

    def column(self, runtime: str) -> Mapping[str, Any]:
        """Return what the sweep says of a runtime."""
        return next((c for c in self.columns if c["runtime"] == runtime), {"runtime": runtime})


def _rank(place: Place) -> tuple[str, str, int, str, int]:
    known = [NO_FAULT, *FAULTS]
    order = known.index(place.fault) if place.fault in known else len(known)
    return (place.case, place.guard, order, place.fault, place.depth)


def place_of(cell: Cell) -> Place:
    """Return the column that a cell stands in."""
    return Place(cell.case, cell.guard, cell.fault, cell.depth)


def anchor(cell: Cell) -> str:
    """Return the id of a cell's section in the page."""
    parts = (cell.runtime, cell.case, cell.guard, cell.fault, f"d{cell.depth}")
    return "cell-" + "-".join(re.sub(r"[^A-Za-z0-9]+", "_", part).strip("_") for part in parts)


def replay(row: Mapping[str, Any]) -> str:
    """Return the command that runs one schedule again, alone."""
    return f"bakeoff replay {shlex.quote(row['schedule'])} {row['again']}"


def read(results: Path) -> Sheet:
    """Read a results folder."""
    store = Store.open(results)
    facts, rows = store.facts(), store.rows()
    known = {column["runtime"]: dict(column) for column in facts.get("columns") or ()}
    for row in rows:
        known.setdefault(row["runtime"], {"runtime": row["runtime"], "kind": row["kind"]})
    columns = sorted(
        known.values(),
        key=lambda c: KINDS.index(c["kind"]) if c.get("kind") in KINDS else len(KINDS),
    )
    found = cells(rows, known_failures(facts.get("known") or ()))
    return Sheet(store.path, facts, rows, found, columns)
