"""How much a tool has fetched so far, where it does not say so itself."""

from __future__ import annotations

import os

from pathlib import Path


MB = 1_000_000


def bytes_in(folder: Path) -> int:
    """Return how many bytes are in a folder in which files come and go meanwhile."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(where, name).stat().st_size
            except FileNotFoundError:
                continue
    return total
