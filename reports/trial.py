"""A page for each trial: what was broken, what followed, and the events that show it."""

from __future__ import annotations

import os

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.history import Event, read
from harness.schedule import parse
from harness.store import Store, TrialFolder
from reports.matrix import put
from reports.overview import overview
from reports.pages import render
from reports.sheet import Sheet, replay
from reports.spans import LIMIT, lives, said
from reports.timeline import timeline


TABLE = 5_000
TEXT = 600


def href(origin: Path, target: Path) -> str:
    """Return a relative link from a page's folder to a file."""
    return quote(os.path.relpath(target, origin).replace(os.sep, "/"))


def _raw(folder: TrialFolder) -> list[dict[str, str]]:
    """Return the raw files of a trial; what a log is called is data, so links are quoted."""
    names = ("history.jsonl", "verdicts.json", "trial.json", "metrics.json")
    files = [folder.path / name for name in names if (folder.path / name).is_file()]
    logs = sorted(path for path in folder.logs.rglob("*") if path.is_file())
    return [
        {
            "name": str(path.relative_to(folder.path)),
            "href": href(folder.path, path),
            "size": f"{path.stat().st_size:,} bytes",
        }
        for path in [*files, *logs]
    ]


def _events(events: Sequence[Event], marked: frozenset[int]) -> list[dict[str, Any]]:
    start = events[0].t_ns if events else 0
    table = []
    for event in events[:TABLE]:
        text = said(event)
        table.append(
            {
                "index": event.index,
                "seconds": f"{(event.t_ns - start) / 1e9:.4f}",
                "kind": event.kind,
                "text": text if len(text) <= TEXT else f"{text[:TEXT]}… (whole in history.jsonl)",
                "witness": event.index in marked,
            }
        )
    return table


def _witnesses(row: Mapping[str, Any]) -> list[int]:
    return [
        index
        for verdict in row["verdicts"]
        if verdict["outcome"] in {"violated", "unknown"}
        for index in verdict["witness"]
    ]


def _common(sheet: Sheet, folder: TrialFolder, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "facts": facts,
        "column": sheet.column(facts["runtime"]),
        "home": href(folder.path, sheet.path / "report.html"),
        "raw": _raw(folder),
    }


def single(sheet: Sheet, folder: TrialFolder, row: Mapping[str, Any]) -> str:
    """Return the page of a trial of one run."""
    facts, events = folder.facts(), read(folder.history)
    witness = _witnesses(row)
    drawn, shown, total = timeline(events, witness)
    even, *_ = overview(events, {name: name for name in lives(events)}, by_run=False)
    return render(
        "trial.html",
        **_common(sheet, folder, facts),
        row=row,
        command=replay(row),
        timeline=drawn,
        overview=even,
        shown=shown,
        total=total,
        events=_events(events, frozenset(witness)),
        table=TABLE,
    )


def batch(
    sheet: Sheet, folder: TrialFolder, rows: Sequence[Mapping[str, Any]], proved: Mapping[str, str]
) -> str:
    """Return the compact page of a trial of many runs."""
    facts, events = folder.facts(), read(folder.history)
    kept: dict[str, str] = {}
    room = LIMIT
    sizes: dict[str, int] = {}
    for event in events:
        sizes[event.run] = sizes.get(event.run, 0) + 1
    room -= sizes.get("", 0)
    for row in rows:
        room -= sizes.get(row["run"], 0)
        if room < 0:
            break
        kept[row["run"]] = " + ".join(str(s.point) for s in parse(row["schedule"]).stages)
    drawn, shown, _ = overview([e for e in events if not e.run or e.run in kept], kept, by_run=True)
    links = {
        row["schedule"]: href(folder.path, sheet.path / proved[row["schedule"]])
        for row in rows
        if row["schedule"] in proved
    }
    return render(
        "batch.html",
        **_common(sheet, folder, facts),
        rows=rows,
        links=links,
        replay=replay,
        timeline=drawn,
        shown=shown,
        total=len(events),
        runs=len(kept),
    )


def write(sheet: Sheet) -> dict[str, str]:
    """Write the pages; return the path of each trial's, relative to the results folder."""
    folders = list(Store(sheet.path).trials())
    pages = {
        str(folder.path.relative_to(sheet.path / "trials")): str(
            (folder.path / "trial.html").relative_to(sheet.path)
        )
        for folder in folders
    }
    alone: dict[tuple[str, ...], str] = {}
    for row in sheet.rows:
        if row["mode"] == "single" and row["trial"] in pages:
            place = (row["runtime"], row["case"], row["guard"], row["schedule"])
            alone[place] = pages[row["trial"]]
    for folder in folders:
        rows = folder.rows()
        if len(rows) == 1:
            text = single(sheet, folder, rows[0])
        else:
            proved = {
                row["schedule"]: page
                for row in rows
                if (page := alone.get((row["runtime"], row["case"], row["guard"], row["schedule"])))
            }
            text = batch(sheet, folder, rows, proved)
        put(folder.path / "trial.html", text)
    return pages
