"""The timeline of one run: every event has room, and the labels are true seconds.

Real time would put all calls of a program into a few pixels beside a second of waiting, so
gaps are drawn on a logarithmic scale here; ``overview`` draws the same with an even scale.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from harness.history import Event
from reports.lanes import HEAD, LEFT, ROW, Lane, Warp
from reports.spans import LIMIT, Call, Life, Window, asked, blow, calls, lives, said, windows
from reports.svg import join, picture, seconds, tag


RIGHT, LABEL = 110.0, 17
TICK = 74.0
SHOWN = {"submit", "gate", "event", "explained", "undo", "bystander"}


def clip(text: str, limit: int = LABEL) -> str:
    """Return a text that fits."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def link(event: Event, title: str, *inside: Markup) -> Markup:
    """Return marks that lead to the event's row and say what they are."""
    return tag("a", tag("title", title), *inside, href=f"#e{event.index}")


def _slanted(x: float, y: float, text: str) -> Markup:
    return tag(
        "text", clip(text), transform=f"translate({x:.1f} {y:.1f}) rotate(-45)", class_="label"
    )


def _rows(members: Sequence[Call], at: Warp) -> list[int]:
    ends: list[float] = []
    rows = []
    for call in members:
        begin = at(call.begin)
        row = next((index for index, end in enumerate(ends) if end <= begin), len(ends))
        ends[row : row + 1] = [at(call.end)]
        rows.append(row)
    return rows


def _call(
    call: Call, lane: Lane, row: int, at: Warp, stop: float, marked: frozenset[int]
) -> Markup:
    x, y, right = at(call.begin), lane.row(row), min(at(call.end), stop)
    report = call.begin.kind == "at"
    kind = "at" if report else "call"
    ended = call.end.kind if call.end else "nothing"
    title = f"{said(call.begin)}; ended by {ended}, event {call.begin.index}"
    parts = [
        tag(
            "rect",
            x=x,
            y=y + (4 if report else 1),
            width=max(3.0, right - x),
            height=ROW - (9 if report else 4),
            rx=2.0,
            class_=kind,
        )
    ]
    if call.held:
        held = at(call.held)
        title += f"; held at {call.held.data['point']}"
        parts.append(
            tag(
                "rect", x=held, y=y + 1, width=max(2.0, right - held), height=ROW - 4, class_="hold"
            )
        )
    if call.end is None or call.end.kind == "discard":
        parts.append(tag("text", "✕", x=right, y=y + 12, class_="cross", text_anchor="middle"))
    if call.begin.index in marked:
        parts.append(
            tag(
                "rect",
                x=x - 3,
                y=y - 2,
                width=max(3.0, right - x) + 6,
                height=ROW + 2,
                rx=3.0,
                class_="witness",
            )
        )
    name = call.name
    if report and call.begin.data["step"]:
        name = f"{clip(name, LABEL - 4)} ack"
    again = "" if report or call.begin.data.get("nth", 1) == 1 else f" #{call.begin.data['nth']}"
    label = _slanted(x + 3, lane.row(lane.rows - 1) - 2, clip(name, LABEL - len(again)) + again)
    return Markup("{}{}").format(link(call.begin, title, *parts), label)


def _worker(
    life: Life,
    own: Sequence[Call],
    at: Warp,
    lane: Lane,
    marked: frozenset[int],
    rows: Sequence[int],
) -> None:
    stop, y = at(life.end), lane.top + lane.height - ROW / 2 - 4
    ready = at(life.ready)
    lane.parts.append(
        tag("line", x1=at(life.begin), x2=min(ready, stop), y1=y, y2=y, class_="boot")
    )
    if ready < stop:
        lane.parts.append(tag("line", x1=ready, x2=stop, y1=y, y2=y, class_="life"))
    for call, row in zip(own, rows, strict=True):
        lane.parts.append(_call(call, lane, row, at, stop, marked))
    if life.end:
        lane.parts.append(
            link(
                life.end,
                f"{life.name} ended: {said(life.end)}",
                tag("text", "†", x=stop, y=y + 5, class_="end", text_anchor="middle"),
            )
        )


