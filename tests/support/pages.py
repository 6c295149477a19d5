"""The README and the pages as tests read them: fenced blocks, the mark above each, the prose."""

from __future__ import annotations

import re

from dataclasses import dataclass
from pathlib import Path


ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]+?) -->\n+)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
MARK = re.compile(
    r"(?P<kind>file|run|seen|not run|walk|beside|prints|part of): (?P<name>.+?)(?: exit (?P<code>\d+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block and the mark above it."""

    line: int
    language: str
    text: str
    kind: str
    name: str
    code: int


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text, found = page.read_text(encoding="utf-8"), []
    for match in BLOCK.finditer(text):
        mark = MARK.fullmatch(match["mark"] or "")
        found.append(
            Block(
                line=text.count("\n", 0, match.start("text")),
                language=match["language"],
                text=match["text"],
                kind=mark["kind"] if mark else "",
                name=mark["name"] if mark else "",
                code=int(mark["code"] or 0) if mark else 0,
            )
        )
    return found


def prose(page: Path) -> str:
    """Return a page without its blocks."""
    return BLOCK.sub("", page.read_text(encoding="utf-8"))
