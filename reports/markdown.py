"""``summary.md``, for the summary of a CI step: never more than it takes."""

from __future__ import annotations

import html
import re

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.summary import Cell
from reports.headline import controls, headline
from reports.matrix import put
from reports.sheet import Sheet
from reports.situations import Entry, guards, situations
from reports.words import EXITS, STATES, count, found_in, state_of


LIMIT = 200_000
ROOM = 1_000
"""Kept for what is said when a list is cut."""


def plain(text: object) -> str:
    """Return a text that means nothing to Markdown or HTML, on one line."""
    flat = " ".join(str(text).split())
    return re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", html.escape(flat, quote=False))


def code(text: object) -> str:
    """Return a text in code; what would end it is replaced."""
    return f"`{' '.join(str(text).split()).replace('`', chr(39)).replace('|', '¦')}`"


def _grid(table: Sequence[tuple[str, Sequence[Entry]]]) -> Iterator[str]:
    """Yield a table of situations, with a column for each runtime behind each guard."""
    places = list(dict.fromkeys((e.runtime, e.guard) for _, row in table for e in row if e.row))
    heads = " | ".join(plain(f"{runtime} {guard}") for runtime, guard in places)
    yield ""
    yield f"| situation | {heads} |"
    yield f"|---|{'---|' * len(places)}"
    for name, row in table:
        cells = {(entry.runtime, entry.guard): entry for entry in row}
        faces = (_sign(cells.get(place)) for place in places)
        yield f"| {plain(name)} | {' | '.join(faces)} |"
    reasons = {(name, e.reason): None for name, row in table for e in row if e.row is None}
    yield ""
    yield from (f"- {plain(name)}: not measured: {plain(reason)}" for name, reason in reasons)


def _sign(entry: Entry | None) -> str:
    return f"{STATES[entry.state].sign} {plain(entry.word)}" if entry else ""


def _face(cell: Cell) -> str:
    state = STATES[cell.state if cell.state != "clean" or not cell.escalated else "escalated"]
    return f"{state.sign} {state.word}"


def _counts(cell: Cell) -> str:
    parts = [
        f"{number} {word}"
        for number, word in (
            (cell.clean, "clean"),
            (cell.escalated, "escalated"),
            (cell.predicted, "violated as predicted"),
            (cell.known, "known failures"),
            (cell.surprising, "CONTRADICT"),
            (cell.unknown, "unknown"),
            (cell.confirmed, "proved alone"),
        )
        if number
    ]
    return f"{', '.join(parts)} of {cell.schedules}"


def _lines(sheet: Sheet) -> Iterable[str]:
    facts, top = sheet.facts, headline(sheet)
    git = facts.get("git") or {}
    yield f"## {STATES[top.key].sign} {plain(top.text)}"
    yield ""
    yield (
        f"Planned {facts.get('planned', '?')}, run {facts.get('judged', '?')}, "
        f"not measured {count(len(sheet.gaps()), 'cell')}, unknown {sheet.unknown}. "
        f"Exit {'none' if sheet.code is None else sheet.code}: {EXITS[sheet.code]}. "
        f"Commit {code(str(git.get('head') or 'none')[:12])}"
        f"{' (dirty)' if git.get('dirty') else ''}."
    )
    yield ""
    yield code(facts.get("argv", "?"))
    yield ""
    found = controls(sheet)
    yield "**Controls.** " + (
        "; ".join(f"{STATES[c.key].sign} {plain(c.runtime)} {plain(c.text)}" for c in found)
        if found
        else "No controls: these results prove little."
    )
    yield ""
    yield "| runtime | case | guard | fault | depth | state | schedules |"
    yield "|---|---|---|---|---|---|---|"
    for cell in sheet.measured:
        yield (
            f"| {plain(cell.runtime)} | {plain(cell.case)} | {cell.guard} | {plain(cell.fault)} "
            f"| {cell.depth} | {_face(cell)} | {_counts(cell)} |"
        )
    table = situations(sheet)
    compared = len(guards(table)) > 1
    if compared:
        yield from _grid(table)
    for name, line in [] if compared else table:
        yield ""
        yield f"**{plain(name)}**"
        yield ""
        yield from (f"- {plain(entry.runtime)}: {plain(entry.text)}" for entry in line)
    gaps = sheet.gaps()
    if gaps:
        yield ""
        yield "**Not measured**"
        yield ""
    for gap in gaps:
        change = f"; to measure it: {code(gap.command)}" if gap.command else ""
        yield (
            f"- {plain(gap.runtime)} {plain(gap.place.case)} {gap.place.guard} "
            f"{plain(gap.place.fault)}: {plain(gap.reason)}{change}"
        )
    for key, title in (
        ("surprising", "Contradictions"),
        ("unknown", "Unknown"),
        ("known", "Known failures"),
        ("predicted", "Violations, as predicted"),
    ):
        rows = [row for cell in sheet.cells for row in cell.rows if state_of(row).key == key]
        if rows:
            yield ""
            yield f"**{title}**"
            yield ""
        for row in rows:
            yield (
                f"- {plain(row['runtime'])} {plain(row['case'])} {code(row['schedule'])}: "
                f"{plain(found_in(row))}"
            )


def text(sheet: Sheet, limit: int = LIMIT) -> str:
    """Return the summary; where it would be too long, it says how much is left out."""
    kept, used, left = [], 0, 0
    for line in _lines(sheet):
        size = len(line.encode()) + 1
        if left or used + size > limit - ROOM:
            left += 1
            continue
        kept.append(line)
        used += size
    if left:
        kept += ["", f"{left} more lines are left out here; all of it is in report.html."]
    return "\n".join(kept) + "\n"


def write(sheet: Sheet) -> Path:
    """Write ``summary.md``."""
    return put(sheet.path / "summary.md", text(sheet))
