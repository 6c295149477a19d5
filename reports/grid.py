"""A picture of depth 2: a row for each first point, a square for each second one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from harness.schedule import parse
from reports.svg import join, picture, tag
from reports.words import State, state_of


SIDE, LEFT, HEAD = 11.0, 210.0, 6.0
_CROSS = "M{0} {1}l6 6m0 -6l-6 6"
_SHAPES = {
    "clean": "M{0} {2}h6",
    "escalated": "M{0} {1}v6m0 -6l5 2l-5 2",
    "predicted": _CROSS,
    "surprising": "M{3} {1}v6m3 -6v6",
    "unknown": "M{0} {1}h6v6h-6z",
}


def _square(x: float, y: float, state: State, second: str) -> Markup:
    shape = _SHAPES[state.key].format(f"{x + 2:g}", f"{y + 2:g}", f"{y + 5:g}", f"{x + 3.5:g}")
    return tag(
        "g",
        tag("title", f"{second}: {state.word}"),
        tag("rect", x=x, y=y, width=SIDE - 1, height=SIDE - 1),
        tag("path", d=shape),
        class_=f"g-{state.key}",
    )


def grid(rows: Sequence[Mapping[str, Any]], program: Sequence[str]) -> Markup:
    """Return the picture; each square has its sign, each row says how many it has of what."""
    firsts: dict[str, list[Mapping[str, Any]]] = {name: [] for name in program}
    for row in rows:
        stages = parse(row["schedule"]).stages
        if stages:
            firsts.setdefault(str(stages[0].point), []).append(row)
    lines = [(name, own) for name, own in firsts.items() if own]
    order = {point.rpartition("#")[0]: index for index, point in enumerate(program)}
    parts, widest = [], 0
    for index, (name, own) in enumerate(lines):
        y = HEAD + SIDE * index
        counts: dict[str, int] = {}
        squares = []
        taken: set[int] = set()
        for row in own:
            state = state_of(row)
            counts[state.word] = counts.get(state.word, 0) + 1
            second = str(parse(row["schedule"]).stages[-1].point)
            place = order.get(second.rpartition("#")[0], len(order))
            while place in taken:
                place += 1
            taken.add(place)
            widest = max(widest, place + 1)
            squares.append(_square(LEFT + SIDE * place, y, state, second))
        said = ", ".join(f"{number} {word}" for word, number in counts.items())
        label = name if len(name) < 36 else f"{name[:34]}…"  # noqa: PLR2004 - what fits
        parts.append(
            tag(
                "text",
                tag("title", f"{name}: {said}"),
                label,
                x=LEFT - 6,
                y=y + 9,
                text_anchor="end",
                class_="small",
            )
        )
        parts.append(join(squares))
    height = HEAD + SIDE * len(lines) + 4
    return picture(
        LEFT + SIDE * widest + 8,
        height,
        "First fault by row, second fault by square, in program order",
        *parts,
    )
