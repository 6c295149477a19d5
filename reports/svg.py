"""Pictures as inline SVG: elements, scales and dot strips; text in them is always escaped."""

from __future__ import annotations

import math

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape


def number(value: float) -> str:
    """Return a coordinate, short."""
    return f"{value:.1f}".removesuffix(".0")


def seconds(value: float) -> str:
    """Return a duration with its unit, in three figures."""
    if value == 0:
        return "0 s"
    if value < 0.001:  # noqa: PLR2004 - a microsecond has no smaller neighbour here
        return f"{value * 1e6:.0f} µs"
    if value < 1:
        return f"{value * 1e3:.3g} ms"
    return f"{value:.3g} s" if value < 1_000 else f"{value:,.0f} s"  # noqa: PLR2004


def tag(name: str, *inside: str | Markup, **attributes: str | float) -> Markup:
    """Return an element; ``class_`` is class, ``stroke_width`` is stroke-width."""
    parts = [
        f' {key.rstrip("_").replace("_", "-")}="'
        f'{escape(number(value) if isinstance(value, float) else value)}"'
        for key, value in attributes.items()
    ]
    body = "".join(str(escape(part)) for part in inside)
    return Markup(  # noqa: S704 - its parts are escaped above
        f"<{name}{''.join(parts)}>{body}</{name}>" if body else f"<{name}{''.join(parts)}/>"
    )


def join(parts: Iterable[Markup]) -> Markup:
    """Return elements one after another."""
    return Markup("").join(parts)


def picture(width: float, height: float, label: str, *inside: Markup, fit: bool = False) -> Markup:
    """Return an SVG that a screen reader announces by its label."""
    size = {} if fit else {"width": width, "height": height}
    return tag(
        "svg",
        *inside,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=label,
        **size,
    )


@dataclass(frozen=True, slots=True)
class LogScale:
    """Seconds to pixels, by powers of ten."""

    low: float
    high: float
    left: float
    right: float

    @classmethod
    def of(cls, values: Sequence[float], left: float, right: float) -> LogScale:
        """Return a scale over whole decades that holds all values."""
        seen = [value for value in values if value > 0] or [0.1, 1.0]
        low, high = math.floor(math.log10(min(seen))), math.ceil(math.log10(max(seen)))
        return cls(10.0**low, 10.0 ** max(high, low + 1), left, right)

    def __call__(self, value: float) -> float:
        """Return where a value is drawn; zero stands at the left edge."""
        if value <= self.low:
            return self.left
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.left + min(1.0, share) * (self.right - self.left)

    def ticks(self) -> list[float]:
        """Return the decades."""
        first, last = round(math.log10(self.low)), round(math.log10(self.high))
        return [10.0**power for power in range(first, last + 1)]


def axis(scale: LogScale) -> Markup:
    """Return the head of a column of strips: the decades and their labels."""
    marks = []
    for index, tick in enumerate(scale.ticks()):
        last = index == len(scale.ticks()) - 1
        anchor = "start" if index == 0 else "end" if last else "middle"
        marks.append(
            tag("text", seconds(tick), x=scale(tick), y=11.0, text_anchor=anchor, class_="tick")
        )
        marks.append(tag("line", x1=scale(tick), x2=scale(tick), y1=15.0, y2=20.0, class_="rule"))
    return picture(scale.right + 4, 20, "logarithmic time axis", *marks)


def strip(values: Sequence[float], middle: float, scale: LogScale, label: str) -> Markup:
    """Return a dot for each value, and a bar at the median."""
    rules = [
        tag("line", x1=scale(tick), x2=scale(tick), y1=0.0, y2=20.0, class_="rule")
        for tick in scale.ticks()
    ]
    dots = [
        tag(
            "circle",
            tag("title", seconds(value)),
            cx=scale(value),
            cy=7.0 + 3.0 * (index % 3),
            r=2.6,
            class_="dot",
        )
        for index, value in enumerate(sorted(values))
    ]
    bar = tag("line", x1=scale(middle), x2=scale(middle), y1=1.0, y2=19.0, class_="median")
    return picture(scale.right + 4, 20, label, *rules, *dots, bar)
