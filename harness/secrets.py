"""The canary: a credential that must never be seen again where people or programs look."""

from __future__ import annotations

import base64
import json

from collections.abc import Mapping
from pathlib import Path

from harness.effects import Json


def forms(secret: str) -> dict[str, bytes]:
    """Return the secret as it may be written: raw, base64, hex, reversed."""
    raw = secret.encode()
    return {
        "raw": raw,
        "base64": base64.b64encode(raw).rstrip(b"="),
        "hex": raw.hex().encode(),
        "reversed": raw[::-1],
    }


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
    return len(places), found
