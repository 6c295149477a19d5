"""``report.html``: one file, from disk, without network, complete without JavaScript."""

from __future__ import annotations

import json
import re

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.schedule import Point, parse
from harness.stats import P99_FROM
from harness.summary import Cell
from reports import figures
from reports.grid import grid
from reports.headline import controls, headline
from reports.matrix import put
from reports.pages import render
from reports.sheet import NO_FAULT, Gap, Place, Sheet, anchor, place_of
from reports.situations import guards, situations
from reports.svg import LogScale, axis, strip
from reports.words import EXITS, STATES, faults, oracles, state_of


WIDE = 10
"""With more columns than this, each case has a table of its own."""
LISTED = 500
STRIP = 330.0
PHASES = {
    "before_effect": "b",
    "after_effect": "a",
    "after_ack": "r",
    "finalize": "f",
    "waiting": "w",
}


@dataclass(frozen=True, slots=True)
class Square:
    """One point in the strip of a cell."""

    row: Mapping[str, Any]
    letter: str
    href: str


def state_name(cell: Cell) -> str:
    """Return the key of the state that a cell shows."""
    return cell.state if cell.state != "clean" or not cell.escalated else "escalated"


def tables(sheet: Sheet) -> list[dict[str, Any]]:
    """Return the matrix: one table, or one for each case where it would be too wide."""
    places = sheet.places
    groups: list[list[Place]] = [places]
    if len(places) > WIDE:
        groups = [list(own) for _, own in groupby(places, key=lambda p: (p.case, p.guard))]
    found = []
    for group in groups:
        heads = [
            {"case": case, "guard": guard, "span": len(list(own))}
            for (case, guard), own in groupby(group, key=lambda p: (p.case, p.guard))
        ]
        lines = []
        for column in sheet.columns:
            entries = [sheet.at(column["runtime"], place) for place in group]
            lines.append({"column": column, "cells": [_entry(sheet, e) for e in entries]})
        found.append({"places": group, "heads": heads, "lines": lines})
    return found if places else []


def _entry(sheet: Sheet, entry: Cell | Gap) -> dict[str, Any]:
    if isinstance(entry, Gap):
        return {"gap": entry, "state": STATES["gap"]}
    return {
        "gap": None,
        "cell": entry,
        "state": STATES[state_name(entry)],
        "anchor": anchor(entry),
        "interval": sheet.interval(entry),
        "sampled": sheet.sampled(entry),
    }


def steps(cell: Cell, pages: Mapping[str, str]) -> list[tuple[str, list[Square]]]:
    """Return the points of a cell in the order of its program, grouped by step."""
    squares = []
    for row in ordered(cell):
        point = _point(row)
        letter = PHASES.get(point.phase, "") if point else "-"
        squares.append(
            (
                point.step or point.phase if point else "no fault",
                Square(row, letter, quote(pages.get(row["trial"], ""))),
            )
        )
    return [
        (name, [square for _, square in own]) for name, own in groupby(squares, key=lambda s: s[0])
    ]


def _point(row: Mapping[str, Any]) -> Point | None:
    stages = parse(row["schedule"]).stages
    return stages[0].point if stages else None


def section(sheet: Sheet, cell: Cell, pages: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page says of one cell."""
    rows = ordered(cell)
    shown = rows
    if len(rows) > LISTED:
        rank = ["surprising", "unknown", "known", "predicted", "escalated", "clean"]
        worst = sorted(range(len(rows)), key=lambda i: (rank.index(state_of(rows[i]).key), i))
        worst = worst[:LISTED]
        shown = [rows[index] for index in sorted(worst)]
    return {
        **_entry(sheet, cell),
        "rows": [
            {
                "row": row,
                "href": quote(pages.get(row["trial"], "")),
                "batch": quote(pages.get(row.get("batch") or "", "")),
            }
            for row in shown
        ],
        "total": len(rows),
        "steps": steps(cell, pages) if cell.depth < 2 else [],  # noqa: PLR2004 - a pair
        "grid": grid(rows, program(sheet, cell)) if cell.depth > 1 else "",
        "place": place_of(cell),
        "column": sheet.column(cell.runtime),
    }


def program(sheet: Sheet, cell: Cell) -> list[str]:
    """Return the first points of a cell's program in order, from its depth 1 where it is here."""
    for other in sheet.cells:
        same = (other.runtime, other.case, other.guard, other.fault) == (
            cell.runtime,
            cell.case,
            cell.guard,
            cell.fault,
        )
        if same and other.depth == 1:
            return [str(point) for row in ordered(other) if (point := _point(row))]
    return list(dict.fromkeys(str(point) for row in cell.rows if (point := _point(row))))


def ordered(cell: Cell) -> list[Mapping[str, Any]]:
    """Return the rows in program order; waits were run alone, they stand before the end."""

    def late(row: Mapping[str, Any]) -> int:
        point = _point(row)
        return {"waiting": 1, "finalize": 2}.get(point.phase, 0) if point else 0

    return sorted(cell.rows, key=late)


def strips(lines: Sequence[figures.Line]) -> dict[str, Any]:
    """Return a table of strips on one scale, grouped by what they show."""
    scale = LogScale.of([value for line in lines for value in line.values], 6.0, STRIP)
    groups: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        label = f"{line.runtime}, {line.what}: n {line.spread.n}"
        drawn = strip(line.values, line.spread.median, scale, label)
        entry = {"line": line, "p99": line.spread.p99, "strip": drawn}
        groups.setdefault(line.what, []).append(entry)
    return {"axis": axis(scale), "groups": list(groups.items())}


def settings(sheet: Sheet) -> list[dict[str, Any]]:
    """Return the settings that govern recovery, by runtime."""
    return [
        {
            "column": column,
            "settings": [
                (name, json.dumps(value))
                for name, value in sorted((column.get("settings") or {}).items())
            ],
        }
        for column in sheet.columns
    ]


def write(sheet: Sheet, pages: Mapping[str, str], *, story: bool = False) -> Path:
    """Write the page; ``story`` says that there is one to lead to."""
    cells = [*sheet.measured, *sheet.golden]
    facts, found = sheet.facts, situations(sheet)
    text = render(
        "report.html",
        facts=facts,
        asked=facts.get("asked") or {},
        headline=headline(sheet),
        code=sheet.code,
        exit_means=EXITS[sheet.code],
        unknown=sheet.unknown,
        gaps=sheet.gaps(),
        singles=sum(row["mode"] in figures.SINGLE for row in sheet.rows),
        tables=tables(sheet),
        columns=sheet.columns,
        cells=cells,
        sections=[section(sheet, cell, pages) for cell in cells],
        controls=controls(sheet),
        cold=strips(figures.cold_start(sheet)),
        recovery={fault: strips(lines) for fault, lines in figures.recovery(sheet).items()},
        cost=figures.cost(sheet),
        settings=settings(sheet),
        situations=found,
        guards=guards(found),
        pages={trial: quote(page) for trial, page in pages.items()},
        p99_from=P99_FROM,
        oracles=oracles(),
        faults=faults(),
        no_fault=NO_FAULT,
        listed=LISTED,
        story=story,
        load=(sheet.path / "load.json").is_file(),
        title=re.sub(r"\s+", " ", f"Bakeoff {sheet.path.name}"),
    )
    return put(sheet.path / "report.html", text)
