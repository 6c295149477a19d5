"""How a credential may be written, as patterns that find it.

What the oracle of secrets looks for (``harness.secrets``) is found here too, whatever it learns
later; and a base64 text is found to its last character, where the oracle is content with most.
"""

from __future__ import annotations

import re
import string

from collections.abc import Iterable
from dataclasses import dataclass

from harness.secrets import forms


ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
SEXTET, OCTET = 6, 8
OTHERWISE = {"+": ("+", "-", "%2B", "%2b"), "/": ("/", "_", "\\/", "%2F", "%2f")}
"""The two marks of base64 as its URL-safe alphabet, JSON and URLs have them."""


@dataclass(frozen=True, slots=True)
class Disguise:
    """A way to write a secret: a pattern, and the longest text that it matches, in bytes."""

    pattern: bytes
    longest: int

    @classmethod
    def of(cls, places: Iterable[Iterable[bytes]]) -> Disguise:
        """Return the disguise that has one of some texts in each of its places."""
        choices = [sorted(set(place), key=len, reverse=True) for place in places]
        parts = [b"(?:" + b"|".join(map(re.escape, place)) + b")" for place in choices]
        return cls(b"".join(parts), sum(len(place[0]) for place in choices))


def disguises(secret: str) -> list[Disguise]:
    """Return all ways to write a secret that are known."""
    raw = secret.encode()
    return [
        Disguise.of(_spellings(letter) for letter in secret),
        Disguise.of({digit.lower().encode(), digit.upper().encode()} for digit in raw.hex()),
        Disguise.of([[secret[::-1].encode()]]),
        *(Disguise.of(_base64(raw, offset)) for offset in range(3)),
        *(Disguise.of([[form]]) for form in forms(secret).values()),
    ]


def _spellings(letter: str) -> set[bytes]:
    """Return a letter as it is, as URLs have it (in part or all), and as JSON may."""
    raw = letter.encode()
    units = letter.encode("utf-16-be").hex()
    escaped = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    percent = "".join(f"%{byte:02x}" for byte in raw)
    found = {raw, b"\\" + raw, percent.encode(), percent.upper().encode(), escaped.encode()}
    return (
        found | {escaped.upper().replace("U", "u").encode()} | ({b"+"} if letter == " " else set())
    )


def _base64(raw: bytes, offset: int) -> list[list[bytes]]:
    """Return what stands at each place where the secret has a part in the character.

    The first and the last may hold bits of the neighbours too: there several characters do.
    """
    bits = "?" * OCTET * offset + "".join(f"{byte:08b}" for byte in raw)
    bits += "?" * (-len(bits) % SEXTET)
    groups = [bits[at : at + SEXTET] for at in range(0, len(bits), SEXTET)]
    return [
        [
            text.encode()
            for value, letter in enumerate(ALPHABET)
            if all(want in {"?", bit} for want, bit in zip(group, f"{value:06b}", strict=True))
            for text in OTHERWISE.get(letter, (letter,))
        ]
        for group in groups
        if group.strip("?")
    ]
