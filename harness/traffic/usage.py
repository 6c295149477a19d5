"""What a site's processes use: CPU seconds and memory, read from ``/proc`` by their marks."""

from __future__ import annotations

import os

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.site import MARK


TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
HARNESS_CHILD = "client"
"""What a child is called that no runner started: it speaks to an engine for the harness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One process: its name without the number of its incarnation, CPU seconds, memory."""

    name: str
    cpu_s: float
    rss_bytes: int


def _of(folder: Path, site: str) -> Usage | None:
    try:
        environment = dict(
            item.split(b"=", 1)
            for item in (folder / "environ").read_bytes().split(b"\0")
            if b"=" in item
        )
        if environment.get(MARK.encode()) != site.encode():
            return None
        # The command's name stands in brackets and may hold anything; the numbers follow it.
        words = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None  # it ended meanwhile, or is another user's
    who = environment.get(b"BAKEOFF_INCARNATION", HARNESS_CHILD.encode()).decode()
    name, _, number = who.rpartition("-")
    return Usage(
        name=name if number.isdigit() else who,
        cpu_s=(int(words[11]) + int(words[12])) / TICKS,
        rss_bytes=pages * PAGE,
    )


def usage(site: str) -> dict[int, Usage]:
    """Return what each process with the mark of a site has used so far, by process id."""
    found = {int(folder.name): _of(folder, site) for folder in Path("/proc").glob("[0-9]*")}
    return {pid: seen for pid, seen in found.items() if seen}


def between(before: Mapping[int, Usage], after: Mapping[int, Usage]) -> dict[str, float]:
    """Return CPU seconds by name; of processes that ended meanwhile nothing is known."""
    used: dict[str, float] = {}
    for pid, seen in after.items():
        spent = seen.cpu_s - (before[pid].cpu_s if pid in before else 0.0)
        used[seen.name] = used.get(seen.name, 0.0) + spent
    return used


def memory(seen: Mapping[int, Usage]) -> dict[str, int]:
    """Return resident bytes by name; pages that processes share count for each."""
    used: dict[str, int] = {}
    for one in seen.values():
        used[one.name] = used.get(one.name, 0) + one.rss_bytes
    return used
