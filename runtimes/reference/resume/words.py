"""What a program asks and what it is answered, in the words of a session.

The gateway hears it from a worker, the reference's own runtimes from their program: it is the same.
Two worlds have words of their own: the harness's (``wanted_of``, ``answer_of``), and providers
(``asked_of``, ``told_of``), of whose operations a connector knows the class.
"""

from __future__ import annotations

import asyncio

from collections.abc import Mapping, Sequence
from typing import Any

from harness.effects import Json, Op
from harness.program import Command, One
from harness.world.cell import resources
from runtimes.reference.resume.session import Given, Wanted
from runtimes.reference.upstreams.refusal import Refusal
from runtimes.reference.upstreams.world import operation


SETTLED: Mapping[str, Json] = {"status": "ok", "value": None, "etag": ""}
"""What is answered of an effect that was found to be done."""


def wanted_of(
    step: str, op: Op, args: Mapping[str, Json], premises: Mapping[str, str], **context: Json
) -> Wanted:
    """Return what a step asks for, without which attempt it is; ``context`` goes along."""
    return Wanted(
        slot=step,
        op=operation(op.verb, op.effect),
        target=resources(op.verb, args)[0],
        args=args,
        premises=premises,
        context=context,
    )


def answer_of(given: Given) -> dict[str, Json]:
    """Return what a program is told."""
    said = given.response
    return {**SETTLED} if given.settled or not isinstance(said, dict) else said


def asked_of(
    step: str, op: str, args: Mapping[str, Json], premises: Mapping[str, str], **context: Json
) -> Wanted:
    """Return what a step asks of a provider: the path is its target, all else its arguments."""
    return Wanted(
        slot=step,
        op=op,
        target=str(args.get("path") or op),
        args={name: value for name, value in args.items() if name != "path"},
        premises=premises,
        context=context,
    )


def told_of(given: Given) -> dict[str, Json]:
    """Return what a program is told: what a provider answered is its ``value``, whatever it is."""
    said = given.response
    if given.done or not isinstance(said, dict):
        read = isinstance(said, dict) and said.keys() == {"value", "version"}
        value = said["value"] if read else said  # type: ignore[call-overload, index]
        return {"status": "ok" if given.done else "rejected", "value": value, "etag": given.version}
    status = "throttled" if said.get("refused") == Refusal.THROTTLED else "rejected"
    return {"status": status, "value": said, "etag": given.version}


async def side_by_side(commands: Sequence[Command], one: One) -> list[Any]:
    """Do commands at once; one that waits for a human stops none of the others."""
    answers = await asyncio.gather(*map(one, commands), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers
