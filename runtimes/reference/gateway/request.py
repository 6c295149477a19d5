"""What comes in, held to the letter: a step of a run, and what it asks for.

What stands behind the gateway says how that is written, and how it is answered: a codec.  Before
the harness's world it is the world's own protocol, so that any worker which speaks to that speaks
to the gateway unchanged.  But what the world takes on trust is refused here: each request becomes
a record, and a hash that somebody approves.

Numbers in ``args`` are whole, because the log's canonical text has no others: ``2.0`` is read as
``2``, ``2.5`` is refused (a float has many texts, and one request must have one hash).  ``slept_s``
is a measurement and no part of the hash, so it is any number from zero on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

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
from runtimes.reference.gateway.grant import LONGEST
from runtimes.reference.gateway.strict import BadRequestError, read
from runtimes.reference.resume.session import Given, Wanted
from runtimes.reference.resume.words import answer_of, asked_of, told_of, wanted_of


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
    """The arguments of an operation: any beside those that it needs."""

    needed: Mapping[str, Kind] = field(default_factory=dict)

    def check(self, what: str, value: Json) -> None:
        """Hold a value to being an object with what is needed."""
        if not isinstance(value, dict):
            refuse(f"expected {what} to be an object, seen {kind(value)}; name the arguments")
        for name, inner in self.needed.items():
            if name not in value:
                refuse(f"expected {what} to have {name}, seen none; add it")
            inner.check(f"{name} of {what}", value[name])

    @property
    def schema(self) -> dict[str, Json]:
        """Return what it is; its numbers are whole, at any depth."""
        needed: dict[str, Json] = {name: inner.schema for name, inner in self.needed.items()}
        return {"type": "object", "properties": needed, "required": [*needed]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A step that a worker asks for; ``targets`` is all that it acts on."""

    run: str
    wanted: Wanted
    targets: tuple[str, ...]


class Codec(Protocol):
    """How a step is asked for, and how it is answered."""

    @property
    def body(self) -> Kind:
        """Return what the body of ``/perform`` is held to."""
        ...

    def request(self, data: Mapping[str, Any]) -> Request:
        """Return the request of a body that is held to that.

        Raises:
            BadRequestError: its arguments have no canonical text; nothing was done.

        """
        ...

    def answer(self, given: Given) -> dict[str, Json]:
        """Return what the worker is told."""
        ...


STEP: Mapping[str, Kind] = dict.fromkeys(("run", "step", "op"), RUN)
MORE: Mapping[str, Kind] = {"premises": Listed(PREMISE, "a premise", PREMISES), **ATTEMPT}


class OfProviders:
    """Steps whose operations a connector knows: so no class is sent, and the path is the target."""

    body: Kind = Record({**STEP, "args": Arguments({"path": Name(LONGEST)})}, MORE)

    def request(self, data: Mapping[str, Any]) -> Request:
        """Return the request of a body; the process and its count are context, and no part of it.

        Raises:
            BadRequestError: its arguments have no canonical text; nothing was done.

        """
        attempt = {name: data[name] for name in ATTEMPT if name in data}
        args: Any = whole("args", data["args"])
        wanted = asked_of(data["step"], data["op"], args, _premises(data), **attempt)
        return Request(run=data["run"], wanted=wanted, targets=(wanted.target,))

    def answer(self, given: Given) -> dict[str, Json]:
        """Return what the worker is told."""
        return told_of(given)


FIELDS = Record(
    needed={"cell": RUN, **STEP, "effect": Word(tuple(Effect)), "args": Arguments()},
    more={
        "key": Name(511, empty=True),  # run and step, with a stroke between them
        "slept_s": Number(),
        **MORE,
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


class OfWorld:
    """Steps in the protocol of the harness's world."""

    body: Kind = Performed()

    def request(self, data: Mapping[str, Any]) -> Request:
        """Return the request of a body, whose cell is that of its run.

        Raises:
            BadRequestError: another cell, or arguments that have no canonical text.

        """
        if data["cell"] != data["run"].partition(".")[0]:
            refuse("expected the cell of the run, seen another; leave the cell to the gateway")
        said = {name: value for name, value in data.items() if name != "cell"}
        call = Call.from_json({**said, "args": whole("args", said["args"]), "premises": []})
        wanted = wanted_of(
            call.step,
            Op(call.op, call.effect),
            call.args,
            _premises(data),
            incarnation=call.incarnation,
            seq=call.seq,
            slept_s=call.slept_s,
        )
        return Request(run=call.run, wanted=wanted, targets=resources(call.op, call.args))

    def answer(self, given: Given) -> dict[str, Json]:
        """Return what the worker is told."""
        return answer_of(given)


WORLD, PROVIDERS = OfWorld(), OfProviders()


def _premises(data: Mapping[str, Any]) -> dict[str, str]:
    return {premise["path"]: premise["etag"] for premise in data.get("premises", ())}


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


def parse(content: bytes, media: str = MEDIA[0], codec: Codec = WORLD) -> Request:
    """Return the request of a body.

    Raises:
        BadRequestError: it is not what the protocol has; nothing was done.

    """
    return codec.request(taken(content, media, codec.body))
