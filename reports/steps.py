"""The picture of one death: a column for each step, a row for each worker, and what the world saw.

Time is left out: what is to be seen is who did what again, and what was done twice by that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.effects import Effect
from harness.history import Event
from reports.spans import asked
from reports.svg import join, picture, tag
from reports.timeline import clip
from reports.words import count


LEFT, RIGHT, HEAD = 70.0, 54.0, 104.0
COLUMN, LANE = 27.0, 28.0
SIZE = 14.0


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run: its name, with that of the child whose it is, and what it does."""

    name: str
    effect: Effect


def named(event: Event) -> str:
    """Return the step of an event; a child's begins with the last part of the child's name."""
    child = event.run.partition(".")[2].rpartition(".")[2]
    return f"{child}.{event.data['step']}" if child else str(event.data["step"])


def steps(events: Iterable[Event]) -> list[Step]:
    """Return the steps that ever reached the world, in the order in which they first did."""
    found: dict[str, Step] = {}
    for event in events:
        if event.kind == "call":
            name = named(event)
            found.setdefault(name, Step(name, Effect(event.data["effect"])))
    return list(found.values())


def applied(events: Iterable[Event]) -> Counter[str]:
    """Return how often each effect was applied."""
    return Counter(named(event) for event in events if event.kind == "apply")


def repeated(events: Sequence[Event]) -> list[str]:
    """Return the steps that harm by being done twice, and were."""
    often = applied(events)
    return [step.name for step in steps(events) if step.effect.once and often[step.name] > 1]


def workers(events: Sequence[Event]) -> list[str]:
    """Return the incarnations that had the run, in order of birth."""
    return [
        str(e.data["incarnation"])
        for e in events
        if e.kind == "spawn" and "-b" not in e.data["pool"]
    ]


def drawn(events: Sequence[Event]) -> Markup:
    """Return the picture of a run's history."""
    columns = {step.name: LEFT + COLUMN * (i + 0.5) for i, step in enumerate(steps(events))}
    lanes = {who: HEAD + LANE * i for i, who in enumerate(workers(events))}
    right, foot = LEFT + COLUMN * len(columns), HEAD + LANE * len(lanes)
    again = repeated(events)
    label = f"{count(len(lanes), 'worker')}, {count(len(columns), 'step')}, "
    label += f"done twice: {', '.join(again)}" if again else "nothing harmful was done twice"
    return picture(
        right + RIGHT,
        foot + LANE + 4,
        label,
        _frame(events, columns, lanes, right, foot),
        _calls(events, columns, lanes),
        _blows(events, columns, lanes),
        _world(events, columns, foot + LANE / 2),
    )


def _frame(
    events: Sequence[Event],
    columns: dict[str, float],
    lanes: dict[str, float],
    right: float,
    foot: float,
) -> Markup:
    parts = []
    for index, (name, y) in enumerate(
        [*((f"worker {i + 1}", lanes[w]) for i, w in enumerate(lanes)), ("world", foot)]
    ):
        shade = "lane odd" if index % 2 else "lane"
        parts.append(tag("rect", x=0.0, y=y, width=right + RIGHT, height=LANE, class_=shade))
        parts.append(tag("text", name, x=6.0, y=y + LANE / 2 + 4, class_="name"))
    for step in steps(events):
        x = columns[step.name]
        weight = "label once" if step.effect.once else "label"
        parts.append(
            tag(
                "text",
                clip(step.name, 15),
                tag("title", f"{step.name}: {step.effect}"),
                transform=f"translate({x + 2:.1f} {HEAD - 6:.1f}) rotate(-45)",
                class_=weight,
            )
        )
    return join(parts)


def _calls(events: Sequence[Event], columns: dict[str, float], lanes: dict[str, float]) -> Markup:
    parts, seen = [], set()
    for event in events:
        who = event.data.get("incarnation")
        if event.kind != "call" or who not in lanes or (who, named(event)) in seen:
            continue
        seen.add((who, named(event)))
        x, y = columns[named(event)] - SIZE / 2, lanes[who] + (LANE - SIZE) / 2
        title = tag("title", f"{who} called {named(event)}, event {event.index}")
        box = tag("rect", title, x=x, y=y, width=SIZE, height=SIZE, rx=2.0, class_="call")
        parts.append(box)
    for event in asked(events):
        who = event.data["incarnation"]
        if who not in lanes or named(event) not in columns or (who, named(event)) in seen:
            continue
        seen.add((who, named(event)))
        title = tag("title", f"{who} asked for {named(event)}: answered from the log")
        centre = {"cx": columns[named(event)], "cy": lanes[who] + LANE / 2}
        parts.append(tag("circle", title, r=SIZE / 2 - 1, class_="asked", **centre))
    return join(parts)


def _blows(events: Sequence[Event], columns: dict[str, float], lanes: dict[str, float]) -> Markup:
    """Return a cross where each worker died: after what it had asked for last."""
    parts = []
    for event in events:
        who = str(event.data.get("victim", "")).partition("/")[0]
        if event.kind != "fault" or who not in lanes:
            continue
        last = [
            columns[named(e)]
            for e in events[: events.index(event)]
            if e.kind == "call" and e.data["incarnation"] == who
        ]
        x, y = (last[-1] if last else LEFT) + COLUMN / 2, lanes[who]
        parts.append(tag("line", x1=x, x2=x, y1=y, y2=y + LANE, class_="kill"))
        parts.append(
            tag(
                "text",
                f"⚡ {event.data['fault'].partition('(')[0]}",
                x=x + 4,
                y=y + 19,
                class_="blow",
            )
        )
    return join(parts)


def _world(events: Sequence[Event], columns: dict[str, float], y: float) -> Markup:
    often, parts = applied(events), []
    for step in steps(events):
        x, times = columns[step.name], often[step.name]
        title = tag("title", f"{step.name} was applied {count(times, 'time')}")
        if times == 1:
            parts.append(
                tag("path", title, d=f"M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z", class_="effect")
            )
        elif times:
            kind = "twice" if step.effect.once else "again"
            middle = {"text_anchor": "middle", "class_": kind}
            parts.append(
                tag("text", f"{times}\N{MULTIPLICATION SIGN}", title, x=x, y=y + 5, **middle)
            )
    return join(parts)
