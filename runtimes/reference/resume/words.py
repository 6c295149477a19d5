"""What a program asks of the world and what it is answered, in the words of a session.

The gateway hears it from a worker, the reference's own column from its program: it is the same.
"""

from __future__ import annotations

import asyncio

from collections.abc import Mapping, Sequence
from typing import Any

from harness.effects import Json, Op
from harness.program import Command, One
from harness.world.cell import resources
from runtimes.reference.resume.session import Given, Wanted
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


async def side_by_side(commands: Sequence[Command], one: One) -> list[Any]:
    """Do commands at once; one that waits for a human stops none of the others."""
    answers = await asyncio.gather(*map(one, commands), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers
