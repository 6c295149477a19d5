"""``load.html``: throughput and latency under load, beside the ``load.json`` that it shows."""

from __future__ import annotations

import json

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from harness.stats import P99_FROM, spread
from reports.matrix import put
from reports.pages import render
from reports.svg import LogScale, axis, number, picture, strip, tag


WIDE, ROOM = 330.0, 300.0
DOTS = 400
"""How many dots a strip may have; more are thinned out evenly, by rank."""
BUSY = 0.8
"""The harness is one Python process: with so much of a core in use, it may be the limit."""
OPEN, CLOSED = "open", "closed"


def per_second(value: float) -> str:
    """Return a rate with its unit, in three figures."""
    return f"{value:.3g}/s" if value < 1_000 else f"{value:,.0f}/s"  # noqa: PLR2004


def rate_axis(most: float) -> Markup:
    """Return the head of a column of rates: a linear scale from 0 to ``most`` per second."""
    marks = []
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x = 6.0 + share * (ROOM - 6.0)
        label = per_second(share * most)
        marks.append(tag("text", label, x=x, y=11.0, text_anchor=anchor, class_="tick"))
        marks.append(tag("line", x1=x, x2=x, y1=15.0, y2=20.0, class_="rule"))
    return picture(ROOM + 4, 20, "linear axis, runs per second", *marks)


def rates(values: Sequence[float], most: float, label: str) -> Markup:
    """Return a dot for each round, and a bar at the median."""
    shown = spread(values)
    middle = shown.median if shown else 0.0

    def place(value: float) -> float:
        return 6.0 + value / most * (ROOM - 6.0)

    dots = [
        tag("circle", tag("title", per_second(v)), cx=place(v), cy=10.0, r=3.2, class_="dot")
        for v in values
    ]
    base = tag("line", x1=6.0, x2=place(middle), y1=10.0, y2=10.0, class_="life")
    bar = tag("line", x1=place(middle), x2=place(middle), y1=1.0, y2=19.0, class_="median")
    return picture(ROOM + 4, 20, label, base, *dots, bar)


def thinned(values: Sequence[float]) -> list[float]:
    """Return at most ``DOTS`` of the values, evenly by rank, the first and last among them."""
    ranked = sorted(values)
    if len(ranked) <= DOTS:
        return ranked
    last = len(ranked) - 1
    return [ranked[round(index * last / (DOTS - 1))] for index in range(DOTS)]


def _group(document: Mapping[str, Any], level: int, mode: str) -> dict[str, list[dict[str, Any]]]:
    """Return the phases of a level and mode by runtime, in the order of the columns."""
    found: dict[str, list[dict[str, Any]]] = {}
    for column in document["columns"]:
        own = [
            phase
            for phase in document["phases"]
            if (phase["runtime"], phase["in_flight"], phase["mode"])
            == (column["runtime"], level, mode)
        ]
        if own:
            found[column["runtime"]] = own
    return found


def throughput(document: Mapping[str, Any], level: int) -> dict[str, Any]:
    """Return the table of throughput at a level."""
    groups = _group(document, level, CLOSED)
    most = max((p["per_s"] for own in groups.values() for p in own), default=0.0) or 1.0
    lines = []
    for runtime, own in groups.items():
        values = [phase["per_s"] for phase in own]
        shown = spread(values)
        assert shown is not None  # noqa: S101 - a group has phases
        busy = max(phase["harness_cpu_s"] / phase["took_s"] for phase in own)
        label = f"{runtime}, {level} in flight: median {per_second(shown.median)}, n {shown.n}"
        lines.append(
            {
                "runtime": runtime,
                "spread": shown,
                "picture": rates(values, most, label),
                "harness": busy,
                "bound": busy > BUSY,
                **cost(document, own),
            }
        )
    return {"axis": rate_axis(most), "lines": lines}


def cost(document: Mapping[str, Any], own: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return CPU seconds per 1,000 runs and peak megabytes, of workers and of servers."""
    runs = sum(phase["orders"] for phase in own)
    apart = {"worker", "client", document["driver"].split()[0]}

    def names(what: str, *, servers: bool) -> set[str]:
        seen = {name for phase in own for name in phase[what]}
        return seen - apart if servers else seen & {"worker"}

    found: dict[str, Any] = {}
    for who, servers in (("worker", False), ("server", True)):
        cpu = [sum(p["cpu_s"].get(n, 0.0) for n in names("cpu_s", servers=servers)) for p in own]
        peak = [
            sum(p["peak_mb"].get(n, 0.0) for n in names("peak_mb", servers=servers)) for p in own
        ]
        some = bool(names("cpu_s", servers=servers))
        found[f"{who}_cpu"] = sum(cpu) / runs * 1_000 if some and runs else None
        found[f"{who}_mb"] = max(peak) if some else None
    return found


def latency(document: Mapping[str, Any], level: int) -> dict[str, Any]:
    """Return the table of latencies at a level: all rounds together."""
    groups = _group(document, level, OPEN)
    values = {name: [v for p in own for v in p["first_effect_s"]] for name, own in groups.items()}
    scale = LogScale.of([v for each in values.values() for v in each], 6.0, WIDE)
    lines = []
    for runtime, own in groups.items():
        shown = spread(values[runtime])
        if shown is None:
            continue
        label = f"{runtime}, {level} in flight: n {shown.n}"
        dots = thinned(values[runtime])
        lines.append(
            {
                "runtime": runtime,
                "spread": shown,
                "picture": strip(dots, shown.median, scale, label),
                "dots": len(dots),
                "offered": spread([phase["offered_per_s"] for phase in own]),
                "kept": min(p["per_s"] / p["offered_per_s"] for p in own if p["offered_per_s"]),
                "in_flight": spread([phase["mean_in_flight"] for phase in own]),
                "incomplete": sum(phase["incomplete"] for phase in own),
                "repeats": sum(phase["repeats"] for phase in own),
            }
        )
    return {"axis": axis(scale), "lines": lines}


def write(results: Path, beside: Sequence[Path] = ()) -> list[Path]:
    """Write the page of a folder that has a ``load.json``; return its path, if it has one.

    ``beside`` is what all reports are given; figures of other folders are of other hours.
    """
    del beside
    file = results / "load.json"
    if not file.is_file():
        return []
    document = json.loads(file.read_text(encoding="utf-8"))
    text = render(
        "load.html",
        document=document,
        host=document.get("host") or {},
        levels=[
            {
                "in_flight": level,
                "throughput": throughput(document, level),
                "latency": latency(document, level),
            }
            for level in document["in_flight"]
        ],
        home="report.html" if (results / "report.html").is_file() else "",
        per_second=per_second,
        number=number,
        p99_from=P99_FROM,
        busy=BUSY,
        columns=document["columns"],
    )
    return [put(results / "load.html", text)]
