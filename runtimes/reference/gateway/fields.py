"""The fields of a request, each held to its kind, its length and its range (HTTP 422).

A message has the name of a field, never its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from harness.effects import Json
from runtimes.reference.gateway.strict import BadRequestError, shown


LEAST, MOST = -(1 << 63), (1 << 64) - 1
TEXT = "send it as text, or in a smaller unit"
EXACT = 1 << 53
"""Up to here a double tells whole numbers apart."""


def refuse(why: str) -> NoReturn:
    """Refuse a request that is JSON, but not what was expected."""
    raise BadRequestError(422, why)


def kind(value: object) -> str:
    """Return what a value is, in JSON's words."""
    kinds = {bool: "true or false", dict: "an object", list: "a list", str: "text"}
    return kinds.get(type(value), "a number" if value is not None else "null")


def check_fields(
    what: str, data: Mapping[str, Json], needed: tuple[str, ...], known: tuple[str, ...]
) -> None:
    """Hold an object to its fields: all that are needed, none that is not known."""
    if missing := [name for name in needed if name not in data]:
        refuse(f"expected {what} to have {', '.join(needed)}; {', '.join(missing)} is missing")
    if strange := [name for name in data if name not in known]:
        refuse(f"expected no more of {what} than {', '.join(known)}; seen {shown(strange[0])} too")


def check_name(what: str, value: Json, longest: int, *, empty: bool) -> None:
    """Hold a value to being a name."""
    if not isinstance(value, str):
        refuse(f"expected {what} to be text, seen {kind(value)}; quote it")
    if not value and not empty:
        refuse(f"expected {what} to be a name, seen empty text; say which")
    if len(value) > longest:
        refuse(f"expected {what} of at most {longest} characters, seen {len(value)}; shorten it")
    if not value.isprintable():
        refuse(f"expected {what} in printable characters, seen another one; leave it out")


def check_number(what: str, value: Json, kinds: tuple[type, ...]) -> None:
    """Hold a value to being a number that is not negative; true and false are none."""
    if type(value) not in kinds:
        refuse(f"expected {what} to be a {'whole ' * (float not in kinds)}number; correct it")
    if value < 0:  # type: ignore[operator]
        refuse(f"expected {what} to be zero or more, seen less; correct it")


def whole(where: str, value: Json) -> Json:
    """Return a value with whole numbers only, so that it has a canonical text."""
    if isinstance(value, dict):
        return {
            _unicode(where, key): whole(f"{where}.{shown(key)}", inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [whole(f"{where}[{index}]", inner) for index, inner in enumerate(value)]
    if isinstance(value, str):
        return _unicode(where, value)
    if isinstance(value, float):
        if not value.is_integer() or abs(value) > EXACT:
            refuse(f"expected whole numbers, seen a fraction or an inexact one at {where}; {TEXT}")
        return int(value)
    if isinstance(value, int) and not LEAST <= value <= MOST:
        refuse(f"expected whole numbers of 64 bits, seen a larger one at {where}; {TEXT}")
    return value


def _unicode(where: str, value: str) -> str:
    if any("\ud800" <= each <= "\udfff" for each in value):
        refuse(f"expected Unicode text, seen half a character at {where}; send all of it")
    return value
