"""One pass over a text that takes the secrets out, however the text is cut into chunks."""

from __future__ import annotations

import re

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.secrets import PIECE, pieces
from runtimes.reference.gateway.disguises import disguises


SHORTEST = 2 * PIECE
"""Of a secret, in bytes: each half of it must count, and none may stand anywhere by chance."""


@dataclass(frozen=True, slots=True, repr=False)
class Sieve:
    """The pattern of all secrets; where it matches depends on the ``longest`` next bytes only."""

    secrets: Mapping[str, str]
    pattern: re.Pattern[bytes]
    longest: int
    markers: Mapping[str, bytes]
    """What stands in a secret's place, by its name."""

    @classmethod
    def of(cls, secrets: Mapping[str, str]) -> Sieve:
        """Return the sieve of some secrets, by name.

        Raises:
            ValueError: one is too short to be told from other text, or a name gives one away.

        """
        for name, secret in secrets.items():
            if len(secret.encode()) < SHORTEST:
                msg = f"expected a secret {name!r} of at least {SHORTEST} bytes; use a longer one"
                raise ValueError(msg)
        # Of two that begin alike, the longer one is meant.
        ordered = dict(sorted(secrets.items(), key=lambda each: -len(each[1])))
        ways = [disguises(secret) for secret in ordered.values()]
        found = [b"(" + b"|".join(way.pattern for way in each) + b")" for each in ways]
        pattern = re.compile(b"|".join(found) or b"(?!)")
        longest = max((way.longest for each in ways for way in each), default=1)
        markers = {name: f"[redacted {name}]".encode() for name in ordered}
        text = b"".join(markers.values())
        if pattern.search(text) or any(any(pieces(each, text)) for each in ordered.values()):
            msg = "the name of a secret has a part of a secret in it; rename it"
            raise ValueError(msg)
        return cls(ordered, pattern, longest, markers)

    def take(self, text: bytes, names: set[str], *, last: bool) -> tuple[bytes, bytes]:
        """Return what is clear, and the rest that more text decides; add what was found."""
        at, clear = 0, bytearray()
        decided = len(text) if last else len(text) - self.longest + 1
        known = tuple(self.secrets)
        while at < decided:
            found = self.pattern.search(text, at)
            if found is None or found.start() >= decided:
                clear += text[at:decided]
                at = decided
            else:
                name = known[(found.lastindex or 1) - 1]
                names.add(name)
                clear += text[at : found.start()] + self.markers[name]
                at = found.end()
        return bytes(clear), text[at:]


@dataclass(slots=True, repr=False)
class Stream:
    """One answer that comes in chunks.

    ``names`` are the secrets that were in it so far; those in two pieces are there at the end.
    """

    sieve: Sieve
    names: set[str] = field(default_factory=set)
    _rest: bytes = b""
    _passed: bytes = b""
    _halves: dict[str, tuple[int, int]] = field(default_factory=dict)

    def feed(self, chunk: bytes) -> bytes:
        """Return what may go out by now."""
        clear, self._rest = self.sieve.take(self._rest + chunk, self.names, last=False)
        return self._watched(clear)

    def close(self) -> bytes:
        """Return what is left to go out."""
        clear, self._rest = self.sieve.take(self._rest, self.names, last=True)
        clear = self._watched(clear)
        for name, (head, tail) in self._halves.items():
            if head and tail and head + tail >= len(self.sieve.secrets[name].encode()):
                self.names.add(name)
        return clear

    def _watched(self, clear: bytes) -> bytes:
        text = self._passed + clear
        for name, secret in self.sieve.secrets.items():
            now, before = pieces(secret, text), self._halves.get(name, (0, 0))
            self._halves[name] = (max(before[0], len(now[0])), max(before[1], len(now[1])))
        self._passed = text[-self.sieve.longest :]
        return clear
