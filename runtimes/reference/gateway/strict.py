"""JSON with one meaning: what two parsers may read differently is refused.

No message has a value in it: what was sent may hold a credential.
"""

from __future__ import annotations

import json
import math
import re

from typing import NoReturn

from harness.effects import Json


LARGEST = 1 << 20
"""Of a body, in bytes; the world's own server takes no more."""
DEEPEST = 32
WHOLE = 20
"""Digits of the largest whole number, with its sign."""
TEXTS = re.compile(r'"[^"\\]*+(?:\\(?:.|\Z)[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
"""What stands in quotation marks; one that never ends goes to the end, or this were quadratic."""
BRACKETS = re.compile(r"[\[\]{}]")
NO_NUMBER = "expected finite numbers, seen NaN, Infinity or one too large for a double; send text"
HARMLESS = re.compile(r"[A-Za-z_][A-Za-z_-]{0,30}")


class BadRequestError(Exception):
    """A request is refused as it stands; the message says what was expected, and what was seen.

    Attributes:
        status: how HTTP says it.

    """

    def __init__(self, status: int, why: str) -> None:
        """Say what is wrong with it, and what to do."""
        super().__init__(why)
        self.status = status


def shown(name: str) -> str:
    """Return a name as a message may have it: one with digits in it may be a credential."""
    return repr(name) if HARMLESS.fullmatch(name) else f"a name of {len(name)} characters"


def read(body: bytes) -> Json:
    """Return the value of a text.

    Raises:
        BadRequestError: it is too large or too deep, it is not JSON, or it has two meanings.

    """
    if len(body) > LARGEST:
        why = f"expected at most {LARGEST} bytes, seen {len(body)}; send a reference to the rest"
        raise BadRequestError(413, why)
    text = _text(body)
    if _depth(text) > DEEPEST:
        _refuse(f"expected at most {DEEPEST} levels, seen more; send it flatter")
    try:
        return DECODER.decode(text)  # type: ignore[no-any-return]
    except ValueError as error:
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        why = f"expected JSON, seen something else{where}; send one JSON object"
    # Not from within the handler: the parser's own error holds the whole body.
    raise BadRequestError(400, why)


def _refuse(why: str) -> NoReturn:
    raise BadRequestError(400, why)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        why = f"expected UTF-8, seen another byte at {error.start}; encode the body as UTF-8"
    _refuse(why)


def _depth(text: str) -> int:
    depth = deepest = 0
    for found in BRACKETS.finditer(TEXTS.sub("", text)):
        depth += 1 if found[0] in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            _refuse(f"expected each key of an object once, seen {shown(key)} twice; leave one out")
        found[key] = value
    return found


def _constant(_: str) -> NoReturn:
    _refuse(NO_NUMBER)


def _whole(digits: str) -> int:
    if len(digits) > WHOLE:
        _refuse(f"expected whole numbers of 64 bits, seen {len(digits)} digits; send it as text")
    return int(digits)


def _number(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        _refuse(NO_NUMBER)
    return number


DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_whole,
    parse_float=_number,
    parse_constant=_constant,
)