def _marks(
    lane: Lane, events: Sequence[Event], at: Warp, shape: str, marked: frozenset[int]
) -> None:
    for event in events:
        x, y = at(event), lane.top + lane.height - ROW / 2 - 4
        parts = [tag("path", d=f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z", class_=shape)]
        if event.index in marked:
            parts.append(tag("circle", cx=x, cy=y, r=8.5, class_="witness"))
        if lane.labels:
            text = event.data.get("status") or event.data.get("step") or event.kind
            if event.kind == "gate":
                text = "at its point" if event.data["ok"] else "not at its point"
            if event.kind == "undo":
                text = f"undo: {event.data['when']}"
            if event.kind == "event":
                text = str(event.data["name"])
            lane.parts.append(_slanted(x + 2, y - 9, str(text)))
        lane.parts.append(link(event, said(event), *parts))


def _rings(lane: Lane, events: Sequence[Event], at: Warp) -> None:
    """Draw what a worker asked a gateway for, which had the answer: the world saw nothing."""
    for event in events:
        x, y = at(event), lane.row(0) + ROW / 2 - 1
        ring = tag("circle", cx=x + 3, cy=y, r=5.0, class_="asked")
        title = f"{event.data['step']}: answered by the gateway, event {event.index}"
        lane.parts.append(link(event, title, ring))
        lane.parts.append(_slanted(x + 3, lane.row(lane.rows - 1) - 2, str(event.data["step"])))


def _frame(lanes: Sequence[Lane], width: float, foot: float) -> Markup:
    parts = []
    for index, lane in enumerate(lanes):
        parts.append(
            tag(
                "rect",
                x=0.0,
                y=lane.top,
                width=width,
                height=lane.height,
                class_="lane odd" if index % 2 else "lane",
            )
        )
        base = lane.top + lane.height - 8
        parts.append(
            tag(
                "text", clip(lane.name, 20), x=6.0, y=base - (12 if lane.note else 0), class_="name"
            )
        )
        if lane.note:
            parts.append(tag("text", lane.note, x=6.0, y=base + 1, class_="tick"))
    parts.append(tag("line", x1=LEFT, x2=LEFT, y1=HEAD, y2=foot, class_="rule"))
    return join(parts)


def _ticks(events: Sequence[Event], at: Warp, foot: float) -> Markup:
    parts, last = [], -TICK
    for event in events:
        x = at(event)
        if x - last >= TICK:
            last = x
            parts.append(tag("line", x1=x, x2=x, y1=HEAD - 2, y2=foot, class_="rule"))
            parts.append(
                tag(
                    "text",
                    f"{at.seconds(event):.4f} s",
                    x=x,
                    y=foot + 14,
                    class_="tick",
                    text_anchor="middle",
                )
            )
    return join(parts)


def _faults(found: Sequence[Window], at: Warp, foot: float) -> tuple[Markup, Markup]:
    shades, lines, wide = [], [], at(None) + RIGHT
    for index, window in enumerate(found):
        x, right = at(window.begin), at(window.end)
        y = 14.0 + 15 * (index % 2)
        shades.append(
            tag("rect", x=x, y=HEAD - 6, width=right - x, height=foot - HEAD + 6, class_="shade")
        )
        healed = f" to {at.seconds(window.end):.4f} s" if window.end else ", never healed"
        late = x + 7.6 * len(blow(window.begin.data)) > wide
        title = f"{blow(window.begin.data)}, {at.seconds(window.begin):.4f} s{healed}"
        lines.append(
            link(
                window.begin,
                title,
                tag("line", x1=x, x2=x, y1=y + 4, y2=foot, class_="kill"),
                tag(
                    "text",
                    f"⚡ {blow(window.begin.data)}",
                    x=x + 3 if late else x - 3,
                    y=y,
                    class_="blow",
                    text_anchor="end" if late else "start",
                ),
            )
        )
    return join(shades), join(lines)


def timeline(events: Sequence[Event], witness: Sequence[int] = ()) -> tuple[Markup, int, int]:
    """Return the picture of one run, how many events it shows, and how many there are."""
    total, events = len(events), events[:LIMIT]
    if not events:
        return Markup(), 0, 0
    at, marked = Warp.of(events), frozenset(witness)
    found, born = calls(events), lives(events)
    own = {name: [call for call in found if call.lane == name] for name in born}
    rows = {name: _rows(members, at) for name, members in own.items()}
    free = asked(events)
    rings = {name: [e for e in free if e.data["incarnation"] == name] for name in born}
    workers = {
        name: Lane(
            name,
            rows=max([0, *rows[name]]) + 1,
            labels=bool(own[name] or rings[name]),
            note=f"pid {life.pid}" if life.pid else "",
        )
        for name, life in born.items()
    }
    beyond = [e for e in events if e.kind == "exit" and e.data.get("incarnation") not in born]
    harness, world, says = Lane("harness"), Lane("world", labels=False), Lane("runtime says")
    server = Lane("server", labels=False)
    lanes = [harness, *workers.values(), *([server] if beyond else []), world, says]
    top = HEAD
    for lane in lanes:
        lane.top = top
        top += lane.height
    _marks(harness, [e for e in events if e.kind in SHOWN], at, "note", marked)
    for name, life in born.items():
        _worker(life, own[name], at, workers[name], marked, rows[name])
        _rings(workers[name], rings[name], at)
    _marks(server, beyond, at, "gone", marked)
    _marks(world, [e for e in events if e.kind in {"apply", "drift"}], at, "effect", marked)
    _marks(says, [e for e in events if e.kind == "view"], at, "note", marked)
    width = at(None) + RIGHT
    shades, lines = _faults(windows(events), at, top)
    label = f"Timeline: {len(events)} events in {seconds(at.seconds(events[-1]))}"
    drawn = picture(
        width,
        top + 22,
        label,
        _frame(lanes, width, top),
        shades,
        _ticks(events, at, top),
        *(part for lane in lanes for part in lane.parts),
        lines,
    )
    return drawn, len(events), total
