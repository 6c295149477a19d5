"""The verdict first: one sentence with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.effects import Guard
from harness.summary import Cell
from reports.sheet import Sheet
from reports.words import count, listed


CONTROL = "control"
NAMED = 4
GUARDED = {Guard.KEYS: "with idempotency keys", Guard.GATEWAY: "behind the gateway"}


@dataclass(frozen=True, slots=True)
class Headline:
    """What the page begins with; ``key`` is the state that colours it."""

    key: str
    text: str


def _whom(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.runtime for cell in cells))


def _repeats(cells: Sequence[Cell]) -> str:
    """Return who repeats irreversible effects, among the systems under test."""
    tested = [cell for cell in cells if cell.kind != CONTROL]
    names = _whom(tested)
    if not names:
        return "only controls were run"
    when = "a worker dies" if {c.fault for c in tested} == {"kill(worker)"} else "a fault comes"
    repeats = _whom(fallen := [c for c in tested if c.oracles.get("duplicate_effect")])
    never = [name for name in names if name not in repeats]
    if not repeats:
        verb = "repeats" if len(names) == 1 else "all repeat"
        text = f"{listed(names)} {verb} no irreversible effect when {when}"
    else:
        verb = "repeats" if len(repeats) == 1 else "repeat"
        text = (
            f"{len(repeats)} of {count(len(names), 'runtime')} {verb} irreversible effects "
            f"when {when} ({listed(repeats)})"
        )
        for guard, words in GUARDED.items():
            own = [c for c in tested if c.guard == guard]
            who = _whom([c for c in own if c in fallen])
            if own and not any(c.oracles or c.unknown for c in own):
                text += f"; {words} nothing is violated"
            elif own and Guard.NONE in {c.guard for c in fallen}:
                text += f"; {words} {listed(who or ['none'])} {'do' if len(who) > 1 else 'does'}"
    text += _others(tested)
    for name in never:
        mixed = len(never) < len(names)
        if mixed:
            text += f"; {name} never"
        own = [cell for cell in tested if cell.runtime == name]
        total, told = sum(c.schedules for c in own), sum(c.escalated for c in own)
        if told:
            text += ", it" if mixed else f"; {name}"
            text += f" escalates {told} of {total:,} schedules instead"
    return text


def _others(cells: Sequence[Cell]) -> str:
    """Return what else is violated; a repeated effect alone makes the final world differ."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        for oracle in cell.oracles:
            follows = oracle == "parity" and cell.oracles.get("duplicate_effect")
            if oracle != "duplicate_effect" and not follows:
                found.setdefault(oracle, []).append(cell.runtime)
    by: dict[tuple[str, ...], list[str]] = {}
    for oracle, names in found.items():
        by.setdefault(tuple(dict.fromkeys(names)), []).append(oracle)
    return "".join(
        f"; {listed([*names])} also {'show' if len(names) > 1 else 'shows'} {listed(oracles)}"
        for names, oracles in by.items()
    )


def headline(sheet: Sheet) -> Headline:
    """Return the verdict of a sheet."""
    cells, code = sheet.measured, sheet.code
    if not cells:
        return Headline("gap", "Nothing was measured: no cell has a judged schedule.")
    surprising = [cell for cell in sheet.cells if cell.surprising]
    unknown = sum(cell.unknown for cell in sheet.cells)
    total = sum(cell.schedules for cell in sheet.cells)
    if surprising:
        shown = [
            f"{c.runtime} in {c.case} under {c.fault} (guard {c.guard}): {c.surprising}"
            for c in surprising[:NAMED]
        ]
        more = f"; and {len(surprising) - NAMED} more cells" if len(surprising) > NAMED else ""
        number = sum(cell.surprising for cell in surprising)
        verb = "contradicts" if number == 1 else "contradict"
        return Headline(
            "surprising",
            f"{number} of {count(total, 'schedule')} {verb} the model, in "
            f"{count(len(surprising), 'cell')}: {'; '.join(shown)}{more}.",
        )
    if code == 2:  # noqa: PLR2004 - the exit code
        planned, judged = sheet.facts.get("planned", 0), sheet.facts.get("judged", 0)
        return Headline(
            "unknown",
            f"Not enough is known: {unknown} of {count(total, 'schedule')} unknown (limit 2 %), "
            f"{judged:,} of {planned:,} planned were run. What is known: {_repeats(cells)}.",
        )
    failing = [cell for cell in sheet.cells if cell.known]
    but = (
        f" but {count(sum(cell.known for cell in failing), 'known failure')} "
        f"({listed(_whom(failing))})"
        if failing
        else ""
    )
    begun = f"Every verdict{but} is as predicted"
    if code != 0:
        begun = f"As predicted so far{but} (unfinished)"
    left = f" ({unknown} of {total:,} unknown)" if unknown else ""
    return Headline(
        "clean" if not any(c.violated for c in cells if c.kind != CONTROL) else "predicted",
        f"{begun}{left}: {_repeats(cells)}.",
    )


@dataclass(frozen=True, slots=True)
class Control:
    """How a negative control fared: ``key`` is the state that colours it."""

    runtime: str
    key: str
    text: str


def controls(sheet: Sheet) -> list[Control]:
    """Return whether each negative control failed as it must."""
    found = []
    for name in _whom([cell for cell in sheet.measured if cell.kind == CONTROL]):
        own = [cell for cell in sheet.measured if cell.runtime == name]
        wrong, fell = sum(c.surprising for c in own), sum(c.predicted for c in own)
        total, unknown = sum(c.schedules for c in own), sum(c.unknown for c in own)
        oracles = sorted({oracle for cell in own for oracle in cell.oracles})
        if wrong:
            text = f"differs from the model in {wrong} of {total} schedules: the suite is not valid"
            found.append(Control(name, "surprising", text))
        elif not fell:
            text = f"showed no violation in {total} schedules ({unknown} unknown): proves little"
            found.append(Control(name, "unknown", text))
        else:
            text = (
                f"failed in {fell} of {total} schedules, as the model says, "
                f"caught by {listed(oracles)}"
            )
            found.append(Control(name, "clean", text))
    return found
