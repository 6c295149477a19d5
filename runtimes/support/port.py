"""The way from a hand-written workflow to the world, whatever its engine.

A native variant is written as its engine's users write, without ``play``.  What is left of
the harness in it is this: an effect is a call of the world under the name of the step that
it is made in, and the points at which a run is to be held are reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from harness.effects import Json, Op
from harness.program import AFTER_ACK, FINALIZE, Premise, Step
from harness.runtime import Envelope
from harness.worker import WorldClient


@dataclass(frozen=True, slots=True)
class Call:
    """The step in progress: of which run, under which name, and how it shows that it lives."""

    world: WorldClient
    envelope: Envelope
    step: str
    beat: Callable[[], None] | None = None


CALL: ContextVar[Call] = ContextVar("bakeoff.call")
RUN: ContextVar[Envelope] = ContextVar("bakeoff.run")
"""The run whose body is in progress."""


@contextmanager
def calling(
    world: WorldClient, envelope: Envelope, step: str, beat: Callable[[], None] | None = None
) -> Iterator[None]:
    """Say which step the effects of this context belong to."""
    token = CALL.set(Call(world, envelope, step, beat))
    try:
        yield
    finally:
        CALL.reset(token)


async def perform(
    op: Op, args: dict[str, Json], premises: Sequence[Premise] = (), slept_s: float = 0.0
) -> Mapping[str, Any]:
    """Call the world once for the step in progress and return its reply.

    ``slept_s`` is how long the run has slept before, in virtual seconds.

    Raises:
        WorldError: the reply was lost.

    """
    call = CALL.get()
    step = Step(name=call.step, op=op, args=args, premises=tuple(premises), slept_s=slept_s)
    return await call.world.perform(call.envelope, step, call.beat)


def recorded(step: str) -> bool:
    """Say whether this run is to report that the engine has the step's result."""
    return f"{step}/{AFTER_ACK}" in RUN.get().armed


def ended() -> bool:
    """Say whether this run is to report that its body has returned."""
    return FINALIZE in RUN.get().armed


def scaled(duration_s: float) -> float:
    """Return for how many real seconds this run sleeps ``duration_s`` virtual ones."""
    return duration_s * RUN.get().time_scale
