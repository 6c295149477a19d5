"""Colours, for light and dark: a test computes the contrast of every pair that is used."""

from __future__ import annotations

from collections.abc import Mapping


LIGHT: Mapping[str, str] = {
    "bg": "#ffffff",
    "ink": "#1b1f24",
    "muted": "#545c66",
    "panel": "#f5f7f9",
    "line": "#cfd6dd",
    "link": "#0b4fa8",
    "accent": "#0b4fa8",
    "clean-bg": "#dff5e3",
    "clean-ink": "#0d3f1d",
    "clean-edge": "#2e8b4a",
    "escalated-bg": "#fdf0c4",
    "escalated-ink": "#4a3600",
    "escalated-edge": "#9a7400",
    "predicted-bg": "#ffd3cd",
    "predicted-ink": "#740b0b",
    "predicted-edge": "#c4281c",
    "surprising-bg": "#a30d0d",
    "surprising-ink": "#ffffff",
    "surprising-edge": "#4d0000",
    "unknown-bg": "#e8e2f7",
    "unknown-ink": "#38275f",
    "unknown-edge": "#7a5fc0",
    "gap-bg": "#f3f4f6",
    "gap-alt": "#e2e5e9",
    "gap-ink": "#454c55",
    "gap-edge": "#78818b",
    "fault": "#c4281c",
    "shade": "#fbe3df",
    "call": "#5b8fd0",
    "mark": "#1b1f24",
}
DARK: Mapping[str, str] = {
    "bg": "#0f1318",
    "ink": "#e7ebf0",
    "muted": "#a6b0bb",
    "panel": "#171c23",
    "line": "#37414c",
    "link": "#86bdff",
    "accent": "#86bdff",
    "clean-bg": "#12331e",
    "clean-ink": "#bdf2cb",
    "clean-edge": "#4cb46d",
    "escalated-bg": "#3b2f05",
    "escalated-ink": "#ffe7a8",
    "escalated-edge": "#c99d1c",
    "predicted-bg": "#551714",
    "predicted-ink": "#ffd0ca",
    "predicted-edge": "#ff7b6e",
    "surprising-bg": "#ff7468",
    "surprising-ink": "#200000",
    "surprising-edge": "#ffffff",
    "unknown-bg": "#2b2350",
    "unknown-ink": "#dcd3fb",
    "unknown-edge": "#9e88e6",
    "gap-bg": "#1b2129",
    "gap-alt": "#262e38",
    "gap-ink": "#bac3cd",
    "gap-edge": "#76808b",
    "fault": "#ff7b6e",
    "shade": "#3a1c1a",
    "call": "#5d8fce",
    "mark": "#e7ebf0",
}
KNEE = 0.04045
"""Where sRGB turns from linear to a power, as WCAG 2.2 has it."""
TEXT = 4.5
SHAPE = 3.0
PAIRS: tuple[tuple[str, str, float], ...] = (
    *((ink, paper, TEXT) for ink in ("ink", "muted", "link") for paper in ("bg", "panel")),
    *(
        (f"{name}-ink", f"{name}-bg", TEXT)
        for name in ("clean", "escalated", "predicted", "surprising", "unknown", "gap")
    ),
    ("gap-ink", "gap-alt", TEXT),
    *(
        (f"{name}-edge", paper, SHAPE)
        for name in ("clean", "escalated", "predicted", "unknown", "gap")
        for paper in ("bg", "panel")
    ),
    *(
        (f"{name}-edge", f"{name}-bg", SHAPE)
        for name in ("clean", "escalated", "predicted", "unknown", "gap")
    ),
    ("surprising-bg", "bg", SHAPE),
    ("surprising-bg", "panel", SHAPE),
    ("ink", "shade", TEXT),
    ("muted", "shade", TEXT),
    ("fault", "bg", SHAPE),
    ("fault", "panel", TEXT),
    ("fault", "shade", SHAPE),
    ("call", "panel", SHAPE),
    ("mark", "panel", SHAPE),
    ("call", "bg", SHAPE),
    ("predicted-edge", "shade", SHAPE),
)


def _luminance(colour: str) -> float:
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= KNEE else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, as WCAG defines it."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def variables() -> str:
    """Return the style sheet's variables: light, dark by preference, and light on paper."""

    def block(palette: Mapping[str, str]) -> str:
        return "".join(f"--{name}:{value};" for name, value in palette.items())

    return (
        f":root{{color-scheme:light dark;{block(LIGHT)}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{block(DARK)}}}}}\n"
    )
