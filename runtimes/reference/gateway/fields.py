"""The kinds of fields: how a request is held to each (HTTP 422), and how that is told in advance.

A kind checks a value and describes itself as a JSON Schema, so that what is said of a request is
what is done with it.  A message has the name of a field, never its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from harness.effects import Json
from runtimes.reference.gateway.strict import BadRequestError, shown


LEAST, MOST = -(1 << 63), (1 << 64) - 1
TEXT = "send it as text, or in a smaller unit"
EXACT = 1 << 53
"""Up to here a double tells whole numbers apart."""
PRINTABLE = "printable"
"""The format of a text that ``str.isprintable`` says yes to; JSON Schema has no word for it."""


def refuse(why: str) -> NoReturn:
    """Refuse a request that is JSON, but not what was expected."""
    raise BadRequestError(422, why)


def kind(value: object) -> str:
    """Return what a value is, in JSON's words."""
    kinds = {bool: "true or false", dict: "an object", list: "a list", str: "text"}
    return kinds.get(type(value), "a number" if value is not None else "null")


class Kind(Protocol):
    """What a field may hold."""

    def check(self, what: str, value: Json) -> None:
        """Refuse a value that is something else; ``what`` is how messages call it."""
        ...

    @property
    def schema(self) -> dict[str, Json]:
        """Return the same in the words of JSON Schema."""
        ...


@dataclass(frozen=True, slots=True)
class Name:
    """Text of one line, in printable characters."""

    longest: int = 255
    empty: bool = False

    def check(self, what: str, value: Json) -> None:
        if not isinstance(value, str):
            refuse(f"expected {what} to be text, seen {kind(value)}; quote it")
        if not value and not self.empty:
            refuse(f"expected {what} to be a name, seen empty text; say which")
        if len(value) > self.longest:
            why = f"expected {what} of at most {self.longest} characters, seen {len(value)}"
            refuse(f"{why}; shorten it")
        if not value.isprintable():
            refuse(f"expected {what} in printable characters, seen another one; leave it out")

    @property
    def schema(self) -> dict[str, Json]:
        least = int(not self.empty)
        return {
            "type": "string",
            "minLength": least,
            "maxLength": self.longest,
            "format": PRINTABLE,
        }


@dataclass(frozen=True, slots=True)
class Number:
    """A number from ``least`` to ``most``; true and false are none."""

    least: int = 0
    most: int | None = None
    whole: bool = False

    def check(self, what: str, value: Json) -> None:
        if type(value) not in ((int,) if self.whole else (int, float)):
            refuse(f"expected {what} to be a {'whole ' * self.whole}number; correct it")
        if value < self.least:  # type: ignore[operator]
            least = self.least or "zero"
            refuse(f"expected {what} to be {least} or more, seen less; correct it")
        if self.most is not None and value > self.most:  # type: ignore[operator]
            refuse(f"expected {what} to be at most {self.most}, seen more; correct it")

    @property
    def schema(self) -> dict[str, Json]:
        ends: dict[str, Json] = {"minimum": self.least}
        if self.most is not None:
            ends["maximum"] = self.most
        if not self.whole:
            return {"type": "number", **ends}
        # To JSON Schema 1.0 is an integer too.
        return {"type": "integer", "description": "Written without a fraction: 1, not 1.0.", **ends}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false: no word for it, which may mean the other one."""

    def check(self, what: str, value: Json) -> None:
        if not isinstance(value, bool):
            refuse(f"expected {what} to be true or false, seen {kind(value)}; correct it")

    @property
    def schema(self) -> dict[str, Json]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few words."""

    words: tuple[str, ...]

    def check(self, what: str, value: Json) -> None:
        if value not in self.words:
            words = ", ".join(self.words)
            refuse(f"expected {what} to be one of {words}, seen another; correct it")

    @property
    def schema(self) -> dict[str, Json]:
        return {"type": "string", "enum": [*self.words]}


@dataclass(frozen=True, slots=True)
class Listed:
    """A list, all of one kind; ``each`` is how messages call one of it."""

    of: Kind
    each: str
    most: int
    least: int = 0

    def check(self, what: str, value: Json) -> None:
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            ends = f"of {self.least} to {self.most}" if self.least else f"of at most {self.most}"
            refuse(f"expected {what} to be a list {ends}; send those that matter")
        for one in value:
            self.of.check(self.each, one)

    @property
    def schema(self) -> dict[str, Json]:
        ends: dict[str, Json] = {"minItems": self.least, "maxItems": self.most}
        return {"type": "array", "items": self.of.schema, **ends}


@dataclass(frozen=True, slots=True)
class Record:
    """An object with all fields that are needed, and none that is not known."""

    needed: Mapping[str, Kind]
    more: Mapping[str, Kind] = field(default_factory=dict)

    def check(self, what: str, value: Json) -> None:
        needed, known = ", ".join(self.needed), {**self.needed, **self.more}
        if not isinstance(value, dict):
            of = f" with {needed}" if needed else ""
            refuse(f"expected {what} to be an object{of}, seen {kind(value)}; correct it")
        if missing := [name for name in self.needed if name not in value]:
            refuse(f"expected {what} to have {needed}; {', '.join(missing)} is missing")
        if strange := [name for name in value if name not in known]:
            names = ", ".join(known)
            refuse(f"expected no more of {what} than {names}; seen {shown(strange[0])} too")
        for name, inner in value.items():
            known[name].check(name if what == "the request" else f"{name} of {what}", inner)

    @property
    def schema(self) -> dict[str, Json]:
        known = {**self.needed, **self.more}
        return {
            "type": "object",
            "properties": {name: inner.schema for name, inner in known.items()},
            "required": [*self.needed],
            "additionalProperties": False,
        }


@dataclass(frozen=True, slots=True)
class Either:
    """One of several records, which are told apart by a field that only one of them has."""

    by: Mapping[str, Record]

    def check(self, what: str, value: Json) -> None:
        has = [name for name in self.by if isinstance(value, dict) and name in value]
        if len(has) != 1:
            refuse(f"expected {what} to have just one of {', '.join(self.by)}; correct it")
        self.by[has[0]].check(what, value)

    @property
    def schema(self) -> dict[str, Json]:
        return {"oneOf": [inner.schema for inner in self.by.values()]}


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
