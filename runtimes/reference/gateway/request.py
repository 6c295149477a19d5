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

from harness.effects import Effect, Json
from harness.world.cell import NEEDS, Call, resources
from runtimes.reference.gateway.fields import (
    check_fields,
    check_name,
    check_number,
    kind,
    refuse,
    whole,
)
from runtimes.reference.gateway.strict import BadRequestError, read
from runtimes.reference.resume.session import Wanted
from runtimes.reference.upstreams.world import operation


NAMES: Mapping[str, int] = {
    **dict.fromkeys(("cell", "run", "step", "op", "effect", "incarnation"), 255),
    "key": 511,
}
"""The longest of each, in characters; a key is run and step, with a stroke between them."""
NEEDED = ("cell", "run", "step", "op", "effect", "args")
FIELDS = (*NEEDED, "key", "premises", "slept_s", "incarnation", "seq")
LONGEST: Mapping[str, int] = {"path": 1024, "etag": 16384}
"""Of a premise; a pattern has the ETags of all that it names."""
PREMISES = 100
MEDIA = ("application/json", "application/json;charset=utf-8")


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
        return Wanted(
            slot=call.step,
            op=operation(call.op, call.effect),
            target=self.targets[0],
            args=call.args,
            premises={premise["path"]: premise["etag"] for premise in call.premises},
            context={"incarnation": call.incarnation, "seq": call.seq, "slept_s": call.slept_s},
        )


def parse(body: bytes, media: str = MEDIA[0]) -> Request:
    """Return the request of a body; ``media`` is its content type.

    Raises:
        BadRequestError: it is not what the world's protocol has; nothing was done.

    """
    if media.lower().replace(" ", "").replace('"', "") not in MEDIA:
        raise BadRequestError(415, "expected application/json in UTF-8, seen another content type")
    data = read(body)
    if not isinstance(data, dict):
        refuse(f"expected an object with {', '.join(NEEDED)}, seen {kind(data)}")
    check_fields("the request", data, NEEDED, FIELDS)
    for name, longest in NAMES.items():
        check_name(name, data.get(name, ""), longest, empty=name not in NEEDED)
    check_number("slept_s", data.get("slept_s", 0), (int, float))
    check_number("seq", data.get("seq", 0), (int,))
    if data["effect"] not in {*Effect}:
        refuse(f"expected effect to be one of {', '.join(Effect)}, seen another; correct it")
    args = data["args"]
    if not isinstance(args, dict):
        refuse(f"expected args to be an object, seen {kind(args)}; name the arguments")
    if missing := [name for name in NEEDS.get(str(data["op"]), ()) if name not in args]:
        refuse(f"expected {', '.join(missing)} in args of {data['op']}, seen nothing; add it")
    said = {name: value for name, value in data.items() if name != "cell"}
    call = Call.from_json({**said, "args": whole("args", args), "premises": []})
    premises = _premises(data.get("premises", []))
    return Request(cell=str(data["cell"]), call=replace(call, premises=premises))


def _premises(value: Json) -> tuple[dict[str, str], ...]:
    if not isinstance(value, list) or len(value) > PREMISES:
        refuse(f"expected premises to be a list of at most {PREMISES}; send those that matter")
    return tuple(_premise(each) for each in value)


def _premise(value: Json) -> dict[str, str]:
    if not isinstance(value, dict):
        refuse(f"expected a premise to be an object, seen {kind(value)}; correct it")
    check_fields("a premise", value, tuple(LONGEST), tuple(LONGEST))
    for name, longest in LONGEST.items():
        check_name(f"{name} of a premise", value[name], longest, empty=name == "etag")
    return {name: str(value[name]) for name in LONGEST}
