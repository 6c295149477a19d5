"""One text for one value, so that its hash means something.

UTF-8, keys sorted, no spaces.  What two parties must agree on has whole numbers only: a fraction
has many texts, and two parsers need not agree on its value; so the gateway takes no others.  What
one process has by itself, or was answered, may have fractions: it is written in the shortest text
that gives the same number again.
"""

from __future__ import annotations

import hashlib
import math

import orjson

from harness.effects import Json


class CanonicalError(ValueError):
    """A value has no canonical text; the message says where."""


def canonical(value: Json) -> bytes:
    """Return the text of a value.

    Raises:
        CanonicalError: it has a float, a number beyond 64 bits, text that is not Unicode, or
            something that JSON does not have.

    """
    _check(value, "$")
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        msg = f"no canonical text: {error}"
        raise CanonicalError(msg) from error


def free(*values: Json) -> None:
    """Hold values to what can be written and read again; fractions can.

    Raises:
        CanonicalError: one of them cannot.

    """
    for value in values:
        _check(value, "$", fractions=True)


def hashed(value: Json) -> str:
    """Return the SHA-256 of a value that may have fractions (hex).

    Raises:
        CanonicalError: it cannot be written.

    """
    _check(value, "$", fractions=True)
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


def digest(value: Json) -> str:
    """Return the SHA-256 of a value's text (hex); raises as ``canonical`` does."""
    return hashlib.sha256(canonical(value)).hexdigest()


SCALARS = frozenset({str, int, bool, type(None)})


def _check(value: object, where: str, *, fractions: bool = False) -> None:
    kind = type(value)
    if kind is dict:
        for key, inner in value.items():  # type: ignore[attr-defined]
            if type(key) is not str:
                msg = f"{where}: the key {key!r} is not text"
                raise CanonicalError(msg)
            if type(inner) not in SCALARS:
                _check(inner, f"{where}.{key}", fractions=fractions)
    elif kind is list:
        for index, inner in enumerate(value):  # type: ignore[arg-type]
            if type(inner) not in SCALARS:
                _check(inner, f"{where}[{index}]", fractions=fractions)
    elif kind not in SCALARS and not (fractions and kind is float and math.isfinite(value)):  # type: ignore[arg-type]
        msg = f"{where}: {kind.__name__} {value!r} has no canonical text; whole numbers and text do"
        raise CanonicalError(msg)
