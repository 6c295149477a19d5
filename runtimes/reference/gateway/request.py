"""What comes in: the world's own protocol, held to the letter.

Any worker that speaks to the world speaks to the gateway unchanged.  But what the world takes
on trust is refused here: each request becomes a record, and a hash that somebody approves.

Numbers in ``args`` are whole, because the log's canonical text has no others: ``2.0`` is read as
``2``, ``2.5`` is refused (a float has many texts, and one request must have one hash).  ``slept_s``
is a measurement and no part of the hash, so it is any number from zero on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

from harness.effects import Effect, Json
from harness.world.cell import NEEDS, Call
from runtimes.reference.effect_log.canonical import digest
from runtimes.reference.gateway.strict import BadRequestError, read, shown


NAMES: Mapping[str, int] = {
    **dict.fromkeys(("cell", "run", "step", "op", "effect", "incarnation"), 255),
    "key": 511,
}
"""The longest of each, in characters; a key is run and step, with a stroke between them."""
NEEDED = ("cell", "run", "step", "op", "effect", "args")
FIELDS = (*NEEDED, "key", "premises", "slept_s", "incarnation", "seq")
PREMISE = ("path", "etag")
LONGEST: Mapping[str, int] = {"path": 1024, "etag": 16384}
"""Of a premise; a pattern has the ETags of all that it names."""
PREMISES = 100
LEAST, MOST = -(1 << 63), (1 << 64) - 1
EXACT = 1 << 53
"""Up to here a double tells whole numbers apart."""
TEXT = "send it as text, or in a smaller unit"
MEDIA = ("application/json", "application/json;charset=utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call of the world, and the cell that it is for."""

    cell: str
    call: Call

    def to_json(self) -> dict[str, Json]:
        """Return the body as the world takes it."""
        return {**self.call.to_json(), "run": self.call.run, "cell": self.cell}

    def essence(self) -> dict[str, Json]:
        """Return what makes it this request and no other; an attempt of it has the same."""
        call = self.call
        return {
            "cell": self.cell,
            "run": call.run,
            "step": call.step,
            "op": call.op,
            "effect": call.effect.value,
            "args": dict(call.args),
            "key": call.key,
        }

    @property
    def request_hash(self) -> str:
        """Return the SHA-256 of the essence's canonical text."""
        return digest(self.essence())

    @property
    def premise_hash(self) -> str:
        """Return the same of the premises, in their order."""
        return digest([dict(premise) for premise in self.call.premises])


def parse(body: bytes, media: str = MEDIA[0]) -> Request:
    """Return the request of a body; ``media`` is its content type.

    Raises:
        BadRequestError: it is not what the world's protocol has; nothing was done.

    """
    if media.lower().replace(" ", "").replace('"', "") not in MEDIA:
        raise BadRequestError(415, "expected application/json in UTF-8, seen another content type")
    data = read(body)
    if not isinstance(data, dict):
        _refuse(f"expected an object with {', '.join(NEEDED)}, seen {_kind(data)}")
    _fields("the request", data, NEEDED, FIELDS)
    for name, longest in NAMES.items():
        _name(name, data.get(name, ""), longest, empty=name not in NEEDED)
    _number("slept_s", data.get("slept_s", 0), (int, float))
    _number("seq", data.get("seq", 0), (int,))
    if data["effect"] not in {*Effect}:
        _refuse(f"expected effect to be one of {', '.join(Effect)}, seen another; correct it")
    args = data["args"]
    if not isinstance(args, dict):
        _refuse(f"expected args to be an object, seen {_kind(args)}; name the arguments")
    if missing := [name for name in NEEDS.get(str(data["op"]), ()) if name not in args]:
        _refuse(f"expected {', '.join(missing)} in args of {data['op']}, seen nothing; add it")
    said = {name: value for name, value in data.items() if name != "cell"}
    call = Call.from_json({**said, "args": _whole("args", args), "premises": []})
    premises = _premises(data.get("premises", []))
    return Request(cell=str(data["cell"]), call=replace(call, premises=premises))


def _refuse(why: str) -> NoReturn:
    raise BadRequestError(422, why)


def _kind(value: object) -> str:
    kinds = {bool: "true or false", dict: "an object", list: "a list", str: "text"}
    return kinds.get(type(value), "a number" if value is not None else "null")


def _fields(
    what: str, data: Mapping[str, Json], needed: tuple[str, ...], known: tuple[str, ...]
) -> None:
    if missing := [name for name in needed if name not in data]:
        _refuse(f"expected {what} to have {', '.join(needed)}; {', '.join(missing)} is missing")
    if strange := [name for name in data if name not in known]:
        _refuse(f"expected no more of {what} than {', '.join(known)}; seen {shown(strange[0])} too")


def _name(what: str, value: Json, longest: int, *, empty: bool) -> None:
    if not isinstance(value, str):
        _refuse(f"expected {what} to be text, seen {_kind(value)}; quote it")
    if not value and not empty:
        _refuse(f"expected {what} to be a name, seen empty text; say which")
    if len(value) > longest:
        _refuse(f"expected {what} of at most {longest} characters, seen {len(value)}; shorten it")
    if not value.isprintable():
        _refuse(f"expected {what} in printable characters, seen another one; leave it out")


def _number(what: str, value: Json, kinds: tuple[type, ...]) -> None:
    if type(value) not in kinds:
        _refuse(f"expected {what} to be a {'whole ' * (float not in kinds)}number; correct it")
    if value < 0:  # type: ignore[operator]
        _refuse(f"expected {what} to be zero or more, seen less; correct it")


def _premises(value: Json) -> tuple[dict[str, str], ...]:
    if not isinstance(value, list) or len(value) > PREMISES:
        _refuse(f"expected premises to be a list of at most {PREMISES}; send those that matter")
    for premise in value:
        if not isinstance(premise, dict):
            _refuse(f"expected a premise to be an object, seen {_kind(premise)}; correct it")
        _fields("a premise", premise, PREMISE, PREMISE)
        for name in PREMISE:
            _name(f"{name} of a premise", premise[name], LONGEST[name], empty=name == "etag")
    return tuple({name: str(premise[name]) for name in PREMISE} for premise in value)  # type: ignore[index,call-overload]


def _whole(where: str, value: Json) -> Json:
    if isinstance(value, dict):
        return {
            _unicode(where, key): _whole(f"{where}.{shown(key)}", inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_whole(f"{where}[{index}]", inner) for index, inner in enumerate(value)]
    if isinstance(value, str):
        return _unicode(where, value)
    if isinstance(value, float):
        if not value.is_integer() or abs(value) > EXACT:
            _refuse(f"expected whole numbers, seen a fraction or an inexact one at {where}; {TEXT}")
        return int(value)
    if isinstance(value, int) and not LEAST <= value <= MOST:
        _refuse(f"expected whole numbers of 64 bits, seen a larger one at {where}; {TEXT}")
    return value


def _unicode(where: str, value: str) -> str:
    if any("\ud800" <= each <= "\udfff" for each in value):
        _refuse(f"expected Unicode text, seen half a character at {where}; send all of it")
    return value
