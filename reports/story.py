"""``story.html``: one death before and after a gateway, for each runtime and guard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from harness.effects import Guard
from harness.history import Event, read, split
from harness.store import Store
from reports.deaths import Answers, answers, around, death
from reports.figures import SINGLE
from reports.matrix import put
from reports.pages import render
from reports.sheet import Gap, Place, Sheet
from reports.steps import drawn, repeated
from reports.svg import seconds
from reports.timeline import timeline
from reports.words import count, listed


PAGE = "story.html"
FAULT = "kill(worker)"


@dataclass(frozen=True, slots=True)
class Side:
    """One run that died, as it was without a gateway or behind one."""

    guard: str
    row: Mapping[str, Any]
    href: str
    answers: Answers
    steps: Markup
    timeline: Markup
    again: Sequence[str]
    ended: str
    recovery: str

    @property
    def after(self) -> bool:
        """Say whether a gateway stood before the world."""
        return self.guard == Guard.GATEWAY

    @property
    def fate(self) -> str:
        """Return in a word how it ended, the worst first."""
        outcome = str(self.row["outcome"])
        if outcome == "unknown":
            return outcome
        if self.again:
            return "twice"
        return outcome if outcome == "violated" else str(self.row["end"])


@dataclass(frozen=True, slots=True)
class Line:
    """One runtime in a case."""

    column: Mapping[str, Any]
    sides: Sequence[Side]
    gaps: Sequence[Gap]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one side fared; ``key`` is the state that colours it, ``total`` says of how many."""

    key: str
    text: str
    total: str


@dataclass(frozen=True, slots=True)
class Story:
    """One case: the death that tells most, and how each runtime fared."""

    case: str
    schedule: str
    lines: Sequence[Line]

    @property
    def verdicts(self) -> list[Verdict]:
        """Return how runtimes fared without a gateway and behind one, as far as there are any."""
        found = []
        for name, after in (("Without a gateway", False), ("Behind a gateway", True)):
            own = [
                (x.column["runtime"], s) for x in self.lines for s in x.sides if s.after is after
            ]
            if own:
                found.append(_fared(name, own))
        return found

    @property
    def both(self) -> bool:
        """Say whether there is a before and an after."""
        return len({side.after for line in self.lines for side in line.sides}) > 1


def _fared(name: str, own: Sequence[tuple[str, Side]]) -> Verdict:
    fates = ("twice", "violated", "escalated", "unknown")
    twice, other, asked, unsure = (
        list(dict.fromkeys(runtime for runtime, side in own if side.fate == fate)) for fate in fates
    )
    text = f"{listed(twice)} did again what harms" if twice else "nothing was done twice"
    text += f"; {listed(other)} went wrong otherwise" if other else ""
    text += f"; {listed(asked)} asked a human" if asked else ""
    text += f"; of {listed(unsure)} nothing is known" if unsure else ""
    key = "predicted" if twice or other else "unknown" if unsure else "clean"
    return Verdict(key, f"{name}: {text}.", count(len({runtime for runtime, _ in own}), "runtime"))


def stories(sheet: Sheet, pages: Mapping[str, str]) -> list[Story]:
    """Return the cases in which a worker was killed after what cannot be undone."""
    found = []
    for case in dict.fromkeys(cell.case for cell in sheet.measured if cell.fault == FAULT):
        rows = [
            row
            for row in sheet.rows
            if (row["case"], row["fault"], row["depth"]) == (case, FAULT, 1)
        ]
        schedule = _death(sheet, rows)
        lines = [line for line in _lines(sheet, pages, case, schedule, rows) if line.sides]
        if lines:
            found.append(Story(case, schedule, lines))
    return sorted(found, key=lambda story: not story.both)


def _death(sheet: Sheet, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the schedule that tells most, by the first history that shows it."""
    schedules = [str(row["schedule"]) for row in rows]
    for row in sorted(rows, key=lambda row: row["mode"] == "batch"):
        found = death(_history(sheet, row), schedules)
        if found:
            return found
    return ""


def _history(sheet: Sheet, row: Mapping[str, Any]) -> list[Event]:
    """Return what concerns one run; those of a batch share their worker with a bystander."""
    file = Store(sheet.path).trial(row["trial"]).history
    events = split(read(file)).get(row["run"], []) if file.is_file() else []
    beside = {e.data["incarnation"] for e in events if e.kind == "spawn" and "-b" in e.data["pool"]}
    return [e for e in events if e.data.get("incarnation") not in beside and e.kind != "bystander"]


def _lines(
    sheet: Sheet,
    pages: Mapping[str, str],
    case: str,
    schedule: str,
    rows: Sequence[Mapping[str, Any]],
) -> Iterator[Line]:
    guards = [guard for guard in Guard if any(row["guard"] == guard for row in rows)]
    for column in sheet.columns:
        sides, gaps = [], []
        for guard in guards:
            place = (column["runtime"], guard, schedule)
            own = [r for r in rows if (r["runtime"], r["guard"], r["schedule"]) == place]
            entry = sheet.at(column["runtime"], Place(case, str(guard), FAULT, 1))
            if own:
                best = min(own, key=lambda r: (r["outcome"] == "unknown", r["mode"] not in SINGLE))
                sides.append(_side(sheet, pages, best))
            elif isinstance(entry, Gap):
                gaps.append(entry)
        yield Line(column, sides, gaps)


def _side(sheet: Sheet, pages: Mapping[str, str], row: Mapping[str, Any]) -> Side:
    events, page = _history(sheet, row), quote(pages.get(row["trial"], ""))
    witness = [
        index
        for verdict in row["verdicts"]
        if verdict["outcome"] == "violated"
        for index in verdict["witness"]
    ]
    picture, _, _ = timeline(around(events), witness)
    single = row["mode"] in SINGLE
    return Side(
        guard=row["guard"],
        row=row,
        href=page,
        answers=answers(events, row["guard"]),
        steps=drawn(events),
        # Events have rows on the page of a trial of one run, and nowhere else.
        timeline=Markup(  # noqa: S704 - it was escaped when it was drawn
            str(picture).replace('href="#e', f'href="{page}#e' if single else 'data-e="')
        ),
        again=repeated(events),
        ended=_ended(row, events),
        recovery=_recovery(row) if single else "",
    )


def _ended(row: Mapping[str, Any], events: Sequence[Event]) -> str:
    """Return how the run ended, with what was said to the human who was asked."""
    views = [e for e in events if e.kind == "view" and e.run == row["run"]]
    detail = views[-1].data.get("detail") if views else None
    why = "; ".join(str(text) for text in detail.values() if text) if detail else ""
    return f"{row['end']}: {why}" if why and row["end"] == "escalated" else str(row["end"])


def _recovery(row: Mapping[str, Any]) -> str:
    known = row["metrics"].get("recovery") or {}
    named = (("progress_s", "going on after"), ("terminal_s", "ended after"))
    return ", ".join(f"{text} {seconds(known[key])}" for key, text in named if key in known)


def write(sheet: Sheet, pages: Mapping[str, str]) -> list[Path]:
    """Write the page, if there is a story to tell."""
    found = stories(sheet, pages)
    if not found:
        return []
    both = any(story.both for story in found)
    title = (
        "one death, before and after a gateway" if both else "one death, and what is known of it"
    )
    text = render("story.html", title=title, home="report.html", stories=found)
    return [put(sheet.path / PAGE, text)]
