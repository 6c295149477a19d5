"""The same histories with an even time scale: by process for one run, by run for a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from harness.history import Event
from reports.spans import LIMIT, blow, calls, lives, said, windows
from reports.svg import join, picture, seconds, tag


LEFT, WIDTH, HEAD, LANE = 250.0, 1_100.0, 22.0, 12.0
TICKS = 8


def overview(
    events: Sequence[Event], lanes: Mapping[str, str], *, by_run: bool
) -> tuple[Markup, int, int]:
    """Return the picture, the number of events that it shows, and how many there are.

    ``lanes`` maps runs (or incarnations) to their labels, in order.
    """
    total = len(events)
    if not events:
        return Markup(), 0, 0
    events = events[:LIMIT]
    start, end = events[0].t_ns, max(events[-1].t_ns, events[0].t_ns + 1)

    def at(event: Event | None) -> float:
        return LEFT + (WIDTH - LEFT - 8) * (
            ((event.t_ns if event else end) - start) / (end - start)
        )

    top = {name: HEAD + LANE * index for index, name in enumerate(lanes)}
    foot = HEAD + LANE * len(lanes) + 4
    parts = [_grid(end - start, foot), _shades(events, at, foot)]
    for name, text in lanes.items():
        label = text if len(text) < 46 else f"{text[:44]}…"  # noqa: PLR2004 - what fits
        parts.append(
            tag("text", label, x=LEFT - 6, y=top[name] + 9, text_anchor="end", class_="small")
        )
    for life in () if by_run else lives(events).values():
        y = top[life.name] + LANE / 2
        parts.append(tag("line", x1=at(life.begin), x2=at(life.end), y1=y, y2=y, class_="life"))
    for call in calls(events):
        lane = top.get(call.begin.run if by_run else call.lane)
        if lane is None:
            continue
        x, right = at(call.begin), at(call.end)
        drawn = [
            tag(
                "rect",
                x=x,
                y=lane + 2,
                width=max(1.2, right - x),
                height=LANE - 4,
                class_=call.begin.kind,
            )
        ]
        if call.held:
            held = at(call.held)
            drawn.append(
                tag(
                    "rect",
                    x=held,
                    y=lane + 2,
                    width=max(1.2, right - held),
                    height=LANE - 4,
                    class_="hold",
                )
            )
        parts.append(tag("g", tag("title", said(call.begin)), *drawn))
    for event in events:
        lane = top.get(event.run if by_run else str(event.data.get("incarnation")))
        if lane is None or event.kind not in {"apply", "view"}:
            continue
        x, y = at(event), lane + LANE / 2
        shape = "effect" if event.kind == "apply" else "note"
        parts.append(
            tag(
                "path",
                tag("title", said(event)),
                class_=shape,
                d=f"M{x:.1f} {y - 3:.1f}l3 3l-3 3l-3 -3z",
            )
        )
    whole = picture(WIDTH, foot + 16, f"Overview of {seconds((end - start) / 1e9)}", *parts)
    return whole, len(events), total


def _grid(length_ns: int, foot: float) -> Markup:
    parts = []
    for index in range(TICKS + 1):
        x = LEFT + (WIDTH - LEFT - 8) * index / TICKS
        anchor = "end" if index == TICKS else "start" if index == 0 else "middle"
        parts.append(tag("line", x1=x, x2=x, y1=HEAD - 3, y2=foot, class_="rule"))
        parts.append(
            tag(
                "text",
                f"{length_ns / 1e9 * index / TICKS:.3g} s",
                x=x,
                y=foot + 12,
                text_anchor=anchor,
                class_="tick",
            )
        )
    return join(parts)


def _shades(events: Sequence[Event], at: Callable[[Event | None], float], foot: float) -> Markup:
    parts = []
    for window in windows(events):
        x = at(window.begin)
        parts.append(
            tag(
                "rect",
                x=x,
                y=HEAD - 4,
                width=max(1.0, at(window.end) - x),
                height=foot - HEAD + 4,
                class_="shade",
            )
        )
        parts.append(tag("line", x1=x, x2=x, y1=HEAD - 6, y2=foot, class_="kill"))
        late = x > WIDTH * 0.6
        parts.append(
            tag(
                "text",
                f"⚡ {blow(window.begin.data)}",
                x=x + (4 if late else -2),
                y=12.0,
                text_anchor="end" if late else "start",
                class_="blow",
            )
        )
    return join(parts)
