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
from typing import Any

from harness.effects import Effect, Json, Op
from harness.world.cell import NEEDS, Call, resources
from runtimes.reference.gateway.fields import (
    MOST,
    Kind,
    Listed,
    Name,
    Number,
    Record,
    Word,
    kind,
    refuse,
    whole,
)
from runtimes.reference.gateway.strict import BadRequestError, read
from runtimes.reference.resume.session import Wanted
from runtimes.reference.resume.words import wanted_of


RUN = Name(255)
PREMISES = 100
PREMISE = Record({"path": Name(1024), "etag": Name(16384, empty=True)})
"""A pattern has the ETags of all that it names."""
ATTEMPT: Mapping[str, Name | Number] = {
    "incarnation": Name(255, empty=True),
    "seq": Number(most=MOST, whole=True),
}
"""Which process asks, and its how manieth request that is."""
MEDIA = ("application/json", "application/json;charset=utf-8")


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of an operation: any that its verb does not need too."""

    def check(self, what: str, value: Json) -> None:
        """Hold a value to being an object."""
        if not isinstance(value, dict):
            refuse(f"expected {what} to be an object, seen {kind(value)}; name the arguments")

    @property
    def schema(self) -> dict[str, Json]:
        """Return what it is; its numbers are whole, at any depth."""
        return {"type": "object"}


FIELDS = Record(
    needed={
        **dict.fromkeys(("cell", "run", "step", "op"), RUN),
        "effect": Word(tuple(Effect)),
        "args": Arguments(),
    },
    more={
        "key": Name(511, empty=True),  # run and step, with a stroke between them
        "premises": Listed(PREMISE, "a premise", PREMISES),
        "slept_s": Number(),
        **ATTEMPT,
    },
)


@dataclass(frozen=True, slots=True)
class Performed:
    """The body of ``/perform``: its fields, and the arguments that its verb needs."""

    def check(self, what: str, value: Json) -> None:
        """Hold a value to its fields."""
        FIELDS.check(what, value)
        said: Any = value
        op, args = said["op"], said["args"]
        if missing := [name for name in NEEDS.get(op, ()) if name not in args]:
            refuse(f"expected {', '.join(missing)} in args of {op}, seen nothing; add it")

    @property
    def schema(self) -> dict[str, Json]:
        """Return its fields, with what each verb needs."""
        needs: list[Json] = [
            {
                "if": {"properties": {"op": {"const": verb}}},
                "then": {"properties": {"args": {"required": [*names]}}},
            }
            for verb, names in NEEDS.items()
        ]
        return {**FIELDS.schema, "allOf": needs}


PERFORMED = Performed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call of the world, and the cell that it is for."""

    cell: str
    call: Call

    def to_json(self) -> dict[str, Json]:
        """Return the body as the world takes it."""
        return {**self.call.to_json(), "run": self.call.run, "cell": self.cell}

    @property
    def targets(self) -> tuple[str, ...]:
        """Return all that it acts on, what it is known by first."""
        return resources(self.call.op, self.call.args)

    def wanted(self) -> Wanted:
        """Return what is asked for, without which attempt it is."""
        call = self.call
        return wanted_of(
            call.step,
            Op(call.op, call.effect),
            call.args,
            {premise["path"]: premise["etag"] for premise in call.premises},
            incarnation=call.incarnation,
            seq=call.seq,
            slept_s=call.slept_s,
        )


def taken(content: bytes, media: str, body: Kind) -> Any:  # noqa: ANN401 - JSON
    """Return what a body says, held to its kind; ``media`` is its content type.

    Raises:
        BadRequestError: it is something else; nothing was done.

    """
    if media.lower().replace(" ", "").replace('"', "") not in MEDIA:
        raise BadRequestError(415, "expected application/json in UTF-8, seen another content type")
    data = read(content)
    body.check("the request", data)
    return data


def parse(content: bytes, media: str = MEDIA[0]) -> Request:
    """Return the request of a body.

    Raises:
        BadRequestError: it is not what the world's protocol has; nothing was done.

    """
    return request_of(taken(content, media, PERFORMED))


def request_of(data: Mapping[str, Any]) -> Request:
    """Return the request of a body that is held to its fields.

    Raises:
        BadRequestError: its arguments have no canonical text; nothing was done.

    """
    said = {name: value for name, value in data.items() if name != "cell"}
    call = Call.from_json({**said, "args": whole("args", said["args"]), "premises": []})
    premises = tuple(said.get("premises", ()))
    return Request(cell=data["cell"], call=replace(call, premises=premises))
