"""What a provider asks for, and what nobody else may see."""

from __future__ import annotations

import base64

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

from harness.effects import Json
from harness.secrets import PIECE, forms
from runtimes.reference.upstreams.base import UpstreamError


HIDDEN = "[credential]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A name and its secret; printed, it is the name only.

    Raises:
        ValueError: the secret is so short that hiding it would hide ordinary words.

    """

    name: str = ""
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a secret that cannot be hidden."""
        if len(self.secret) < PIECE:
            msg = f"the credential {self.name!r} has fewer than {PIECE} characters"
            raise ValueError(msg)

    def hide(self, text: str) -> str:
        """Return a text without the secret: raw, quoted, reversed, as hex and as base64."""
        both = base64.b64encode(f"{self.name}:{self.secret}".encode()).decode()
        plain = base64.b64encode(f"\0{self.name}\0{self.secret}".encode()).decode()
        pieces = [both, plain, quote(self.secret, safe="")]
        pieces += [form.decode() for form in forms(self.secret).values()]
        pieces += [piece.translate(URL_SAFE) for piece in pieces]
        for piece in pieces:
            if len(piece) >= PIECE:
                text = text.replace(piece, HIDDEN)
        return text

    def clean(self, value: Json) -> Json:
        """Return a value without the secret, in keys and in texts: some providers echo."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, list):
            return [self.clean(inner) for inner in value]
        if isinstance(value, dict):
            return {self.hide(key): self.clean(inner) for key, inner in value.items()}
        return value


URL_SAFE = str.maketrans("+/", "-_")


@contextmanager
def sealed() -> Iterator[None]:
    """Cut the errors of a connector off from what led to them.

    A library's error may hold all that it connected with: psycopg's and httpx's do.
    """
    try:
        yield
    except UpstreamError as error:
        error.__cause__ = error.__context__ = None
        raise
