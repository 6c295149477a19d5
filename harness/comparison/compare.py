"""What changed between two sweeps, and whether it is worse: the gate of a pull request.

Verdicts are compared schedule by schedule and oracle by oracle.  What is *worse*:

``contradiction``
    HEAD contradicts the model where BASE did not, or where BASE has no such schedule.
``violation``
    Clean in BASE, violated in HEAD, under a fault that can mean one thing only: no race
    explains it, so the runtime, its settings or its promise changed.
``more violations``
    Under a fault whose outcome hangs on a race a single schedule may go either way.  The
    schedules that went from clean to violated are set against those that went back: a sign
    test says whether chance would do that.
``lost cell``
    BASE measured it, HEAD did not, and no reason is recorded.
``slower``
    Recovery takes longer, beyond noise: see ``harness.comparison.slowdown``.

What cannot be told is said, and is no pass: evidence that is unknown or gone with a reason, too
few pairs, and recovery under unequal settings, profiles or hosts, which is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.comparison.sides import ALPHA, Finding, Side, Weight, chance_of, unclear
from harness.comparison.slowdown import Recovery
from harness.comparison.slowdown import recovery as recoveries
from harness.summary import MAX_UNKNOWN, Cell


SCHEMA = "bakeoff.compare/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that differs between two sweeps."""

    base: Side
    head: Side
    findings: Sequence[Finding]
    recovery: Sequence[Recovery]
    compared: int

    @property
    def exit_code(self) -> int:
        """Return 0 (nothing is worse), 1 (something is) or 2 (it cannot be told)."""
        weights = {finding.weight for finding in self.findings}
        return 1 if Weight.WORSE in weights else 2 if Weight.UNCLEAR in weights else 0

    def of(self, weight: Weight) -> list[Finding]:
        """Return the findings of a weight."""
        return [finding for finding in self.findings if finding.weight is weight]

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as a JSON object."""
        return {
            "schema": SCHEMA,
            "base": str(self.base.path),
            "head": str(self.head.path),
            "exit_code": self.exit_code,
            "compared": self.compared,
            "findings": [asdict(finding) for finding in self.findings],
            "recovery": [asdict(line) for line in self.recovery],
        }


def compare(
    base: Side, head: Side, *, recovery: bool = True, across_hosts: bool = False
) -> Comparison:
    """Return what differs; ``across_hosts`` compares recovery though the hosts differ."""
    before, after = base.cells, head.cells
    both = [key for key in after if key in before]
    compared = sum(after[key].schedules for key in both)
    found = [*_whole(base, head), *_lost(base, head)]
    found += [finding for key in both for finding in _cell(before[key], after[key])]
    for key in after:
        if key not in before:
            found += _new_cell(after[key])
    if not compared:
        found.append(unclear("nothing in common", "no cell is in both folders"))
    lines: list[Recovery] = []
    if recovery:
        lines, more = recoveries(base, head, across_hosts=across_hosts)
        found += more
    order = list(Weight)
    found = _tolerated(found, compared)
    return Comparison(
        base=base,
        head=head,
        findings=sorted(found, key=lambda finding: order.index(finding.weight)),
        recovery=lines,
        compared=compared,
    )


def _place(cell: Cell, row: Mapping[str, Any] | None = None) -> dict[str, str]:
    place = {"runtime": cell.runtime, "case": cell.case, "guard": cell.guard, "fault": cell.fault}
    return place | ({"schedule": row["schedule"]} if row else {})


# Verdicts ------------------------------------------------------------------------------------


def _whole(base: Side, head: Side) -> Iterator[Finding]:
    """Yield what is wrong with a sweep as a whole, and what is another one than before."""
    for name, side in (("BASE", base), ("HEAD", head)):
        facts = side.facts
        if facts.get("exit_code") is None:
            yield unclear("sweep", f"{name} did not end: bakeoff run --resume {side.path}")
        elif (facts.get("judged") or 0) < (facts.get("planned") or 0) and not facts.get("budget"):
            yield unclear("sweep", f"{name} ran {facts['judged']} of {facts['planned']} schedules")
    for runtime, column in head.columns.items():
        old = base.columns.get(runtime, column)
        for name in ("version", "guarantee"):
            if old.get(name) != column.get(name):
                note = f"{name} {old.get(name)} in BASE, {column.get(name)} in HEAD"
                yield Finding(weight=Weight.NOTED, what=name, note=note, runtime=runtime)


def _lost(base: Side, head: Side) -> Iterator[Finding]:
    reasons: dict[tuple[str, ...], str] = {
        (skip["runtime"], skip["case"], skip["guard"], skip["fault"]): str(skip["reason"])
        for skip in head.facts.get("skips") or ()
    }
    kept, asked = head.cells, head.facts.get("asked") != base.facts.get("asked")
    for key, cell in base.cells.items():
        if key in kept or cell.fault == "none":
            continue
        reason = reasons.get(key[:4]) or ("HEAD was asked for other things" if asked else "")
        yield Finding(
            weight=Weight.UNCLEAR if reason else Weight.WORSE,
            what="lost cell",
            note=f"measured in BASE, not in HEAD: {reason or 'no reason is recorded'}",
            **_place(cell),
        )


def _again(row: Mapping[str, Any]) -> str:
    return f"bakeoff replay '{row['schedule']}' {row['again']}"


def _contradiction(cell: Cell, row: Mapping[str, Any], old: Mapping[str, Any] | None) -> Finding:
    parts = [f"{name} is violated, and not predicted" for name in row["unpredicted"]]
    parts += [f"{name} is predicted, and did not occur" for name in row["absent"]]
    known = bool(old) and _marks(old) >= _marks(row)
    return Finding(
        weight=Weight.NOTED if known else Weight.WORSE,
        what="contradiction",
        note="; ".join(parts) + ("; as in BASE" if known else ""),
        command=_again(row),
        **_place(cell, row),
    )


def _marks(row: Mapping[str, Any] | None) -> set[str]:
    return {*row["unpredicted"], *row["absent"]} if row and row["outcome"] != "unknown" else set()


def _new_cell(cell: Cell) -> Iterator[Finding]:
    """Yield what a cell shows that BASE does not have: only contradictions are worse."""
    bad = [row for row in cell.rows if row["outcome"] != "unknown" and row["surprising"]]
    for row in bad:
        yield _contradiction(cell, row, None)
    note = (
        f"not in BASE: {cell.schedules} schedules, {cell.predicted} violated as predicted, "
        f"{cell.unknown} unknown"
    )
    yield Finding(weight=Weight.NOTED, what="new cell", note=note, **_place(cell))


def _cell(base: Cell, head: Cell) -> Iterator[Finding]:
    before = {row["schedule"]: row for row in base.rows}
    after = {row["schedule"]: row for row in head.rows}
    raced: dict[str, list[Mapping[str, Any]]] = {}
    back: dict[str, int] = {}
    for schedule, row in after.items():
        old = before.get(schedule)
        if row["outcome"] == "unknown":
            if old and old["outcome"] != "unknown":
                note = f"{old['outcome']} in BASE, unknown in HEAD: {row['why']}"
                yield unclear("unknown", note, **_place(head, row))
            continue
        if row["surprising"]:
            yield _contradiction(head, row, old)
        if row.get("known") and not (old and old.get("known")):
            note = f"{', '.join(row['unpredicted'])} not predicted, known: {row['known']}"
            yield Finding(weight=Weight.NOTED, what="known failure", note=note, **_place(head, row))
        bad = set(row["violated"]) - set(row["unpredicted"])
        if old is None:
            continue
        if old["outcome"] == "unknown":
            if bad:
                note = f"{', '.join(sorted(bad))} violated in HEAD, unknown in BASE"
                yield unclear("unknown", note, **_place(head, row))
            continue
        for oracle in sorted(bad - set(old["violated"])):
            if not row["exact"]:
                raced.setdefault(oracle, []).append(row)
                continue
            yield Finding(
                weight=Weight.WORSE,
                what="violation",
                note=f"{oracle}: clean in BASE, violated in HEAD (the promise permits it)",
                command=_again(row),
                **_place(head, row),
            )
        for oracle in sorted(set(old["violated"]) - set(row["violated"])):
            back[oracle] = back.get(oracle, 0) + 1
            if row["exact"]:
                note = f"{oracle}: violated in BASE, not in HEAD"
                yield Finding(
                    weight=Weight.BETTER, what="violation", note=note, **_place(head, row)
                )
    yield from _races(head, raced, back)
    yield from _moved(head, before, after)


def _races(
    cell: Cell, raced: Mapping[str, Sequence[Mapping[str, Any]]], back: Mapping[str, int]
) -> Iterator[Finding]:
    for oracle, rows in raced.items():
        up, down = len(rows), back.get(oracle, 0)
        chance = chance_of(up, up + down)
        note = (
            f"{oracle}: races decide under this fault; {up} schedules went from clean to "
            f"violated, {down} back (chance {chance:.3g})"
        )
        yield Finding(
            weight=Weight.WORSE if chance < ALPHA else Weight.NOTED,
            what="more violations",
            note=note,
            command=_again(rows[0]),
            **_place(cell),
        )


def _moved(
    cell: Cell, before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    gone, new = len(before.keys() - after.keys()), len(after.keys() - before.keys())
    if gone or new:
        note = f"{gone} schedules of BASE are not in HEAD, {new} are only there"
        yield Finding(weight=Weight.NOTED, what="other schedules", note=note, **_place(cell))


def _tolerated(found: Sequence[Finding], compared: int) -> list[Finding]:
    """Return the findings; a share of unknown schedules that a sweep may have is only noted."""
    unknown = sum(finding.what == "unknown" for finding in found)
    if unknown > MAX_UNKNOWN * compared:
        return list(found)
    return [
        Finding(**{**asdict(finding), "weight": Weight.NOTED})
        if finding.what == "unknown"
        else finding
        for finding in found
    ]
