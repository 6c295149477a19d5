"""The matrix as tables: CSV for people with pandas, JSON for programs."""

from __future__ import annotations

import json
import os
import uuid

from pathlib import Path
from typing import Any

import pandas as pd

from harness.summary import Cell
from reports.sheet import Sheet


COUNTS = (
    "schedules",
    "clean",
    "escalated",
    "predicted",
    "surprising",
    "known",
    "unknown",
    "violated",
    "confirmed",
    "disagreed",
)
COLUMNS = (
    "runtime",
    "kind",
    "version",
    "profile",
    "case",
    "guard",
    "fault",
    "depth",
    "state",
    *COUNTS,
    "basis",
    "low",
    "high",
    "method",
    "oracles",
    "reason",
    "command",
)
FACTS = (
    "planned",
    "judged",
    "budget",
    "argv",
    "git",
    "host",
    "took_s",
    "started_at",
    "columns",
)


def put(path: Path, text: str) -> Path:
    """Write a file so that it is there whole or not at all, and return its path."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return path


def _measured(sheet: Sheet, cell: Cell) -> dict[str, Any]:
    column, interval = sheet.column(cell.runtime), sheet.interval(cell)
    return {
        **{name: getattr(cell, name) for name in ("runtime", "kind", "case", "guard", "fault")},
        "version": column.get("version"),
        "profile": column.get("profile"),
        "depth": cell.depth,
        "state": cell.state,
        **{name: getattr(cell, name) for name in COUNTS},
        "basis": "sampled" if sheet.sampled(cell) else "enumerated",
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "method": interval.method if interval else None,
        "oracles": dict(cell.oracles),
    }


def records(sheet: Sheet) -> list[dict[str, Any]]:
    """Return one record for each cell; one that is not measured has no number at all."""
    found = [_measured(sheet, cell) for cell in sheet.cells]
    for gap in sheet.gaps():
        column = sheet.column(gap.runtime)
        place = gap.place
        found.append(
            {
                "runtime": gap.runtime,
                **{name: column.get(name) for name in ("kind", "version", "profile")},
                **{name: getattr(place, name) for name in ("case", "guard", "fault", "depth")},
                "state": "not measured",
                "reason": gap.reason,
                "command": gap.command,
            }
        )
    return [{name: record.get(name) for name in COLUMNS} for record in found]


def frame(sheet: Sheet) -> pd.DataFrame:
    """Return the cells as a table; counts are integers, or missing."""
    table = pd.DataFrame(records(sheet), columns=list(COLUMNS))
    table["oracles"] = table["oracles"].map(
        lambda found: (
            " ".join(f"{name}:{n}" for name, n in found.items()) if isinstance(found, dict) else ""
        )
    )
    return table.astype(dict.fromkeys((*COUNTS, "depth"), "Int64"))


def write_csv(sheet: Sheet) -> Path:
    """Write ``matrix.csv``."""
    return put(sheet.path / "matrix.csv", frame(sheet).to_csv(index=False))


def write_json(sheet: Sheet) -> Path:
    """Write ``matrix.json``."""
    document = {
        "schema": 1,
        "exit_code": sheet.code,
        "unknown": sheet.unknown,
        **{name: sheet.facts.get(name) for name in FACTS},
        "cells": records(sheet),
    }
    return put(sheet.path / "matrix.json", json.dumps(document, indent=1) + "\n")
