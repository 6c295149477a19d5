"""A page for each runtime: its settings, how it recovers, where it breaks, what it carries out."""

from __future__ import annotations

import json

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reports import figures
from reports.html import state_name, strips
from reports.matrix import put
from reports.pages import page_of, render
from reports.sheet import NO_FAULT, Sheet, anchor
from reports.words import STATES


@dataclass(frozen=True, slots=True)
class Window:
    """Points of the program at which one fault does one kind of harm."""

    fault: str
    case: str
    guard: str
    oracle: str
    phases: Mapping[str, int]
    example: Mapping[str, Any]
    href: str


def settings(column: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, list[str], bool]]]:
    """Return the profiles, and for each setting its name, its values, and whether they differ."""
    profiles = column.get("profiles") or {column.get("profile", "?"): column.get("settings") or {}}
    names = sorted({name for values in profiles.values() for name in values})
    lines = []
    for name in names:
        values = [_text(known.get(name)) for known in profiles.values()]
        lines.append((name, values, len(set(values)) > 1))
    return list(profiles), lines


def _text(value: Any) -> str:  # noqa: ANN401 - JSON
    return value if isinstance(value, str) else json.dumps(value)


def windows(sheet: Sheet, runtime: str, pages: Mapping[str, str]) -> list[Window]:
    """Return where a runtime breaks: by cell and oracle, with the phases and one trial."""
    found: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for cell in sheet.measured:
        for row in cell.rows if cell.runtime == runtime else ():
            for oracle in row["violated"]:
                key = (cell.fault, cell.case, cell.guard, oracle)
                entry = found.setdefault(key, {"phases": {}, "row": row})
                phase = _phase(row["schedule"])
                entry["phases"][phase] = entry["phases"].get(phase, 0) + 1
                if entry["row"]["mode"] != "single" and row["mode"] == "single":
                    entry["row"] = row
    return [
        Window(fault, case, guard, oracle, e["phases"], e["row"], _href(pages, e["row"]))
        for (fault, case, guard, oracle), e in found.items()
    ]


def _phase(schedule: str) -> str:
    point = schedule.split(":", 1)[0].split("#", 1)[0]
    return point.rpartition("/")[2].replace("_", " ")


def _href(pages: Mapping[str, str], row: Mapping[str, Any]) -> str:
    return quote(pages.get(row["trial"], ""))


def signatures(sheet: Sheet, runtime: str, pages: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what operators would have seen, by fault and point, of trials of one run."""
    found = []
    for cell in sheet.measured:
        for row in cell.rows if cell.runtime == runtime else ():
            told = row.get("diagnosis")
            if not told or row["mode"] not in figures.SINGLE:
                continue
            meanwhile = told.get("meanwhile") or {}
            names = {told["signature"], meanwhile.get("signature", "clean")}
            if names != {"clean"}:
                found.append(
                    {"row": row, "end": told, "meanwhile": meanwhile, "href": _href(pages, row)}
                )
    return found


def recoveries(sheets: Sequence[Sheet], runtime: str) -> list[dict[str, Any]]:
    """Return the recovery strips of one runtime in each sweep, by fault: one profile a sweep."""
    found: dict[str, list[figures.Line]] = {}
    for sheet in sheets:
        profile = sheet.column(runtime).get("profile", "?")
        for fault, lines in figures.recovery(sheet).items():
            found.setdefault(fault, []).extend(
                figures.Line(f"profile {profile}", line.what, line.values, line.spread)
                for line in lines
                if line.runtime == runtime
            )
    return [{"fault": fault, "table": strips(lines)} for fault, lines in found.items() if lines]


def write(sheet: Sheet, pages: Mapping[str, str], beside: Sequence[Sheet] = ()) -> list[Path]:
    """Write a page for each runtime of the sweep; ``beside`` are sweeps with other profiles."""
    written = []
    for column in sheet.columns:
        name = column["runtime"]
        profiles, lines = settings(column)
        cold = [line for line in figures.cold_start(sheet) if line.runtime == name]
        text = render(
            "runtime.html",
            title=f"Bakeoff: {name}",
            home="report.html",
            column=column,
            cells=[
                {"cell": cell, "anchor": anchor(cell), "state": STATES[state_name(cell)]}
                for cell in sheet.measured
                if cell.runtime == name
            ],
            gaps=[gap for gap in sheet.gaps() if gap.runtime == name],
            profiles=profiles,
            settings=lines,
            recovery=recoveries([sheet, *beside], name),
            cold=strips(cold) if cold else None,
            windows=windows(sheet, name, pages),
            signatures=signatures(sheet, name, pages),
            capabilities=sorted((column.get("capabilities") or {}).items()),
            no_fault=NO_FAULT,
        )
        written.append(put(sheet.path / page_of(name), text))
    return written
