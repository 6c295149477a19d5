"""The canary: a credential that must never be seen again where people or programs look."""

from __future__ import annotations

import base64
import json

from collections.abc import Mapping
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from harness.effects import Json


PIECE = 6
"""The shortest piece of a secret that counts, in characters."""


def forms(secret: str) -> dict[str, bytes]:
    """Return the secret as it may be written whole.

    Raw, reversed, as hex, and as base64 of something that holds it, at each of the three
    places where it can begin there.
    """
    raw = secret.encode()
    found = {
        "raw": raw,
        "reversed": raw[::-1],
        "hex": raw.hex().encode(),
        "upper-case hex": raw.hex().upper().encode(),
    }
    for offset in range(3):
        # The first and last characters depend on the neighbours: leave them out.
        inner = raw[(3 - offset) % 3 :]
        found[f"base64 at {offset}"] = base64.b64encode(inner[: len(inner) // 3 * 3])
    return found


def pieces(secret: str, content: bytes) -> tuple[bytes, bytes]:
    """Return the longest beginning and the longest end of the secret that stand in a text.

    Neither is the whole secret; one that is too short to count is empty.
    """
    raw, sizes = secret.encode(), range(PIECE, len(secret.encode()))
    heads = takewhile(content.__contains__, (raw[:size] for size in sizes))
    tails = takewhile(content.__contains__, (raw[-size:] for size in sizes))
    return max(heads, key=len, default=b""), max(tails, key=len, default=b"")


def is_split(secret: str, content: bytes) -> bool:
    """Say whether the secret stands in a text in two pieces, and not whole."""
    head, tail = pieces(secret, content)
    whole = len(secret.encode())
    return secret.encode() not in content and bool(head and tail) and len(head) + len(tail) >= whole


def environment(pid: int) -> str:
    """Return the environment and the arguments of a process; nothing where it cannot be read."""
    found = []
    for name in ("environ", "cmdline"):
        with suppress(OSError):
            found.append(Path(f"/proc/{pid}/{name}").read_text(errors="replace"))
    return "\n".join(found)


def scan(secret: str, logs: Path, texts: Mapping[str, Json]) -> tuple[int, list[str]]:
    """Return how many places were searched, and in which the secret stands, in any form."""
    places = {path.name: path.read_bytes() for path in sorted(logs.glob("*")) if path.is_file()}
    places |= {name: json.dumps(text).encode() for name, text in texts.items()}
    found = [
        f"{name} ({form})"
        for name, content in places.items()
        for form, needle in forms(secret).items()
        if needle in content
    ]
    found += [f"{name} (split)" for name, content in places.items() if is_split(secret, content)]
    return len(places), found
