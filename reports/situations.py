"""What operators meet by name, on every runtime: finalization and start-up."""

from __future__ import annotations

from harness.situations import Entry, entries
from reports.sheet import Sheet


def situations(sheet: Sheet) -> list[tuple[str, list[Entry]]]:
    """Return for each situation of the sweep what is known of it on each runtime."""
    names = [column["runtime"] for column in sheet.columns]
    rows = [row for cell in sheet.measured for row in cell.rows]
    facts = sheet.facts
    return entries(facts.get("situations") or (), names, rows, facts.get("skips") or ())
