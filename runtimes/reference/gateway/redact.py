"""What goes out: no credential in any known disguise, and it is said which one tried.

A provider may echo what it was sent, in an error, a debug field or a signed URL.  The agent is
given the answer without it.  Whoever calls decides what a leak means; a canary is a credential
that nothing needs, so that one on its way out is reason enough to revoke the run's tokens.

A whole answer is cleared of a secret in two pieces too.  A stream cannot take the first piece
back once the second one comes: it only says, when it is closed, that there were two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from harness.effects import Json
from harness.secrets import is_split, pieces
from runtimes.reference.gateway.sieve import Sieve, Stream


APART = b"\0"
"""Between two texts of one answer."""
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Redacted(Generic[ValueT]):
    """An answer without credentials; ``names`` are those that were in it."""

    value: ValueT
    names: frozenset[str]
    canaries: frozenset[str]


class Redactor:
    """The credentials that nobody else may see, by name."""

    def __init__(self, secrets: Mapping[str, str], canaries: Collection[str] = ()) -> None:
        """Prepare to find them; ``canaries`` are the names of those that nothing needs.

        Raises:
            ValueError: a secret is too short, a name gives one away, or a canary is none of them.

        """
        self._sieve, self._canaries = Sieve.of(secrets), frozenset(canaries)
        if unknown := self._canaries - set(secrets):
            msg = f"expected canaries to be names of secrets, seen {sorted(unknown)} too"
            raise ValueError(msg)

    @overload
    def redact(self, value: bytes) -> Redacted[bytes]: ...
    @overload
    def redact(self, value: Json) -> Redacted[Json]: ...
    def redact(self, value: Any) -> Redacted[Any]:
        """Return a whole answer without any of them: bytes, or the keys and values of JSON."""
        names: set[str] = set()
        clean = _changed(value, lambda text: self._sieve.take(text, names, last=True)[0])
        for name, secret in self._sieve.secrets.items():
            while is_split(secret, content := _content(clean)):
                names.add(name)
                for piece in pieces(secret, content):
                    clean = _changed(clean, _replacing(piece, self._sieve.markers[name]))
        return Redacted(clean, frozenset(names), self.canaries(names))

    def leaks(self, value: bytes | Json) -> frozenset[str]:
        """Return the names of those that stand in an answer."""
        names: frozenset[str] = self.redact(value).names
        return names

    def stream(self) -> Stream:
        """Return what clears an answer that comes in chunks."""
        return Stream(self._sieve)

    def canaries(self, names: Collection[str]) -> frozenset[str]:
        """Return which of these are canaries: one is reason to revoke the run's tokens."""
        return self._canaries.intersection(names)


def _content(value: Any) -> bytes:  # noqa: ANN401 - JSON or bytes
    texts: list[bytes] = []

    def collect(text: bytes) -> bytes:
        texts.append(text)
        return text

    _changed(value, collect)
    return APART.join(texts)


def _replacing(piece: bytes, marker: bytes) -> Callable[[bytes], bytes]:
    return lambda text: text.replace(piece, marker)


def _changed(value: Any, change: Callable[[bytes], bytes]) -> Any:  # noqa: ANN401 - the same
    """Return a value with each of its texts changed; a number that is changed becomes text."""
    if isinstance(value, bytes):
        return change(value)
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for key, inner in value.items():
            fresh = _changed(key, change)
            while fresh in found:  # Two keys may have been two secrets of one name.
                fresh += "'"
            found[fresh] = _changed(inner, change)
        return found
    if isinstance(value, list):
        return [_changed(inner, change) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    # Half a surrogate is no text, but JSON may bring it.
    text = str(value).encode(errors="surrogatepass")
    fresh = change(text)
    return value if fresh == text else fresh.decode(errors="surrogatepass")
