"""Figures for the page: cold start, recovery, repeats and cost, from single trials only.

In a batch the runs wait for one another: its times say nothing of one run.
"""

from __future__ import annotations

import json

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.faults import FAULTS
from harness.stats import Spread, spread
from reports.sheet import Sheet


SINGLE = ("single", "alone")
COLD = {
    "ready_s": "ready: process start to its ready line",
    "registered_s": "registered: ready to taken up by the runtime",
    "first_call_s": "first call: submit to the first request that reaches the world",
    "first_effect_s": "first effect: submit to the first write",
}
RECOVERY = {
    "progress_s": "kill to first progress",
    "terminal_s": "kill to the run's end",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One strip: whose, of what, the values and their spread."""

    runtime: str
    what: str
    values: Sequence[float]
    spread: Spread


def _lines(table: pd.DataFrame, order: Sequence[str]) -> list[Line]:
    found = []
    for runtime in order:
        part = table[table["runtime"] == runtime] if len(table) else table
        for what in dict.fromkeys(part["what"]) if len(part) else ():
            values = part[part["what"] == what]["value"].tolist()
            shown = spread(values)
            if shown:
                found.append(Line(runtime, str(what), values, shown))
    return found


def _names(sheet: Sheet) -> list[str]:
    return [column["runtime"] for column in sheet.columns]


def cold_start(sheet: Sheet) -> list[Line]:
    """Return the parts of the first worker's start, of trials of one run."""
    rows = [
        {"runtime": row["runtime"], "what": text, "value": row["metrics"]["cold_start"][name]}
        for row in sheet.rows
        if row["mode"] != "batch" and (row["metrics"].get("cold_start"))
        for name, text in COLD.items()
        if name in row["metrics"]["cold_start"]
    ]
    return _lines(pd.DataFrame(rows, columns=["runtime", "what", "value"]), _names(sheet))


def recovery(sheet: Sheet) -> dict[str, list[Line]]:
    """Return times from the last fault, by fault; single trials that are not unknown."""
    found: dict[str, list[Line]] = {}
    for fault in dict.fromkeys(cell.fault for cell in sheet.measured):
        rows = [
            {"runtime": row["runtime"], "what": text, "value": row["metrics"]["recovery"][name]}
            for row in sheet.rows
            if row["mode"] in SINGLE
            and row["fault"] == fault
            and row["outcome"] != "unknown"
            and row["metrics"].get("recovery")
            for name, text in RECOVERY.items()
            if name in row["metrics"]["recovery"]
        ]
        lines = _lines(pd.DataFrame(rows, columns=["runtime", "what", "value"]), _names(sheet))
        if lines:
            found[fault] = lines
    return found


def _cpu(path: Path, row: Mapping[str, Any]) -> float:
    file = path / "trials" / row["trial"] / "metrics.json"
    if file.is_file():
        return float(json.loads(file.read_text(encoding="utf-8")).get("cpu_s", 0.0))
    return float(row["metrics"]["usage"]["cpu_s"])


def cost(sheet: Sheet) -> list[dict[str, Any]]:
    """Return what runs cost, by runtime.

    A killed server brings the time of its whole life into one trial, so trials of faults
    that hit everyone are left out.
    """
    rows = [
        {
            "runtime": row["runtime"],
            "trial": row["trial"],
            "batch": row["mode"] == "batch",
            "repeats": row["metrics"]["repeats"],
            "peak": row["metrics"]["usage"]["peak_mb"],
        }
        for row in sheet.rows
        if row["fault"] not in FAULTS or not FAULTS[row["fault"]].everyone
    ]
    table = pd.DataFrame(rows, columns=["runtime", "trial", "batch", "repeats", "peak"])
    cpu = {row["trial"]: row for row in sheet.rows}
    found = []
    for runtime in _names(sheet):
        entry: dict[str, Any] = {"runtime": runtime}
        for name, batch in (("batch", True), ("single", False)):
            part = table[(table["runtime"] == runtime) & (table["batch"] == batch)]
            if not len(part):
                continue
            total = sum(_cpu(sheet.path, cpu[key]) for key in part["trial"].unique())
            entry[name] = {
                "runs": len(part),
                "cpu": total / len(part) * 1_000,
                "repeats": float(part["repeats"].sum()) / len(part) * 1_000,
                "peak": float(part["peak"].max()),
            }
        if len(entry) > 1:
            found.append(entry)
    return found
