"""What operators meet, by the names that they give it: a table of runtimes and situations.

A suite names situations, each a schedule.  What is said of one comes from the trial that proved
it: what was wrong at the end, what was to be seen while it was broken, and the setting behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


CLEAN = "clean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A runtime in a situation; without a ``row`` it is not measured, for the ``reason``."""

    runtime: str
    situation: str
    row: Mapping[str, Any] | None = None
    reason: str = ""

    @property
    def _seen(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        told = (self.row or {}).get("diagnosis") or {}
        return told, told.get("meanwhile") or {}

    @property
    def signature(self) -> str:
        """Return what was wrong with the run at the end."""
        return str(self._seen[0].get("signature", "UNKNOWN"))

    @property
    def meanwhile(self) -> str:
        """Return what was to be seen while it was broken; empty where nobody could be asked."""
        return str(self._seen[1].get("signature", ""))

    @property
    def setting(self) -> str:
        """Return the setting that governs what was seen, with its value; empty without any."""
        for seen in self._seen:
            if seen.get("setting"):
                return f"{seen['setting']} = {seen.get('value')}"
        return ""

    @property
    def evidence(self) -> Sequence[str]:
        """Return what shows it, as sentences."""
        end, broken = self._seen
        shown = [*(self.row or {}).get("told", ()), *end.get("evidence", ())]
        return [*shown, *(f"meanwhile, {text}" for text in broken.get("evidence", ()))]

    @property
    def text(self) -> str:
        """Return it in one line."""
        row = self.row
        if row is None:
            return f"not measured: {self.reason}"
        if row["outcome"] == "unknown":
            return f"unknown: {row['why']}"
        parts = [f"{self.signature} ({self.meanwhile or 'not asked'})"]
        if row["violated"]:
            word = "CONTRADICTS THE MODEL" if row["surprising"] else "as predicted"
            word = "as is known" if row.get("known") else word
            parts.append(f"violated {word}: {', '.join(row['violated'])}")
        elif row["surprising"]:
            parts.append(f"CONTRADICTS THE MODEL: no {', '.join(row['absent'])}")
        if row["end"] != "completed":
            parts.append(f"ended {row['end']}")
        if self.setting:
            parts.append(self.setting)
        return "; ".join([*parts, *row.get("told", ())])


def entries(
    named: Iterable[Mapping[str, str]],
    runtimes: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    skips: Sequence[Mapping[str, str]],
) -> list[tuple[str, list[Entry]]]:
    """Return for each situation what is known of it on each runtime.

    ``named`` are the situations of a suite: ``name``, ``case`` and ``schedule``.
    """
    proved = {
        (row["runtime"], row["case"], row["schedule"]): row
        for row in rows
        if row["mode"] != "batch"
    }
    why = {(skip["runtime"], skip["case"], skip["fault"]): skip["reason"] for skip in skips}
    found = []
    for one in named:
        fault = one["schedule"].partition(":")[2]
        line = [
            Entry(
                runtime=name,
                situation=one["name"],
                row=proved.get((name, one["case"], one["schedule"])),
                reason=why.get((name, one["case"], fault), "the sweep did not come so far"),
            )
            for name in runtimes
        ]
        found.append((one["name"], line))
    return found


def lines(table: Iterable[tuple[str, Sequence[Entry]]]) -> list[str]:
    """Return the table for a terminal: a line for each runtime, situation after situation."""
    said = []
    for name, row in table:
        said += ["", name, *(f"  {entry.runtime:<20}{entry.text}" for entry in row)]
    return said
