"""What operators meet, by the names that they give it: a table of runtimes and situations.

A suite names situations, each a schedule.  What is said of one comes from the trial that proved
it: what was wrong at the end, what was to be seen while it was broken, and the setting behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.effects import Guard


CLEAN = "clean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A runtime in a situation; without a ``row`` it is not measured, for the ``reason``."""

    runtime: str
    situation: str
    guard: str = "none"
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
    def state(self) -> str:
        """Return clean, predicted, known, surprising, escalated, unknown or gap."""
        row = self.row
        if row is None:
            return "gap"
        if row["outcome"] == "unknown":
            return "unknown"
        if row["surprising"]:
            return "surprising"
        if row.get("known"):
            return "known"
        if row["violated"]:
            return "predicted"
        return "escalated" if row["end"] == "escalated" else "clean"

    @property
    def word(self) -> str:
        """Return what came of it, in a word or by the names of the oracles."""
        row = self.row
        if row is None:
            return "not measured"
        names = ", ".join(row["violated"]) or f"no {', '.join(row['absent'])}"
        return {"predicted": names, "known": names, "surprising": f"CONTRADICTS: {names}"}.get(
            self.state, self.state
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        row = self.row or {}
        return {
            "situation": self.situation,
            "runtime": self.runtime,
            "guard": self.guard,
            "case": row.get("case", ""),
            "schedule": row.get("schedule", ""),
            "state": "not measured" if self.row is None else self.state,
            "violated": list(row.get("violated", ())),
            "end": row.get("end", ""),
            "trial": row.get("trial", ""),
            "why": self.reason if self.row is None else row["why"],
        }

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

    ``named`` are the situations of a suite: ``name``, ``case``, ``guard`` and ``schedule``.
    """
    proved = {
        (row["runtime"], row["case"], _guard(row), row["schedule"]): row
        for row in rows
        if row["mode"] != "batch"
    }
    why = {(s["runtime"], s["case"], _guard(s), s["fault"]): s["reason"] for s in skips}
    found: dict[str, list[Entry]] = {}
    for one in named:
        case, guard, schedule = one["case"], _guard(one), one["schedule"]
        fault = schedule.rpartition(":")[2] if ":" in schedule else "none"
        found.setdefault(one["name"], []).extend(
            Entry(
                runtime=name,
                situation=one["name"],
                guard=guard,
                row=proved.get((name, case, guard, schedule)),
                reason=why.get((name, case, guard, fault), "the sweep did not come so far"),
            )
            for name in runtimes
        )
    return [*found.items()]


def _guard(of: Mapping[str, Any]) -> str:
    return str(of.get("guard", "none"))


def guards(table: Iterable[tuple[str, Sequence[Entry]]]) -> list[str]:
    """Return the guards that a table is about, the weakest first."""
    found = {entry.guard for _, row in table for entry in row}
    return [guard for guard in Guard if guard in found]


SIGNS = {
    "clean": "✓",
    "escalated": "⚑",
    "predicted": "✗",
    "known": "✗",
    "surprising": "‼",
    "unknown": "?",
    "gap": "∅",
}
LEGEND = (
    "✓ clean   ⚑ escalated   ✗ violated as predicted   ‼ CONTRADICTS   ? unknown   "
    "∅ not measured   (blank: this guard is not tried there)"
)


def grid(table: Sequence[tuple[str, Sequence[Entry]]]) -> list[str]:
    """Return the table for a terminal, with a sign for each runtime behind each guard.

    Below it stands what the signs do not say: which oracles, and why nothing was measured.
    """
    names, kinds = list(dict.fromkeys(e.runtime for _, row in table for e in row)), guards(table)
    wide = max(len(name) for name, _ in table) + 2
    columns = [max(len(name), 2 * len(kinds)) + 2 for name in names]
    said = ["", " " * wide + "".join(n.ljust(w) for n, w in zip(names, columns, strict=True))]
    heads = " ".join(kind[0] for kind in kinds)
    said.append(" " * wide + "".join(heads.ljust(width) for width in columns))
    for name, row in table:
        signs = {(entry.runtime, entry.guard): SIGNS[entry.state] for entry in row}
        cells = (" ".join(signs.get((each, kind), " ") for kind in kinds) for each in names)
        cells_ = "".join(text.ljust(width) for text, width in zip(cells, columns, strict=True))
        said.append(f"{name.ljust(wide)}{cells_}".rstrip())
    said += ["", ", ".join(f"{kind[0]} = guard {kind}" for kind in kinds), LEGEND]
    return said + [line for name, row in table for line in _notes(name, row)]


def _notes(name: str, row: Sequence[Entry]) -> list[str]:
    """Return what is to be said of a situation beside its signs, the same things once."""
    said: dict[str, list[str]] = {}
    for entry in row:
        text = f"not measured: {entry.reason}" if entry.row is None else entry.word
        text = f"{text}: {entry.row['why']}" if entry.row and entry.state == "unknown" else text
        if entry.state not in {"clean", "escalated"}:
            said.setdefault(text, []).append(f"{entry.runtime}/{entry.guard[0]}")
    if list(said.values()) == [[f"{e.runtime}/{e.guard[0]}" for e in row]]:
        return ["", f"{name}: {next(iter(said))}"]
    notes = [f"  {text}: {', '.join(who)}" for text, who in said.items()]
    return ["", name, *notes] if notes else []


def told(table: Sequence[tuple[str, Sequence[Entry]]]) -> list[str]:
    """Return the table for a terminal: a grid where it compares guards, else line by line."""
    return grid(table) if len(guards(table)) > 1 else lines(table)


def lines(table: Iterable[tuple[str, Sequence[Entry]]]) -> list[str]:
    """Return the table for a terminal: a line for each runtime, situation after situation."""
    said = []
    for name, row in table:
        said += ["", name, *(f"  {entry.runtime:<20}{entry.text}" for entry in row)]
    return said
