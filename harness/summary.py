"""From judged runs to cells: runtime x case x guard x fault, and the exit code.

Within a cell a schedule counts once.  Where a single trial has proved it, its verdict counts.
Where it disagrees with the batch that found it: under a fault that can mean one thing only,
the schedule is unknown; where races decide, both are true, and the worse one counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.known import Known, mark


MAX_UNKNOWN = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of the matrix; the numbers count schedules.

    ``predicted`` are violated as the guarantee predicts, ``surprising`` contradict the
    model (in either direction), ``known`` do so too and are listed, ``confirmed`` were proved by
    a single trial.
    """

    runtime: str
    kind: str
    case: str
    guard: str
    fault: str
    depth: int
    schedules: int
    clean: int
    escalated: int
    predicted: int
    surprising: int
    known: int
    unknown: int
    confirmed: int
    disagreed: int
    oracles: Mapping[str, int]
    rows: Sequence[Mapping[str, Any]] = field(repr=False)

    @property
    def violated(self) -> int:
        """Return how many schedules violate something."""
        return sum(1 for row in self.rows if row["outcome"] == "violated")

    @property
    def state(self) -> str:
        """Return clean, predicted, known, unknown or surprising: the worst that it shows."""
        if self.surprising:
            return "surprising"
        if self.unknown:
            return "unknown"
        if self.known:
            return "known"
        return "predicted" if self.violated else "clean"


def _badness(row: Mapping[str, Any]) -> tuple[bool, int]:
    return bool(row["surprising"]), len(row["violated"])


def decide(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each schedule of a cell: the single trial's where there is one."""
    batch = {row["schedule"]: dict(row) for row in rows if row["mode"] != "single"}
    for row in rows:
        if row["mode"] != "single":
            continue
        found = batch.get(row["schedule"])
        proved = {**row, "confirmed": True, "batch": found["trial"] if found else ""}
        known = found is not None and "unknown" not in {found["outcome"], row["outcome"]}
        if found is not None and known and sorted(found["violated"]) != sorted(row["violated"]):
            why = (
                f"the batch says {', '.join(found['violated']) or 'clean'}, "
                f"alone it is {', '.join(row['violated']) or 'clean'}"
            )
            if row["exact"]:
                proved |= {"outcome": "unknown", "confirmed": False}
            elif _badness(found) > _badness(row):
                proved = {**found, "confirmed": False}
            proved |= {"disagreed": True, "why": why}
        batch[row["schedule"]] = proved
    return list(batch.values())


def cells(rows: Iterable[Mapping[str, Any]], known: Sequence[Known] = ()) -> list[Cell]:
    """Return the cells of an index, in order of appearance; ``known`` failures are no surprise."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in mark(rows, known):
        key = (row["runtime"], row["case"], row["guard"], row["fault"], str(row["depth"]))
        groups.setdefault(key, []).append(row)
    found = []
    for (runtime, case, guard, fault, depth), members in groups.items():
        decided = decide(members)
        surprising = [r for r in decided if r["outcome"] != "unknown" and r["surprising"]]
        violated = [r for r in decided if r["outcome"] == "violated"]
        oracles: dict[str, int] = {}
        for row in violated:
            for name in row["violated"]:
                oracles[name] = oracles.get(name, 0) + 1
        found.append(
            Cell(
                runtime=runtime,
                kind=members[0]["kind"],
                case=case,
                guard=guard,
                fault=fault,
                depth=int(depth),
                schedules=len(decided),
                clean=sum(
                    r["outcome"] == "ok" and r["end"] != "escalated" and not r["surprising"]
                    for r in decided
                ),
                escalated=sum(r["outcome"] == "ok" and r["end"] == "escalated" for r in decided),
                predicted=sum(not r["surprising"] and not r.get("known") for r in violated),
                surprising=len(surprising),
                known=sum(bool(r.get("known")) for r in violated),
                unknown=sum(r["outcome"] == "unknown" for r in decided),
                confirmed=sum(bool(r.get("confirmed")) for r in decided),
                disagreed=sum(bool(r.get("disagreed")) for r in decided),
                oracles=oracles,
                rows=decided,
            )
        )
    return found


def exit_code(found: Sequence[Cell], planned: int, run: int, budget: str) -> int:
    """Return 0, 1 (the model was contradicted) or 2 (too much unknown, or too few trials)."""
    if any(cell.surprising for cell in found):
        return 1
    total = sum(cell.schedules for cell in found)
    unknown = sum(cell.unknown for cell in found)
    if unknown > MAX_UNKNOWN * total or (run < planned and not budget) or not total:
        return 2
    return 0
