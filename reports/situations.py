"""What operators meet by name, on every runtime: finalization and start-up."""

from __future__ import annotations

from harness.situations import Entry, entries, guards
from reports.sheet import Sheet


__all__ = ["Entry", "guards", "situations"]


def situations(sheet: Sheet) -> list[tuple[str, list[Entry]]]:
    """Return for each situation of the sweep what is known of it on each runtime."""
    names = [column["runtime"] for column in sheet.columns]
    rows = [row for cell in sheet.cells for row in cell.rows]
    facts = sheet.facts
    return entries(facts.get("situations") or (), names, rows, facts.get("skips") or ())
